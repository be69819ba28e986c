/**
 * `npm run bench -- --peers [--python PATH] [--rounds N] [--prepare] [--only NAME,...] [--limit SECONDS] [MODEL...]`: the
 * same model with the same weights in avseg, PyTorch, ONNX Runtime and OpenVINO; see `race.ts`. Adds to
 * `bench/results/<date>-peers-<instructions>.json`, from which `node dist/bench/peers/tables.js` makes the tables of `docs/guides/speed.md`.
 * The Python is that of `--python`, of the variable `PYTHON`, or `python3`; `--prepare` makes the files of the models only,
 * in a folder of the system's temporary ones. Whoever gives no mask within `--limit` is left out. Default: 540.
 */
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { machine } from "../machine.js";
import { addToResults } from "../results-file.js";
import {
  type Contestant,
  contestants,
  type PeerModel,
  peerModels,
  prepareRace,
  type Race,
  race,
} from "./race.js";
import { raceTable } from "./tables.js";

/** The arguments that name `known` things; all of them without arguments. Throws for another. */
function chosen<T extends string>(names: readonly string[], known: Readonly<Record<T, unknown>>): T[] {
  const all = Object.keys(known) as T[];
  if (names.length === 0) return all;
  return names.map((name) => {
    const found = all.find((one) => one === name);
    if (found === undefined) throw new Error(`${name}: expected one of ${all.join(", ")}`);
    return found;
  });
}

/** Runs the races that the arguments ask for. */
export async function benchPeers(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      python: { type: "string", default: process.env.PYTHON ?? "python3" },
      rounds: { type: "string", default: "7" },
      prepare: { type: "boolean", default: false },
      only: { type: "string" },
      limit: { type: "string", default: "540" },
    },
    allowPositionals: true,
  });
  const names = chosen<Contestant>(values.only?.split(",") ?? [], contestants);
  for (const model of chosen<PeerModel>(positionals, peerModels)) {
    const folder = path.join(tmpdir(), "avseg-bench-peers", model);
    const options = { model, python: values.python, folder, names, limitSeconds: Number(values.limit) };
    const skipped = await prepareRace(options);
    if (values.prepare) continue;
    const command = "npm run bench -- --peers";
    const here = machine();
    const instructions = here.instructionSet.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    const keep = (soFar: Race): string =>
      addToResults(`peers-${instructions}`, { command, machine: here, [model]: soFar });
    const result = await race({ ...options, skipped, rounds: Number(values.rounds), onRound: keep });
    process.stdout.write(`${raceTable(result)}\nwritten to ${path.relative(process.cwd(), keep(result))}\n`);
  }
}
