/**
 * `node dist/bench/peers/tables.js`: writes the newest table of each model and kind of processor in
 * `bench/results/*-peers*.json` into `docs/guides/speed.md`, between its two markers.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Machine } from "../machine.js";
import { root } from "../results-file.js";
import { type Contestant, contestants, type PeerModel, peerModels, type Race } from "./race.js";

/** A file of results. */
type Races = { readonly machine: Machine; readonly command: string } & Readonly<
  Partial<Record<PeerModel, Race>>
>;

const titles: Readonly<Record<PeerModel, string>> = { "pvt-v2-b5": "PVTv2-B5", "pvt-v2-b0": "PVTv2-B0" };
const start = "<!-- Made by `node dist/bench/peers/tables.js`. -->";
const end = "<!-- End of what it made. -->";
const page = path.join(root, "docs", "guides", "speed.md");
const results = path.join(root, "bench", "results");

/** A race as a table of Markdown, and who did not run. */
export function raceTable({ results: found, skipped }: Race): string {
  const names = Object.keys(contestants) as Contestant[];
  const first = names.flatMap((name) => found[name] ?? [])[0];
  const rows = names.flatMap((name) => {
    const result = found[name];
    if (result === undefined || first === undefined) return [];
    const cells = [
      `${contestants[name]}${result.version === undefined ? "" : ` ${result.version}`}`,
      `${result.seconds.toFixed(2)} s`,
      (result.seconds / first.seconds).toFixed(2),
      `${(result.peakResidentBytes / 1e9).toFixed(2)} GB`,
      `${result.openSeconds.toFixed(1)} s`,
      `${(100 * result.flippedFraction).toFixed(2)}%`,
    ];
    return [`| ${cells.join(" | ")} |`];
  });
  const missing = names.flatMap((name) =>
    skipped[name] === undefined ? [] : [`${contestants[name]} did not run: ${skipped[name]}.`],
  );
  return [
    "| | a clip | relative | peak memory | first mask after | pixels flipped |",
    "|---|---|---|---|---|---|",
    ...rows,
    ...(missing.length > 0 ? ["", ...missing] : []),
  ].join("\n");
}

/** The tables of a model, one for each kind of processor by the first of `files` that has one, and where they were measured. */
function newestTables(model: PeerModel, files: readonly string[]): string[] {
  const kinds = new Set<string>();
  return files.flatMap((file) => {
    const {
      machine,
      command,
      [model]: race,
    }: Races = JSON.parse(readFileSync(path.join(results, file), "utf8"));
    const { processor, instructionSet, threads } = machine;
    if (race === undefined || kinds.has(instructionSet)) return [];
    kinds.add(instructionSet);
    const [load = 0] = race.load;
    const where = `${processor} (${instructionSet}), ${threads} threads, load ${load.toFixed(0)}, ${file.slice(0, 10)}`;
    return [
      `**${titles[model]}**, medians of ${race.rounds} rounds: ${where}, \`${command}\`; from \`bench/results/${file}\`.`,
      raceTable(race),
    ];
  });
}

/** The page as it is, and as it should be by the newest results of each model. */
export function speedPage(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(page, "utf8");
  const files = readdirSync(results)
    .filter((name) => /-peers(-[a-z0-9-]+)?\.json$/.test(name))
    .sort()
    .reverse();
  const [before, rest] = found.split(`${start}\n`);
  const after = rest?.split(end)[1];
  if (files.length === 0 || before === undefined || after === undefined) {
    throw new Error(`${page}: expected the markers ${start} and ${end}, and results in ${results}`);
  }
  const tables = (Object.keys(peerModels) as PeerModel[]).flatMap((model) => newestTables(model, files));
  const made = tables.join("\n\n");
  return { found, expected: `${before}${start}\n\n${made}\n\n${end}${after}` };
}

if (process.argv[1] === import.meta.filename) writeFileSync(page, speedPage().expected);
