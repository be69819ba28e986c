/** A dataset as a zip, or in a folder that the user chose. */
import { fillArchive } from "./archive";
import { type AddFile, type DatasetRequest, writeDataset } from "./dataset";
import { datasetName } from "./names";

/** Where a dataset goes. */
export interface SaveDatasetRequest extends DatasetRequest {
  /** Default: a zip. */
  readonly folder?: FileSystemDirectoryHandle | undefined;
}

/** Saves a dataset; gives the zip, where there is no folder for it. */
export async function saveDataset({ folder, ...request }: SaveDatasetRequest): Promise<File | undefined> {
  const name = datasetName(request.file.name);
  if (!folder) return fillArchive(`${name}.zip`, (zip) => writeDataset(request, zip.add));
  const target = await folder.getDirectoryHandle(name, { create: true });
  await writeDataset(request, intoFolder(target));
  return undefined;
}

function intoFolder(root: FileSystemDirectoryHandle): AddFile {
  return async (path, content) => {
    const parts = path.split("/");
    const name = parts.pop() ?? path;
    let folder = root;
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true });
    const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
    await writable.write(content);
    await writable.close();
  };
}
