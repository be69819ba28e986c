/** What sounds when: stretches of time with one class, and their forms as tables and subtitles. */

/** A class that sounds for a while. */
export interface SoundingInterval {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly class: string;
  /** Means over the masks of the interval. */
  readonly confidence: number;
  readonly areaFraction: number;
}

/** The classes in one mask. */
interface MarkedFrame {
  readonly objects: readonly {
    readonly class: string;
    readonly confidence: number;
    readonly areaFraction: number;
  }[];
}

/** Which time masks stand for. */
export interface MaskTimes {
  /** Masks per second. */
  readonly perSecond: number;
  /** When the first one begins. */
  readonly startSeconds: number;
  /** When the last one ends, at the latest. */
  readonly endSeconds: number;
}

/** An interval that is not over. */
interface Open {
  readonly from: number;
  count: number;
  confidence: number;
  areaFraction: number;
}

/** The intervals of all classes by their starts: a class continues as long as every mask has it. */
export function soundingIntervals(
  frames: readonly MarkedFrame[],
  { perSecond, startSeconds, endSeconds }: MaskTimes,
): SoundingInterval[] {
  const open = new Map<string, Open>();
  const intervals: SoundingInterval[] = [];
  const timeOf = (mask: number) => Math.min(startSeconds + mask / perSecond, endSeconds);
  for (let i = 0; i <= frames.length; i++) {
    const objects = frames[i]?.objects ?? [];
    for (const [name, { from, count, confidence, areaFraction }] of open) {
      if (objects.some((object) => object.class === name)) continue;
      open.delete(name);
      const [start, end] = [timeOf(from), timeOf(i)];
      const means = { confidence: confidence / count, areaFraction: areaFraction / count };
      intervals.push({ startSeconds: start, endSeconds: end, class: name, ...means });
    }
    for (const { class: name, confidence, areaFraction } of objects) {
      const current = open.get(name) ?? { from: i, count: 0, confidence: 0, areaFraction: 0 };
      current.count++;
      current.confidence += confidence;
      current.areaFraction += areaFraction;
      open.set(name, current);
    }
  }
  return intervals.sort((a, b) => a.startSeconds - b.startSeconds || a.endSeconds - b.endSeconds);
}

/** A table with a header, for spreadsheets. */
export function intervalsCsv(intervals: readonly SoundingInterval[]): string {
  const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = intervals.map((interval) =>
    [
      interval.startSeconds.toFixed(3),
      interval.endSeconds.toFixed(3),
      quoted(interval.class),
      interval.confidence.toFixed(4),
      interval.areaFraction.toFixed(4),
    ].join(","),
  );
  return ["start,end,class,confidence,area_fraction", ...rows, ""].join("\n");
}

/** WebVTT, for players: a cue per interval. */
export function intervalsVtt(intervals: readonly SoundingInterval[]): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const clock = (seconds: number) => {
    const ms = Math.round(seconds * 1000);
    const [s, m, h] = [Math.floor(ms / 1000) % 60, Math.floor(ms / 60_000) % 60, Math.floor(ms / 3_600_000)];
    return `${two(h)}:${two(m)}:${two(s)}.${String(ms % 1000).padStart(3, "0")}`;
  };
  const escaped = (text: string) =>
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const cues = intervals.map(
    ({ startSeconds, endSeconds, class: name }) =>
      `\n${clock(startSeconds)} --> ${clock(endSeconds)}\n${escaped(name)}\n`,
  );
  return `WEBVTT\n${cues.join("")}`;
}
