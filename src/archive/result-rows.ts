/** The results of an archive as one table: a row for each object in each mask. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { OutputError } from "../errors.js";
import { readFailure } from "../node/system-error.js";
import { readRecord, recordFile, resultFolders } from "./results.js";

/** What of `segments.json` goes into the table. */
const segmentsSchema = z.object({
  frames: z.array(
    z.object({
      index: z.number(),
      time: z.number(),
      silent: z.boolean(),
      mask: z.string().nullish(),
      objects: z.array(
        z.object({
          class: z.string(),
          areaFraction: z.number(),
          box: z.tuple([z.number(), z.number(), z.number(), z.number()]),
          confidence: z.number(),
        }),
      ),
    }),
  ),
});

/**
 * One row. A mask without an object has one row, whose values from `class` on are `null`. Pixels are those of the video as
 * displayed.
 */
export interface ResultRow {
  /** Names the folder of the results. */
  readonly key: string;
  /** Path of the video when it was processed. */
  readonly video: string;
  readonly sha256: string;
  /** SHA-256 of the model. */
  readonly model: string;
  /** Number of the mask in its video, from 0, and its time in seconds. */
  readonly index: number;
  readonly time: number;
  readonly silent: boolean;
  /** File of the mask, relative to the folder of all results. */
  readonly mask: string | null;
  readonly class: string | null;
  readonly area_fraction: number | null;
  readonly confidence: number | null;
  readonly left: number | null;
  readonly top: number | null;
  readonly width: number | null;
  readonly height: number | null;
}

/** What `resultRows` tells on the way. */
export interface ResultRowsOptions {
  /** Called after every video with the number of videos so far. */
  readonly onVideo?: ((videos: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The rows of all results below `out`, video by video. Throws `OutputError` for results that cannot be read. */
export async function* resultRows(
  out: string,
  { onVideo, signal }: ResultRowsOptions = {},
): AsyncGenerator<ResultRow, void, undefined> {
  let videos = 0;
  for await (const folder of resultFolders(out)) {
    signal?.throwIfAborted();
    yield* rowsOf(out, folder);
    onVideo?.(++videos);
  }
}

async function* rowsOf(out: string, folder: string): AsyncGenerator<ResultRow, void, undefined> {
  const record = await readRecord(folder);
  if (record === undefined) throw damaged(path.join(folder, recordFile), "not the record of a video");
  const file = path.join(folder, "segments.json");
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw damaged(file, readFailure(error) ?? String(error));
  });
  const { frames } = parseSegments(file, text);
  const relative = path.relative(out, folder).split(path.sep).join("/");
  for (const { index, time, silent, mask, objects } of frames) {
    const shared = {
      ...{
        key: path.basename(folder),
        video: record.video,
        sha256: record.sha256,
        model: record.modelSha256,
      },
      ...{ index, time, silent, mask: mask ? `${relative}/${mask}` : null },
    };
    for (const object of objects) {
      const [left, top, width, height] = object.box;
      const { areaFraction: area_fraction, confidence } = object;
      yield { ...shared, class: object.class, area_fraction, confidence, left, top, width, height };
    }
    if (objects.length > 0) continue;
    yield { ...shared, class: null, area_fraction: null, confidence: null, ...noBox };
  }
}

const noBox = { left: null, top: null, width: null, height: null } as const;

function parseSegments(file: string, text: string): z.infer<typeof segmentsSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw damaged(file, "not JSON", error);
  }
  const result = segmentsSchema.safeParse(value);
  if (!result.success) throw damaged(file, "not what `avseg segment` writes", result.error);
  return result.data;
}

function damaged(file: string, why: string, cause?: unknown): OutputError {
  return new OutputError(`${file}: ${why}`, {
    hint: "Remove the folder of this video and add the video again with `avseg archive add`.",
    cause,
  });
}
