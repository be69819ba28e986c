/** The messages between the app and its local server. Both sides check what they receive. */
import * as z from "zod";
import { fromBase64, toBase64 } from "./base64.js";
import type { Step } from "./step.js";

/** The header in which the app sends the token of its address. */
export const TOKEN_HEADER = "x-avseg-token";

/** A file that the server has: given on the command line, or uploaded. */
export const serverFileSchema = z.object({
  id: z.string(),
  name: z.string(),
  bytes: z.number(),
});
/** A file that the server has. */
export type ServerFile = z.infer<typeof serverFileSchema>;

/** A training run below the folder of runs. */
export const runSchema = z.object({
  id: z.string(),
  /** Its folder, relative to that of all runs. */
  name: z.string(),
  /** When its log was last written, in milliseconds since 1970, and the log's size. */
  modified: z.number(),
  bytes: z.number(),
  /** Whether a process writes it now. */
  isTraining: z.boolean(),
  epochs: z.number(),
  /** Best and last mIoU on the validation split, 0 to 1. */
  best: z.number().optional(),
  last: z.number().optional(),
  hasCheckpoint: z.boolean(),
  /** When the newest of its evaluations was written, in milliseconds since 1970; 0 without one. */
  evaluated: z.number(),
  /** Paths of its reports, relative to its folder. */
  reports: z.array(z.string()),
});
/** A training run. */
export type RunSummary = z.infer<typeof runSchema>;

/** One number of a log over steps. */
export const curveSchema = z.object({
  /** `step.loss`, `epoch.validation.miou`. */
  name: z.string(),
  points: z.array(z.tuple([z.number(), z.number()])),
  /** A point is the mean of so many of the log's lines. */
  each: z.number(),
});
/** One number of a log over steps. */
export type Curve = z.infer<typeof curveSchema>;

/** The log of a run. */
export const runLogSchema = z.object({
  curves: z.array(curveSchema),
  /** Lines that could not be read. */
  damaged: z.number(),
});
/** The log of a run. */
export type RunLogAnswer = z.infer<typeof runLogSchema>;

/** An evaluation in a run's folder. */
export const runEvaluationSchema = z.object({
  /** Its folder, relative to that of the run; empty for the run's own. */
  name: z.string(),
  split: z.string(),
  clips: z.number(),
  miou: z.number(),
  fscore: z.number(),
  /** The worst clips by mIoU. */
  worst: z.array(
    z.object({ id: z.string(), category: z.string(), miou: z.number(), fscore: z.number().nullable() }),
  ),
});
/** An evaluation in a run's folder. */
export type RunEvaluation = z.infer<typeof runEvaluationSchema>;

/** What is known of an opened model. */
export const modelFactsSchema = z.object({
  task: z.string(),
  classes: z.array(z.string()),
  imageSize: z.number(),
  frameCount: z.number(),
  trainedOn: z.string().optional(),
  /** What runs it: `WebGPU`, `WASM, 2 threads`, `this computer, CPU`. */
  runsOn: z.string(),
});
/** What is known of an opened model. */
export type ModelFacts = z.infer<typeof modelFactsSchema>;

/** A public trained model that the server can fetch, as its authors describe it. */
export const publicModelSchema = z.object({
  name: z.string(),
  title: z.string(),
  /** Bytes that a download takes; 0 where everything is in the cache. */
  downloadBytes: z.number(),
  /** Licenses of the code and of the weights; missing where the authors state none. */
  codeLicense: z.string().optional(),
  weightsLicense: z.string().optional(),
  homepage: z.string(),
});
/** A public trained model. */
export type PublicModel = z.infer<typeof publicModelSchema>;

/** What the server has for the app. */
export const sessionSchema = z.object({
  files: z.array(serverFileSchema),
  runs: z.array(runSchema),
  models: z.array(publicModelSchema),
});
/** What the server has for the app. */
export type Session = z.infer<typeof sessionSchema>;

/** Which sound goes with the picture; a file is one that the server has. */
export const soundSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("own") }),
  z.object({ kind: z.literal("silence") }),
  z.object({ kind: z.literal("file"), file: z.string() }),
]);

