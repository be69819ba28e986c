/** The model that is used where none is given. */
import path from "node:path";

/** What the demo model is, plainly: for reports and for people. */
export const DEMO_MODEL_DESCRIPTION =
  "avseg's demo model, trained for a few minutes on SoundShapes (generated shapes with generated sounds): " +
  "it knows no real objects";

const packageRoot = path.resolve(import.meta.dirname, "..", "..", "..");

/** The demo model's checkpoint, which comes with the package. */
export const DEMO_MODEL = path.join(packageRoot, "assets", "soundshapes", "demo.safetensors");
