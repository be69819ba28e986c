/** The model that is used where none is given. */
import { packagePath } from "../../node/files.js";

/** What the demo model is, plainly: for reports and for people. */
export const DEMO_MODEL_DESCRIPTION =
  "avseg's demo model, trained for a few minutes on SoundShapes (generated shapes with generated sounds): " +
  "it knows no real objects";

/** The demo model's checkpoint, which comes with the package. */
export const DEMO_MODEL = packagePath("assets", "soundshapes", "demo.safetensors");
