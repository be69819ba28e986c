/** The clips of a fine-tuning with their masks: corrected, and the model's before and after. */
import path from "node:path";
import type { ClipFiles } from "../../datasets/avsbench/layout.js";
import { listClips } from "../../datasets/avsbench/open-dataset.js";
import { predictedMaskFile } from "../../evaluation/mask-writer.js";
import type { ComparedClip, ComparedPicture } from "../fine-tuning.js";
import { isFileBelow } from "./contained-file.js";
import type { FineTuningFolder } from "./fine-tuning-folder.js";
import { RequestError } from "./requests.js";

/** The clips with their mIoU, as far as they are evaluated. */
export async function comparedClips(folder: FineTuningFolder): Promise<ComparedClip[]> {
  const { files } = await clipsOf(folder);
  const [before, after] = await Promise.all([folder.evaluation("before"), folder.evaluation("after")]);
  return files.map(({ id, frames }) => ({
    id,
    frames: frames.length,
    before: before?.clips.find((clip) => clip.id === id)?.miou,
    after: after?.clips.find((clip) => clip.id === id)?.miou,
  }));
}

/** The file of a picture. Throws `RequestError` for one that is missing. */
export async function comparedPicture(
  folder: FineTuningFolder,
  { clip: id, frame, of }: { readonly clip: string; readonly frame: number; readonly of: ComparedPicture },
): Promise<string> {
  const { folder: data, files } = await clipsOf(folder);
  const clip = files.find((other) => other.id === id);
  const file = clip && fileOf({ folder, data, clip, frame, of });
  if (file && (await isFileBelow(folder.path, file))) return file;
  throw new RequestError(404, "there is no such picture", "Wait until the clips are evaluated.");
}

const clipsOf = ({ settings, data }: FineTuningFolder) =>
  listClips({ task: settings.task, root: data, split: "train" });

function fileOf(options: {
  readonly folder: FineTuningFolder;
  /** The folder of the task. */
  readonly data: string;
  readonly clip: ClipFiles;
  readonly frame: number;
  readonly of: ComparedPicture;
}): string | undefined {
  const { folder, data, clip, frame, of } = options;
  if (of === "before" || of === "after") return predictedMaskFile(folder.folderOf(of), clip, frame);
  const name = (of === "frame" ? clip.frames : clip.masks)[frame];
  return name && path.join(data, name);
}
