/** Folders of Google Drive: what they list, and which of their files is the weights that are wanted. */
import { CheckpointError, listSome } from "../../errors.js";
import type { PublishedTask, PublishedVisual } from "../public/public-weights.js";
import { type FetchOptions, requestPage } from "./body.js";
import { type FolderEntry, pageMeaning } from "./page.js";
import { driveFile, endpoint } from "./source.js";

/** A file in a folder of Drive. */
export interface DriveFile {
  readonly id: string;
  /** Its path below the folder, by its name and those of the folders in between. */
  readonly path: string;
}

/** Folders of weights have a few entries; deep or endless ones are not followed. */
const limits = { depth: 3, folders: 40, files: 2000 };

/**
 * The files of a folder and of the folders in it, in the order of the listings.
 * Throws `CheckpointError` when the folder is not public or does not exist.
 */
export async function listDriveFolder(id: string, options: FetchOptions = {}): Promise<DriveFile[]> {
  const files: DriveFile[] = [];
  const seen = new Set<string>();
  const walk = async (folder: string, below: string, depth: number): Promise<void> => {
    if (seen.has(folder) || seen.size >= limits.folders) return;
    seen.add(folder);
    for (const entry of await entriesOf(folder, options)) {
      const path = `${below}${entry.name.replaceAll("/", "_")}`;
      if (entry.isFolder && depth < limits.depth) await walk(entry.id, `${path}/`, depth + 1);
      if (!entry.isFolder && files.length < limits.files) files.push({ id: entry.id, path });
    }
  };
  await walk(id, "", 0);
  return files;
}

/** The entries of one folder: from the view for other sites, which lists them all, else from the folder's own page. */
async function entriesOf(id: string, options: FetchOptions): Promise<readonly FolderEntry[]> {
  const drive = endpoint("drive", options.env ?? process.env);
  const page = `https://drive.google.com/drive/folders/${encodeURIComponent(id)}`;
  const query = new URLSearchParams({ id });
  const view = await requestPage({ url: `${drive}/embeddedfolderview?${query}`, page }, options).catch(
    (error: unknown) => {
      if (error instanceof CheckpointError) return undefined; // the folder's own page says more
      throw error;
    },
  );
  if (view !== undefined && view.entries.length > 0) return view.entries;
  const own = await requestPage({ url: `${drive}/drive/folders/${encodeURIComponent(id)}`, page }, options);
  const listed = own.folderScripts.flatMap(scriptEntries);
  if (listed.length > 0) return listed;
  if (pageMeaning(own) === "sign-in" || (view && pageMeaning(view) === "sign-in")) {
    throw new CheckpointError(`${page}: the folder is not public`, {
      hint: `Sign in and open ${page} in a browser, download the file there, and pass it to \`avseg weights pull\` with --from FILE.`,
    });
  }
  return [];
}

/** The entries in the script of a folder's own page: a JSON array in a JavaScript string. */
function scriptEntries(script: string): FolderEntry[] {
  const [, encoded] = [...script.matchAll(/'((?:[^'\\]|\\.)*)'/g)].map((match) => match[1] ?? "");
  if (encoded === undefined) return [];
  const json = encoded.replace(/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|.)/gi, (_, code: string) =>
    /^[xu]../i.test(code) ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : (escapes[code] ?? code),
  );
  let listed: unknown;
  try {
    listed = JSON.parse(json);
  } catch {
    return [];
  }
  const entries: unknown = Array.isArray(listed) ? listed[0] : undefined;
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry: unknown): FolderEntry[] => {
    const [id, , name, type]: unknown[] = Array.isArray(entry) ? entry : [];
    if (typeof id !== "string" || typeof name !== "string") return [];
    return [{ id, name, isFolder: type === "application/vnd.google-apps.folder" }];
  });
}

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" };

/** What the wanted weights are. */
export interface WantedFile {
  readonly name: string;
  readonly task: PublishedTask;
  readonly visual: PublishedVisual;
}

/** How names say the task. Underscores and digits separate as hyphens do. */
const taskWords = {
  s4: /(?<![a-z0-9])(?:s4|single)/i,
  ms3: /(?<![a-z0-9])(?:ms3|multi)/i,
  avss: /(?<![a-z0-9])(?:avss|semantic)/i,
} as const;

/** How names say the visual encoder. */
const visualWords = { "pvt-v2-b5": /pvt/i, resnet50: /res(?:net)?[-_ ]?50|(?<![a-z0-9])r50/i } as const;

/**
 * The files among which the wanted weights are, the likeliest first: those whose name, or else the name of a folder
 * above them, says the task and the encoder; else those that say the task alone, which their content must tell apart.
 * Throws `CheckpointError` that lists the files if no file, or several, are equally likely.
 */
export function findInFolder(
  files: readonly DriveFile[],
  wanted: WantedFile,
  { page, env }: { readonly page: string; readonly env: Readonly<Record<string, string | undefined>> },
): DriveFile[] {
  const weights = files.filter(({ path }) => /\.(?:pth|pt|pkl|ckpt|bin|safetensors)$/i.test(path));
  const said = weights.map((file) => ({
    file,
    task: lastSaid(file.path, taskWords),
    visual: lastSaid(file.path, visualWords),
  }));
  const ofTask = said.filter(({ task }) => task === wanted.task);
  const exact = ofTask.filter(({ visual }) => visual === wanted.visual).map(({ file }) => file);
  const open = ofTask.filter(({ visual }) => visual === undefined).map(({ file }) => file);
  const best = exact.filter(({ path }) => /best/i.test(path));
  if (exact.length === 1) return exact;
  if (best.length === 1) return best;
  if (exact.length === 0 && open.length > 0 && open.length <= 3) return open;
  const only = weights.length === 1 && said[0]?.task === undefined ? said[0]?.file : undefined;
  if (only !== undefined) return [only];
  const candidates = exact.length > 0 ? exact : open.length > 0 ? open : files;
  const listed = candidates.map(({ id, path }) => `${path} (${driveFile(id, env).page})`);
  const found = listed.length === 0 ? "no files" : listSome(listed, 12);
  throw new CheckpointError(
    `${page}: cannot tell which file is ${wanted.name}${exact.length > 1 ? ", as several are named so" : ""}: found ${found}`,
    { hint: "Pass the address of the right file, or the file, with --from." },
  );
}

/** Which of the words the name of a file says, or else that of the nearest folder above it that says one. */
function lastSaid<K extends string>(path: string, words: Readonly<Record<K, RegExp>>): K | undefined {
  for (const part of path.split("/").reverse()) {
    const separated = part.replaceAll("_", "-");
    for (const word in words) if (words[word].test(separated)) return word;
  }
  return undefined;
}