/** A request to segment a file that the server has. */
export const segmentRequestSchema = z.object({
  file: z.string(),
  sound: soundSchema,
  endSeconds: z.number().positive().optional(),
});
/** A request to segment. */
export type ServerSegmentRequest = z.infer<typeof segmentRequestSchema>;

/** A request to open a model: one of the app, a run's best checkpoint, a public model in the cache, or uploaded files. */
export const openRequestSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("small") }),
  z.object({ kind: z.literal("natural") }),
  z.object({ kind: z.literal("run"), run: z.string() }),
  z.object({ kind: z.literal("public"), name: z.string() }),
  z.object({ kind: z.literal("files"), files: z.array(z.string()).min(1).max(5) }),
]);
/** A request to open a model. */
export type OpenRequest = z.infer<typeof openRequestSchema>;

/**
 * One line of the answer to a request that takes long: to download a model (progress in bytes) or to make a copy of a
 * video that browsers play (progress in seconds), which `file` names at its end.
 */
export const workLineSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("progress"), done: z.number(), total: z.number().optional() }),
  z.object({ kind: z.literal("failed"), error: z.string(), hint: z.string().optional() }),
  z.object({ kind: z.literal("done"), file: serverFileSchema.optional() }),
]);
/** One line of the answer to a request that takes long. */
export type WorkLine = z.infer<typeof workLineSchema>;

/** Why a request failed and what to do. */
export const failureSchema = z.object({ error: z.string(), hint: z.string().optional() });

const regionSchema = z.object({
  index: z.number(),
  label: z.string(),
  area: z.number(),
  box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
  confidence: z.number(),
});

/** A `Step` as JSON; bytes are in base64. */
export const wireStepSchema = z.object({
  index: z.number(),
  timeSeconds: z.number(),
  peak: z.number(),
  silent: z.boolean(),
  map: z.object({
    width: z.number(),
    height: z.number(),
    planes: z.array(z.tuple([z.number(), z.string()])),
  }),
  mask: z.object({
    width: z.number(),
    height: z.number(),
    runs: z.string(),
    regions: z.array(regionSchema),
  }),
});
/** A `Step` as JSON. */
export type WireStep = z.infer<typeof wireStepSchema>;

/** One line of the answer to a request to segment. */
export const segmentLineSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("step"), step: wireStepSchema }),
  z.object({ kind: z.literal("progress"), done: z.number(), total: z.number().optional() }),
  z.object({ kind: z.literal("failed"), error: z.string(), hint: z.string().optional() }),
  z.object({ kind: z.literal("done") }),
]);
/** One line of the answer to a request to segment. */
export type SegmentLine = z.infer<typeof segmentLineSchema>;

/** A step for the wire. */
export function toWire({ map, mask, ...step }: Step): WireStep {
  const planes = [...map.planes].map(([index, bytes]): [number, string] => [index, toBase64(bytes)]);
  const { runs, regions, ...size } = mask;
  return {
    ...step,
    map: { width: map.width, height: map.height, planes },
    mask: {
      ...size,
      runs: toBase64(new Uint8Array(runs.buffer)),
      regions: regions.map(({ box: [left, top, width, height], ...region }) => ({
        ...region,
        box: [left, top, width, height],
      })),
    },
  };
}

/** A step from the wire. Throws `RangeError` where planes have another size than the map. */
export function fromWire({ map, mask, ...step }: WireStep): Step {
  const planes = map.planes.map(([index, text]) => {
    const plane = fromBase64(text);
    if (plane.length !== map.width * map.height) {
      throw new RangeError(
        `step ${step.index}: a plane of ${plane.length} bytes, expected ${map.width}x${map.height}`,
      );
    }
    return [index, plane] as const;
  });
  return {
    ...step,
    map: { width: map.width, height: map.height, planes: new Map(planes) },
    mask: { ...mask, runs: new Uint32Array(fromBase64(mask.runs).buffer) },
  };
}
