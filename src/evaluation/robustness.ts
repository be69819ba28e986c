/** What an evaluation measured with each kind of sound, side by side. */
import type { EvaluationResult } from "./result.js";
import { type SoundCondition, soundNotes } from "./sound-conditions.js";

/** A result with the sounds that the clips had. */
export interface SoundResult {
  readonly sound: SoundCondition;
  readonly result: EvaluationResult;
}

/** The metrics with one kind of sound, all in 0..1; ground truth is that of the clips' own sound. */
export interface RobustnessRow {
  readonly sound: SoundCondition;
  /** As published; lower is better with any sound but the clip's own. */
  readonly miou: number;
  /** As published. */
  readonly fscore: number;
  /** The false-positive rate of AVSBench-Robust: the fraction of a frame's pixels that are marked. */
  readonly fpr: number;
  /** The fraction of the pixels outside of the true objects that are marked. */
  readonly fprOutside: number;
  /** mIoU by the corrected protocol: per frame, or per image over real frames (AVSS). */
  readonly miouCorrected: number;
}

/** The rows of a table that compares kinds of sound. */
export function robustnessRows(results: readonly SoundResult[]): RobustnessRow[] {
  return results.map(({ sound, result }) => {
    const { miou, fscore } = result.summary;
    const own =
      result.task === "avss"
        ? [result.metrics.fprPerImage, result.metrics.miouPerImage]
        : [result.metrics.fprPublishedPerBatch, result.metrics.miouPerFrame];
    const [fpr = 0, miouCorrected = 0] = own;
    return { sound, miou, fscore, fpr, fprOutside: result.metrics.fprOutside, miouCorrected };
  });
}

/** By how much the mIoU falls from the clips' own sound to another one, e.g. 0.9 for a tenth; `undefined` without either. */
export function fallOf(rows: readonly RobustnessRow[], sound: SoundCondition): number | undefined {
  const [own, other] = [rows.find((row) => row.sound === "own"), rows.find((row) => row.sound === sound)];
  if (own === undefined || other === undefined || own.miou === 0) return undefined;
  return 1 - other.miou / own.miou;
}

/** One line a row, as a terminal shows them. */
export function describeRobustness(rows: readonly RobustnessRow[]): string[] {
  const width = Math.max(...rows.map(({ sound }) => soundNotes[sound].label.length));
  const line = (name: string, cells: readonly string[]) =>
    `${name.padEnd(width)}  ${cells.map((cell) => cell.padStart(8)).join("  ")}`;
  return [
    line("sound", ["mIoU", "F-score", "FPR"]),
    ...rows.map(({ sound, miou, fscore, fpr }) =>
      line(
        soundNotes[sound].label,
        [miou, fscore, fpr].map((value) => value.toFixed(4)),
      ),
    ),
  ];
}
