/** Files that lie in a folder, whatever symbolic links say. */
import { realpath, stat } from "node:fs/promises";
import path from "node:path";

/** Whether this is a file below the folder after all symbolic links were followed. */
export async function isFileBelow(folder: string, file: string): Promise<boolean> {
  try {
    const [root, real] = await Promise.all([realpath(folder), realpath(file)]);
    return real.startsWith(path.join(root, path.sep)) && (await stat(real)).isFile();
  } catch {
    return false;
  }
}
