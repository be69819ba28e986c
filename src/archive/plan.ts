/** What is to be done with every video: the model, what is written, and where. */
import { existsSync } from "node:fs";
import path from "node:path";
import * as z from "zod";
import { ArchiveError } from "../errors.js";

import { findWeightFile } from "../inference/node/model-files.js";
import type { EncoderFiles } from "../inference/weight-sources.js";
import { type AvsModelConfig, avsModelSchema } from "../models/model-config.js";
import { sha256Of } from "../node/sha256.js";
import { NATURAL_MODEL } from "../segment/node/shipped-models.js";
import { hashFile } from "../weights/node/hash-file.js";

const fileSchema = z.object({ file: z.string(), sha256: z.string() });

const planSchema = z.object({
  /** Folder of the results. */
  out: z.string(),
  /** Where the model lies; without a path it is the natural model of the package. */
  checkpoint: z.object({ file: z.string().optional(), sha256: z.string() }),
  /** The model, where a configuration names it. */
  config: avsModelSchema.optional(),
  /** Encoders to use instead of those that the checkpoint names. */
  encoders: z.record(z.enum(["visual", "audio", "pca"]), fileSchema.optional()),
  /** Whether to write `overlay.mp4`. */
  overlay: z.boolean(),
  silenceGate: z.boolean(),
});

/** A plan as the server holds it. Two plans are the same work when their keys are equal. */
export type Plan = Readonly<z.infer<typeof planSchema>>;

/** What `makePlan` is made of. */
export interface PlanOptions {
  readonly out: string;
  /** Default: the natural model. */
  readonly checkpoint?: string | undefined;
  readonly config?: AvsModelConfig | undefined;
  readonly encoders?: EncoderFiles | undefined;
  /** Default: true. */
  readonly overlay?: boolean | undefined;
  /** Default: true. */
  readonly silenceGate?: boolean | undefined;
}

/** A plan over the files as they are now. Throws `CheckpointError` when one is missing. */
export async function makePlan(options: PlanOptions, signal?: AbortSignal): Promise<Plan> {
  const { out, checkpoint, config, encoders = {}, overlay = true, silenceGate = true } = options;
  const hashed = async (name: string) => {
    const file = path.resolve(await findWeightFile(name));
    return { file, sha256: await hashModel(file, signal) };
  };
  const parts: Plan["encoders"] = { visual: undefined, audio: undefined, pca: undefined };
  for (const part of ["visual", "audio", "pca"] as const) {
    const file = encoders[part];
    if (file) parts[part] = await hashed(file);
  }
  const { file, sha256 } = await hashed(checkpoint ?? NATURAL_MODEL.file);
  return {
    out: path.resolve(out),
    checkpoint: checkpoint === undefined ? { sha256 } : { file, sha256 },
    ...(config && { config }),
    encoders: parts,
    overlay,
    silenceGate,
  };
}

/** SHA-256 of a model file, together with the file that holds its weights where they lie apart (`--external-data`). */
export async function hashModel(file: string, signal?: AbortSignal): Promise<string> {
  const own = await hashFile(file, signal);
  if (!existsSync(`${file}.data`)) return own;
  return sha256Of(`${own} ${await hashFile(`${file}.data`, signal)}`);
}

/** Eight hexadecimal digits that name a plan: its model and what is written, not where the files lie. */
export function planKey({ checkpoint, config, encoders, overlay, silenceGate }: Plan): string {
  const { visual, audio, pca } = encoders;
  const content = [
    checkpoint.sha256,
    config ?? null,
    [visual, audio, pca].map((part) => part?.sha256 ?? null),
    overlay,
    silenceGate,
  ];
  return sha256Of(JSON.stringify(content)).slice(0, 8);
}

/** Reads a plan from the server. Throws `ArchiveError` for one of another version. */
export function parsePlan(json: string): Plan {
  const result = planSchema.safeParse(JSON.parse(json));
  if (result.success) return result.data;
  throw new ArchiveError("the archive holds a plan that this version does not understand", {
    hint: "Use the version of avseg that added the videos, or another archive with --queue NAME.",
  });
}
