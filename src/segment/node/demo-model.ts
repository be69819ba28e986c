/** The default model. */
import { packagePath } from "../../node/paths.js";

/** What the demo model is, for reports and messages. */
export const DEMO_MODEL_DESCRIPTION =
  "avseg's demo model, trained for a few minutes on SoundShapes (generated shapes with generated sounds): " +
  "it knows no real objects";

/** The demo model's checkpoint, part of the package. */
export const DEMO_MODEL = packagePath("assets", "soundshapes", "demo.safetensors");
