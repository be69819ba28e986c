/** The corrected seconds of a video as clips of a dataset. */
import type { DatasetRequest } from "../export/dataset";
import { correctedSeconds, maskOf } from "./corrections";
import type { Item } from "./library";

/** Seconds of a clip of AVSBench. */
export const clipSeconds = 5;

/** What becomes the dataset. Throws where the video is shorter than a clip. */
export function correctedClips(item: Item, { holdsOut }: Pick<DatasetRequest, "holdsOut">): DatasetRequest {
  const { steps, labelNames } = item.result;
  if (steps.length < clipSeconds) {
    throw new Error(`A clip needs ${clipSeconds} seconds; this video has ${steps.length}.`);
  }
  const last = steps.length - clipSeconds;
  const starts = correctedSeconds(item).map((second) =>
    Math.min(Math.floor(second / clipSeconds) * clipSeconds, last),
  );
  const clips = [...new Set(starts)].map((start) => {
    const parts = steps.slice(start, start + clipSeconds);
    return {
      start,
      masks: parts.map((step) => maskOf(item, step)),
      times: parts.map(({ timeSeconds }) => timeSeconds),
    };
  });
  return { file: item.file, clips, labelNames, holdsOut };
}
