/** The models that are part of the package. */
import { packagePath } from "../../node/paths.js";

/** A model of the package. */
export interface ShippedModel {
  /** Its checkpoint. */
  readonly file: string;
  /** What it is, for reports and messages. */
  readonly description: string;
}

/** The default model: EfficientNet-Lite2 and aiSFX, trained on PhotoSounds (docs/guides/photo-sounds.md). */
export const NATURAL_MODEL: ShippedModel = {
  file: packagePath("assets", "natural", "natural.safetensors"),
  description:
    "avseg's natural model, trained on PhotoSounds (photographs of about 50 kinds of animals, vehicles, instruments and " +
    "people, composed, with recordings of them): small, and often wrong about anything else",
};

/** Root of a dataset of a few test clips of PhotoSounds, for the natural model (assets/natural/README.md has the credits). */
export const NATURAL_CLIPS = packagePath("assets", "natural", "clips");

/** A composed clip of five seconds that the natural model was not trained on (assets/natural/README.md has the credits). */
export const NATURAL_EXAMPLE = packagePath("assets", "natural", "example.mp4");

/** The model of SoundShapes, which tests, the demo and the studio's example use. */
export const DEMO_MODEL: ShippedModel = {
  file: packagePath("assets", "soundshapes", "demo.safetensors"),
  description:
    "avseg's demo model, trained for a few minutes on SoundShapes (generated shapes with generated sounds): " +
    "it knows no real objects",
};
