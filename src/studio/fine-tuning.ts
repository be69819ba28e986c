/** The messages between the app and its local server about fine-tuning on corrected clips. */
import * as z from "zod";
import { openRequestSchema } from "./protocol.js";

/** Bounds of a fine-tuning's settings. */
export const fineTuneLimits = { epochs: 500, rateFraction: 10, nameLength: 200 } as const;

/** A request to fine-tune a model on a dataset, which was uploaded as a zip in AVSBench's layout. */
export const fineTuneRequestSchema = z.strictObject({
  model: openRequestSchema,
  /** What the app calls the model. */
  modelName: z.string().max(fineTuneLimits.nameLength),
  /** The id of the uploaded zip. */
  dataset: z.string(),
  /** The video's name, by which the run is called. */
  name: z.string().min(1).max(fineTuneLimits.nameLength),
  /** Width of the video's pictures by their height: a dataset's pictures are square. */
  aspect: z.number().min(0.05).max(20),
  epochs: z.number().int().min(1).max(fineTuneLimits.epochs),
  /** The learning rate as a fraction of the one that the model was trained with. */
  rateFraction: z.number().positive().max(fineTuneLimits.rateFraction),
});
/** A request to fine-tune. */
export type FineTuneRequest = z.infer<typeof fineTuneRequestSchema>;

/**
 * What a fine-tuning is doing: `before` and `after` are evaluations on the clips, before and after `training`. One that
 * is `stopped`, by the user or with the studio, or `failed` can be resumed.
 */
export const fineTuneStates = [
  "before",
  "training",
  "after",
  "stopping",
  "stopped",
  "failed",
  "done",
] as const;
/** What a fine-tuning is doing. */
export type FineTuneState = (typeof fineTuneStates)[number];

/** A fine-tuning and its progress. */
export const fineTuneJobSchema = z.object({
  /** The id of its training run. */
  id: z.string(),
  /** The run's folder, relative to that of all runs. */
  name: z.string(),
  /** The model that it started from. */
  modelName: z.string(),
  state: z.enum(fineTuneStates),
  /** When it was started, in milliseconds since 1970. */
  started: z.number(),
  /** Width of the clips' pictures by their height. */
  aspect: z.number(),
  /** Finished epochs, and those of the whole training. */
  epoch: z.number(),
  epochs: z.number(),
  /** Seconds until the training is finished, where that can be estimated. */
  remainingSeconds: z.number().optional(),
  /** mIoU on the clips before and after, 0 to 1. */
  before: z.number().optional(),
  after: z.number().optional(),
  /** Why it failed, and what to do. */
  error: z.string().optional(),
  hint: z.string().optional(),
});
/** A fine-tuning and its progress. */
export type FineTuneJob = z.infer<typeof fineTuneJobSchema>;

/** A clip of a fine-tuning whose masks are compared. */
export const comparedClipSchema = z.object({
  id: z.string(),
  frames: z.number(),
  /** mIoU of the clip before and after, 0 to 1. */
  before: z.number().optional(),
  after: z.number().optional(),
});
/** A clip of a fine-tuning whose masks are compared. */
export type ComparedClip = z.infer<typeof comparedClipSchema>;

/** Pictures of a second of a clip: the frame, the corrected mask, and the model's masks. */
export const comparedPictures = ["frame", "corrected", "before", "after"] as const;
/** A picture of a second of a clip. */
export type ComparedPicture = (typeof comparedPictures)[number];

/** Which picture is asked for. */
export const pictureQuerySchema = z.object({
  clip: z.string(),
  frame: z.coerce.number().int().min(0),
  of: z.enum(comparedPictures),
});
