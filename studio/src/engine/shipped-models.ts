/** The models that are part of the app. */

/** A model that is part of the app. */
export interface ShippedModel {
  readonly name: string;
  /** Of the model with its encoders. */
  readonly bytes: number;
  readonly license: string;
  /** What it knows. */
  readonly note: string;
  /** Its file below the folder of models; its encoders lie beside it. */
  readonly file: string;
}

/** Which of them. */
export type ShippedKind = "small" | "natural";

/** The models that are part of the app, by kind. */
export const shippedModels: Readonly<Record<ShippedKind, ShippedModel>> = {
  natural: {
    name: "Natural model (PhotoSounds)",
    bytes: 21.9e6,
    license: "Apache-2.0 and CC BY 4.0",
    note: "Knows photographs of about 50 kinds of animals, vehicles, instruments and people; often wrong about anything else.",
    file: "natural/natural.safetensors",
  },
  small: {
    name: "Small model (SoundShapes)",
    bytes: 15.8e6,
    license: "Apache-2.0",
    note: "Knows generated shapes with generated sounds, and no real objects. It shows how all of this works.",
    file: "demo.safetensors",
  },
};
