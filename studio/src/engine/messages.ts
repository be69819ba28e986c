/** What the page and the engine's worker say to each other, and what every engine can do. */
import type { ModelFacts, Step } from "avseg/studio";
import type { ExportRequest } from "../export/requests";
import type { SaveDatasetRequest } from "../export/save-dataset";
import type { VideoFacts } from "../media/probe";
import type { Peaks } from "../media/waveform";
import type { ShippedKind } from "./shipped-models";

/** Where a model comes from. */
export type ModelSource =
  | { readonly kind: ShippedKind }
  /** The best checkpoint of a training run, which the local server has. */
  | { readonly kind: "run"; readonly run: string }
  /** A public model, which the local server has in its cache. */
  | { readonly kind: "public"; readonly name: string }
  /** Files that the user gave: the model first, then what it needs besides (encoders, external data). */
  | { readonly kind: "files"; readonly files: readonly File[] };

/** Which sound goes with the picture. */
export type SoundChoice =
  | { readonly kind: "own" }
  | { readonly kind: "silence" }
  | { readonly kind: "file"; readonly file: Blob; readonly name: string };

/** What to segment. */
export interface SegmentRequest {
  readonly file: Blob;
  readonly name: string;
  /** Where to stop; the whole file otherwise. */
  readonly endSeconds?: number | undefined;
  readonly sound: SoundChoice;
}

/** The last seconds of a camera and a microphone. */
export interface LiveWindow {
  /** One picture per second, oldest first. */
  readonly pictures: readonly ImageData[];
  readonly samples: Float32Array<ArrayBuffer>;
  readonly sampleRateHz: number;
}

/** Why something failed and what to do, as plain data. */
export interface Failure {
  readonly message: string;
  readonly hint: string | undefined;
}

/** A request to the worker; answers carry its `id`. */
export type ToWorker =
  | { readonly kind: "open"; readonly id: number; readonly source: ModelSource; readonly modelFolder: string }
  | ({ readonly kind: "segment"; readonly id: number } & SegmentRequest)
  | ({ readonly kind: "live"; readonly id: number } & LiveWindow)
  | { readonly kind: "probe"; readonly id: number; readonly file: File }
  | ({ readonly kind: "pictures"; readonly id: number } & PicturesRequest)
  | ({ readonly kind: "export"; readonly id: number } & ExportRequest)
  | ({ readonly kind: "dataset"; readonly id: number } & SaveDatasetRequest)
  | { readonly kind: "peaks"; readonly id: number; readonly file: Blob; readonly durationSeconds: number }
  | { readonly kind: "cancel"; readonly id: number };

/** Which pictures of a file are wanted. */
export interface PicturesRequest {
  readonly file: Blob;
  readonly times: readonly number[];
  /** In pixels. */
  readonly height: number;
}

/** An answer of the worker. */
export type FromWorker =
  | {
      readonly kind: "progress";
      readonly id: number;
      readonly done: number;
      readonly total: number | undefined;
    }
  | { readonly kind: "opened"; readonly id: number; readonly facts: ModelFacts }
  | { readonly kind: "step"; readonly id: number; readonly step: Step }
  | { readonly kind: "facts"; readonly id: number; readonly facts: VideoFacts }
  | { readonly kind: "picture"; readonly id: number; readonly index: number; readonly picture: ImageBitmap }
  | { readonly kind: "peaks"; readonly id: number; readonly peaks: Peaks }
  | { readonly kind: "file"; readonly id: number; readonly file: File }
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure };

/** An error with what to do about it. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  readonly hint: string | undefined;

  constructor({ message, hint }: Failure) {
    super(message);
    this.hint = hint;
  }
}

/** An error as plain data. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return { message: String(error), hint: undefined };
  const hint = "hint" in error && typeof error.hint === "string" ? error.hint : undefined;
  return { message: error.message, hint };
}

/** Progress of a download in bytes, or of segmenting in seconds. */
export type OnProgress = (done: number, total: number | undefined) => void;

/** Options of an engine's work. */
export interface Work {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** What runs models: this tab, or the computer through its local server. */
export interface Engine {
  open(source: ModelSource, work?: Work): Promise<ModelFacts>;
  /** One result per second, in order, as they are computed. */
  segment(request: SegmentRequest, work?: Work): AsyncGenerator<Step, void, undefined>;
}
