/** Unpacks the zip of a dataset that the page made. */
import type { Task } from "../../datasets/clip.js";
import { writeFileAtomic } from "../../node/files.js";
import { safeJoin } from "../../node/paths.js";
import { withFileSource } from "../../weights/node/file-source.js";
import { readZipEntries, readZipEntry } from "../../weights/torch/zip.js";
import { RequestError } from "./requests.js";

/** What a dataset of corrected clips may have: about 1,000 clips. */
const maxFiles = 20_000;
const maxBytes = 2 ** 31;
/** Plain names below the folder of a task; none of them begins with a dot. */
const datasetPath = /^(Multi-sources|AVSS)(?:\/[\w-][\w.-]*)+$/;

/**
 * Unpacks a dataset into `folder` and says of which task it is. Throws `RequestError` for one that is too large or has
 * files of other names, `CheckpointError` for a damaged zip, `OutputError`; files that were written by then stay.
 */
export async function unpackDataset(zip: string, folder: string): Promise<Extract<Task, "ms3" | "avss">> {
  return withFileSource(zip, async (source) => {
    const entries = [...(await readZipEntries(source)).values()];
    const bytes = entries.reduce((sum, { size }) => sum + size, 0);
    if (entries.length > maxFiles || bytes > maxBytes) {
      throw new RequestError(
        413,
        `the dataset has ${entries.length} files of ${bytes} bytes, expected at most ${maxFiles} of ${maxBytes}`,
        "Correct fewer clips.",
      );
    }
    const folders = new Set(entries.map(({ name }) => datasetPath.exec(name)?.[1]));
    const [first] = folders;
    if (first === undefined || folders.size !== 1) {
      throw new RequestError(
        400,
        "the dataset has files that a dataset of corrected clips does not have",
        "Reload the page, and start the fine-tuning again.",
      );
    }
    for (const entry of entries) {
      const target = safeJoin(folder, ...entry.name.split("/"));
      await writeFileAtomic(target, await readZipEntry(source, entry), { durable: false });
    }
    return first === "AVSS" ? "avss" : "ms3";
  });
}
