/** The reviewed list of pictures, recordings and backgrounds, with class, side, license and credit. */
import { readFile } from "node:fs/promises";
import * as z from "zod";
import { DatasetError } from "../../errors.js";
import { packagePath } from "../../node/paths.js";
import { parseTable } from "../avsbench/table.js";
import { type PackageName, packageNames } from "./sources/packages.js";

/**
 * Where a source is used: in training and validation clips, in test clips, or in the clips of classes that training
 * never meets.
 */
export type Side = "train" | "test" | "unseen";

/** All sides. */
export const allSides = ["train", "test", "unseen"] as const satisfies readonly Side[];

const side = z.enum(allSides);
const origin = {
  side,
  package: z.enum(packageNames),
  file: z.string().min(1),
  license: z.string().min(1),
  credit: z.string().min(1),
};
const className = z.string().regex(/^[a-z]+(-[a-z]+)*$/);
const named = z.object({ class: className, ...origin });
const classInfo = z.object({
  class: className,
  group: z.string().min(1),
  moves: z.enum(["walks", "rolls", "air", "still"]),
});
const background = z.object(origin);

/** Who made a file, and under which license. */
export interface Origin {
  readonly side: Side;
  readonly package: PackageName;
  /** As in `PackageFiles.read`. */
  readonly file: string;
  /** An SPDX identifier where there is one. */
  readonly license: string;
  readonly credit: string;
}

/** A photograph of an object, or a recording, of a class. */
export interface Source extends Origin {
  readonly class: string;
}

/** How objects of a class move: along the ground, on wheels or water, through the air, or not at all. */
export type Motion = "walks" | "rolls" | "air" | "still";

/** What scenes need to know about a class. */
export interface ClassInfo {
  readonly class: string;
  /** Classes of a group look or sound alike. */
  readonly group: string;
  readonly moves: Motion;
}

/** Everything that scenes are composed of. */
export interface Catalog {
  readonly classes: ReadonlyMap<string, ClassInfo>;
  readonly pictures: readonly Source[];
  readonly recordings: readonly Source[];
  readonly backgrounds: readonly Origin[];
  /** Recordings of places, to lie below the others. */
  readonly ambiences: readonly Source[];
}

/** The class of recordings of places in the table. */
const ambienceClass = "ambience";

/** What the metadata of a clip and the manifest call a source: `tuxpaint/animals/birds/owl.png`. */
export function sourceId({ package: name, file }: Origin): string {
  return `${name}/${file}`;
}

/** Reads the catalog of a folder, by default the shipped one. Throws `DatasetError` naming the row that is malformed. */
export async function readCatalog(folder = packagePath("assets", "photo-sounds")): Promise<Catalog> {
  const [classes, pictures, sounds, backgrounds] = await Promise.all([
    readRows(`${folder}/classes.csv`, classInfo),
    readRows(`${folder}/pictures.csv`, named),
    readRows(`${folder}/recordings.csv`, named),
    readRows(`${folder}/backgrounds.csv`, background),
  ]);
  const known = new Map(classes.map((info) => [info.class, info]));
  for (const { class: name, file } of pictures) if (!known.has(name)) throw unknownClass(folder, name, file);
  return {
    classes: known,
    pictures,
    recordings: sounds.filter((sound) => sound.class !== ambienceClass),
    ambiences: sounds.filter((sound) => sound.class === ambienceClass),
    backgrounds,
  };
}

function unknownClass(folder: string, name: string, file: string): DatasetError {
  return new DatasetError(`${folder}/pictures.csv: ${file}: the class ${name} is not in classes.csv`, {
    hint: "Add the class to classes.csv with its group and how it moves.",
  });
}

async function readRows<T>(file: string, schema: z.ZodObject & z.ZodType<T>): Promise<T[]> {
  const text = await readFile(file, "utf8");
  const table = parseTable(text, { source: file, required: Object.keys(schema.shape) });
  return table.rows.map(({ line, values }) => {
    const row = schema.safeParse(values);
    if (row.success) return row.data;
    const [issue] = row.error.issues;
    throw new DatasetError(`${file} line ${line}: ${issue?.path.join(".")}: ${issue?.message}`, {
      hint: "Correct the row of the catalog.",
    });
  });
}

/** The packages that the sources of `sides` come from, in the order of the catalog. */
export function packagesOf(catalog: Catalog, sides: readonly Side[]): PackageName[] {
  const all = [...catalog.pictures, ...catalog.recordings, ...catalog.ambiences, ...catalog.backgrounds];
  return [...new Set(all.filter(({ side: of }) => sides.includes(of)).map((origin) => origin.package))];
}

/** The classes of the recordings of a side, sorted: those that can sound there. */
export function soundingClasses(catalog: Catalog, of: Side): string[] {
  const seen = new Set(catalog.pictures.filter((picture) => picture.side === of).map((p) => p.class));
  const heard = catalog.recordings.filter((sound) => sound.side === of).map((sound) => sound.class);
  return [...new Set(heard)].filter((name) => seen.has(name)).sort();
}

/** The class names of the AVSS form, background first: every class that sounds on any side. */
export function classNames(catalog: Catalog): string[] {
  const all = allSides.flatMap((of) => soundingClasses(catalog, of));
  return ["background", ...[...new Set(all)].sort()];
}
