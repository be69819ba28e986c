/**
 * `node dist/bench/listening.js [FOLDER [NAME...] [--set KEY=VALUE]...]`: whether the systems that can be trained listen. Trains
 * each with its configuration in `config/soundshapes/` on 400 generated clips and evaluates 64 others with their own and with
 * swapped sounds; `demo` is the model that comes with avseg, evaluated as it is. A system listens if swapped sounds halve its
 * mIoU at least; the exit code is 1 if one does not. Prints a table for docs/log.md. FOLDER (default: `work_dir/listening`) keeps
 * data and runs; a repeated call resumes them. NAME: the configurations. Default: all. SelM and DenseAV are not trained here.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import * as z from "zod";

const root = path.resolve(import.meta.dirname, "..", "..");
const [, , given, ...rest] = process.argv;
const folder = path.resolve(given ?? path.join(root, "work_dir", "listening"));
const data = path.join(folder, "data");
const demoModel = path.join("assets", "soundshapes", "demo.safetensors");
const firstOption = rest.findIndex((argument) => argument.startsWith("--"));
const names = firstOption === -1 ? rest : rest.slice(0, firstOption);
const overrides = rest.slice(names.length);
/** Configurations below `config/soundshapes/`, and the model that comes with avseg. */
const known = ["demo", "s4", "avsegformer-s4", "tpavi-s4"];
const unknown = names.filter((name) => !known.includes(name));
if (unknown.length > 0) throw new Error(`${unknown}: expected some of ${known.join(", ")}`);

/** Runs `avseg`; gives what it prints. */
function avseg(...args: readonly string[]): string {
  const command = [path.join(root, "dist", "src", "cli", "main.js"), ...args];
  const stdio = ["ignore", "pipe", "inherit"] as const;
  return execFileSync(process.execPath, command, { cwd: root, encoding: "utf8", stdio: [...stdio] });
}

/** Trains with a configuration, or resumes it; gives the best checkpoint. */
function trained(name: string, config: string, set: readonly string[]): string {
  const run = path.join(folder, name);
  avseg("train", "s4", config, ...set, "--out", run, "--resume");
  return path.join(run, "best.safetensors");
}

/** What `avseg eval --json` prints of several kinds of sound. */
const evaluationSchema = z.object({ sounds: z.array(z.object({ sound: z.string(), miou: z.number() })) });

if (!existsSync(data)) {
  const counts = ["--train", "400", "--val", "24", "--test", "64"];
  avseg("data", "synth", "s4", "--out", data, ...counts, "--size", "112");
}
console.log("| configuration | mIoU, own sounds | mIoU, swapped sounds | listens |\n|---|---|---|---|");
for (const name of names.length > 0 ? names : known) {
  const config = path.join("config", "soundshapes", `${name === "demo" ? "s4" : name}.yaml`);
  const set = ["--set", `data.root=${data}`, "--set", "data.audioCache=false", ...overrides];
  const checkpoint = name === "demo" ? demoModel : trained(name, config, set);
  const sound = ["--sound", "own,swapped", "--no-report", "--json"];
  const evaluation = avseg("eval", "s4", config, checkpoint, ...set, ...sound);
  const { sounds } = evaluationSchema.parse(JSON.parse(evaluation));
  const [own = Number.NaN, swapped = Number.NaN] = sounds.map(({ miou }) => miou);
  const listens = swapped <= own / 2;
  if (!listens) process.exitCode = 1;
  console.log(`| ${name} | ${own.toFixed(3)} | ${swapped.toFixed(3)} | ${listens ? "yes" : "**no**"} |`);
}
