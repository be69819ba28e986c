/**
 * `node dist/bench/peers/tables.js`: writes the tables of the newest `bench/results/*-peers.json` into `docs/guides/speed.md`,
 * between its two markers.
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

/** What stands between the markers. */
function tables(file: string): string {
  const races: Races = JSON.parse(readFileSync(file, "utf8"));
  const { processor, instructionSet, threads } = races.machine;
  const parts = (Object.keys(peerModels) as PeerModel[]).flatMap((model) => {
    const race = races[model];
    return race === undefined
      ? []
      : [`**${titles[model]}**, medians of ${race.rounds} rounds:`, raceTable(race)];
  });
  const date = path.basename(file).slice(0, 10);
  const where = `${processor} (${instructionSet}), ${threads} threads, ${date}, \`${races.command}\``;
  return [`${where}; from \`bench/results/${path.basename(file)}\`.`, ...parts].join("\n\n");
}

/** The page as it is, and as it should be by the newest results. */
export function speedPage(): { readonly found: string; readonly expected: string } {
  const found = readFileSync(page, "utf8");
  const newest = readdirSync(results)
    .filter((name) => name.endsWith("-peers.json"))
    .sort()
    .at(-1);
  const [before, rest] = found.split(`${start}\n`);
  const after = rest?.split(end)[1];
  if (newest === undefined || before === undefined || after === undefined) {
    throw new Error(`${page}: expected the markers ${start} and ${end}, and results in ${results}`);
  }
  const made = tables(path.join(results, newest));
  return { found, expected: `${before}${start}\n\n${made}\n\n${end}${after}` };
}

if (process.argv[1] === import.meta.filename) writeFileSync(page, speedPage().expected);
