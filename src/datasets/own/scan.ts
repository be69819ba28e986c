/** Finds labeled videos in a folder, and the five-second windows of them that can become clips. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { DatasetError } from "../../errors.js";
import { probeVideo } from "../../media/node/probe-video.js";
import type { VideoInfo } from "../../media/video.js";
import { isVideoName } from "../../media/video-names.js";
import type { Task } from "../clip.js";

/** Seconds, and so frames and masks, of an imported clip. */
export const clipSteps = 5;

/** A video with its mask files by second. */
export interface LabeledVideo {
  readonly info: VideoInfo;
  /** Unique, and safe in paths and tables. */
  readonly name: string;
  /** The subfolder in which the video lies. */
  readonly category: string;
  readonly masks: ReadonlyMap<number, string>;
}

/** The content of a folder. */
export interface VideoFolder {
  readonly path: string;
  /** Paths of all its files, sorted. */
  readonly files: readonly string[];
  /** The videos that have masks, in the order of their paths. */
  readonly videos: readonly LabeledVideo[];
}

/** Five seconds of a video that become a clip. */
export interface ClipWindow {
  readonly video: LabeledVideo;
  /** The first second. */
  readonly start: number;
  /** Whether all five seconds have masks. */
  readonly complete: boolean;
}

/** Files of a folder that are left out for the same reason. */
export interface UnusedFiles {
  /** Why, as a clause: `as no clip of five seconds takes them`. */
  readonly reason: string;
  /** Paths below the folder, sorted. */
  readonly files: readonly string[];
}

const picturePattern = /\.(png|jpe?g)$/i;

/**
 * Lists a folder and reads the headers of its labeled videos. Throws `DatasetError` when there are none, when one has
 * no sound, or when two masks claim the same second; `MediaError` for a video that cannot be read.
 */
export async function scanFolder(folder: string, signal?: AbortSignal): Promise<VideoFolder> {
  const status = await stat(folder).catch(() => undefined);
  if (!status?.isDirectory()) {
    throw new DatasetError(`${folder}: expected a folder of videos and masks`, { hint: "Check the path." });
  }
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const found = files.filter(isVideoName);
  const videos: LabeledVideo[] = [];
  const names = new Set<string>();
  for (const file of found) {
    signal?.throwIfAborted();
    const masks = await findMasks(maskFolderOf(file));
    if (masks.size === 0) continue;
    const info = await probeVideo(file, { signal });
    if (!info.audioTrack) {
      throw new DatasetError(`${file}: the video has no sound, which a model needs to learn what sounds`, {
        hint: "Remove the video, or add its sound.",
      });
    }
    const [category = "object"] = path.relative(folder, path.dirname(file)).split(path.sep).filter(Boolean);
    videos.push({ info, name: uniqueName(file, names), category: plainName(category), masks });
  }
  if (videos.length > 0) return { path: folder, files, videos };
  throw new DatasetError(`${folder}: found ${found.length} videos, none with a folder of masks beside it`, {
    hint: "Put the masks of clip.mp4 into the folder clip: clip/0.png, clip/1.png, ...",
  });
}

/** The folder that holds the masks of a video: its path without the extension. */
function maskFolderOf(video: string): string {
  return path.join(path.dirname(video), path.parse(video).name);
}

/** Mask files by second. Throws `DatasetError` when two claim the same one. */
async function findMasks(folder: string): Promise<Map<number, string>> {
  const masks = new Map<number, string>();
  const names = await readdir(folder).catch(() => []);
  for (const name of names.sort()) {
    const second = /(\d+)\.png$/i.exec(name)?.[1];
    if (second === undefined) continue;
    const other = masks.get(Number(second));
    if (other !== undefined) {
      throw new DatasetError(
        `${folder}: ${path.basename(other)} and ${name} are both masks of second ${Number(second)}`,
        { hint: "Keep one of them." },
      );
    }
    masks.set(Number(second), path.join(folder, name));
  }
  return masks;
}

/** A name that is safe in paths and tables. */
function plainName(text: string): string {
  return text.replace(/[^\p{L}\p{N}_-]+/gu, "-").replace(/^-+/, "") || "clip";
}

function uniqueName(file: string, taken: Set<string>): string {
  const base = plainName(path.parse(file).name);
  let name = base;
  for (let i = 2; taken.has(name); i++) name = `${base}-${i}`;
  taken.add(name);
  return name;
}

/** The mask files of a window, as far as there are any. */
export function masksOf({ video, start }: Pick<ClipWindow, "video" | "start">): string[] {
  return Array.from({ length: clipSteps }, (_, t) => video.masks.get(start + t) ?? []).flat();
}

/** The windows of a video: they do not overlap, and start as early as masks allow. Only S4 takes incomplete ones. */
export function cutWindows(video: LabeledVideo, task: Task): ClipWindow[] {
  const windows: ClipWindow[] = [];
  const duration = video.info.durationSeconds ?? Number.POSITIVE_INFINITY;
  let from = 0;
  for (const start of [...video.masks.keys()].sort((a, b) => a - b)) {
    const complete = masksOf({ video, start }).length === clipSteps;
    const fits = start + clipSteps - 0.75 <= duration; // the last step needs a quarter of a second
    if (start < from || !fits || (task !== "s4" && !complete)) continue;
    windows.push({ video, start, complete });
    from = start + clipSteps;
  }
  return windows;
}

/** The files of a folder that no clip uses, by reason. */
export function unusedFiles(folder: VideoFolder, windows: readonly ClipWindow[]): UnusedFiles[] {
  const used = new Set(windows.flatMap(masksOf));
  const masks = new Set(folder.videos.flatMap((video) => [...video.masks.values()]));
  const labeled = new Set(folder.videos.map(({ info }) => info.path));
  const maskFolders = new Set(folder.files.filter(isVideoName).map(maskFolderOf));
  const reasonOf = (file: string): string | undefined => {
    if (isVideoName(file)) return labeled.has(file) ? undefined : "as they have no masks";
    if (!picturePattern.test(file) || used.has(file)) return undefined;
    if (masks.has(file)) return "as no clip of five seconds takes them";
    return maskFolders.has(path.dirname(file))
      ? "as a mask is a PNG file whose name ends in its second"
      : "as no video beside their folder has its name";
  };
  const byReason = new Map<string, string[]>();
  for (const file of folder.files) {
    const reason = reasonOf(file);
    if (reason === undefined) continue;
    const same = byReason.get(reason) ?? [];
    same.push(path.relative(folder.path, file));
    byReason.set(reason, same);
  }
  return [...byReason].map(([reason, files]) => ({ reason, files }));
}
