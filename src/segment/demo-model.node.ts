/** The model that is used where none is given. */
import { existsSync } from "node:fs";
import path from "node:path";
import { CheckpointError } from "../errors.js";

/** What the demo model is, plainly: for reports and for people. */
export const DEMO_MODEL_DESCRIPTION =
  "avseg's demo model, trained for a few minutes on SoundShapes (generated shapes with generated sounds): " +
  "it knows no real objects";

/** Where the demo model may be: made here by `npm run demo`, or shipped with the package. */
const PLACES = [
  path.resolve("work_dir", "demo", "train", "best.safetensors"),
  path.resolve(import.meta.dirname, "..", "..", "..", "work_dir", "demo", "train", "best.safetensors"),
  path.resolve(import.meta.dirname, "..", "..", "..", "assets", "soundshapes", "demo.safetensors"),
];

/** The demo model's checkpoint. Throws `CheckpointError` where there is none yet. */
export function findDemoModel(): string {
  const found = PLACES.find((file) => existsSync(file));
  if (found) return found;
  throw new CheckpointError("there is no demo model yet, and no --checkpoint was given", {
    hint: "Make one with `npm run demo` (about five minutes), or give a checkpoint.",
  });
}
