/** What the clips of PhotoSounds are made of: a record of each, and the table of all sources. */
import * as z from "zod";
import { formatTable } from "../avsbench/table.js";
import { readTextIfAny } from "../generated/folder.js";
import { type Catalog, type Origin, sourceId } from "./catalog.js";
import type { PhotoClipPlan } from "./plan.js";

const recordSchema = z.object({
  id: z.string(),
  split: z.enum(["train", "val", "test"]),
  /** The folder of the clip in AVSBench's layout. */
  category: z.string(),
  background: z.string().optional(),
  ambience: z.string().optional(),
  objects: z.array(
    z.object({
      class: z.string(),
      picture: z.string(),
      recording: z.string().optional(),
      /** Whether it sounds in each second. */
      sounding: z.array(z.boolean()),
    }),
  ),
});
/** What a finished clip shows and plays, and the sources of both. */
export type ClipRecord = z.infer<typeof recordSchema>;

/** The records of finished clips, by name. A last line that was cut off is left out. */
export async function readClipLog(file: string): Promise<Map<string, ClipRecord>> {
  const records = new Map<string, ClipRecord>();
  for (const line of ((await readTextIfAny(file)) ?? "").split("\n")) {
    try {
      const record = recordSchema.parse(JSON.parse(line));
      records.set(record.id, record);
    } catch {
      // Written when the process was killed; the clip is made again.
    }
  }
  return records;
}

/** The record of a planned clip. */
export function recordOf(
  { background, ambience, objects, sounding }: PhotoClipPlan,
  clip: Pick<ClipRecord, "id" | "split" | "category">,
): ClipRecord {
  return {
    ...clip,
    background: background && sourceId(background),
    ambience: ambience && sourceId(ambience),
    objects: objects.map(({ picture, recording }, i) => ({
      class: picture.class,
      picture: sourceId(picture),
      recording: recording && sourceId(recording),
      sounding: sounding.map((step) => step[i] === true),
    })),
  };
}

/** Names of what sounds in a clip, each once. */
export function soundingNames({ objects }: ClipRecord): string[] {
  return [
    ...new Set(objects.filter(({ sounding }) => sounding.includes(true)).map((object) => object.class)),
  ];
}

/** The table of everything that the clips show and play, with license and credit. */
export function sourcesOf(catalog: Catalog, records: readonly ClipRecord[]): string {
  const uses = new Map<string, number>();
  for (const { background, ambience, objects } of records) {
    const ids = [background, ambience, ...objects.flatMap(({ picture, recording }) => [picture, recording])];
    for (const id of ids) if (id !== undefined) uses.set(id, (uses.get(id) ?? 0) + 1);
  }
  const table = (kind: string, origins: readonly (Origin & { readonly class?: string })[]): string[][] =>
    origins
      .filter((origin) => uses.has(sourceId(origin)))
      .map((origin) => [
        kind,
        origin.class ?? "",
        origin.side,
        sourceId(origin),
        origin.license,
        origin.credit,
        String(uses.get(sourceId(origin))),
      ]);
  return formatTable(
    ["kind", "class", "side", "source", "license", "credit", "uses"],
    [
      ...table("picture", catalog.pictures),
      ...table("recording", catalog.recordings),
      ...table("ambience", catalog.ambiences),
      ...table("background", catalog.backgrounds),
    ],
  );
}
