/**
 * `npm run fuzz`: changes valid files in many ways and reads them. A reader may refuse a file with an `AvsegError`;
 * any other exception, more than 2 s or 300 MB for one file, and a write outside its folder are failures.
 */
import os from "node:os";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { root } from "../test/support.js";
import type { Reader } from "./reader.js";
import { readers } from "./readers/index.js";
import { type Report, type SavedFailure, superviseReader } from "./supervise.js";

interface Options {
  readonly seed: number;
  readonly seconds?: number | undefined;
  readonly count?: number | undefined;
  readonly reader?: readonly string[] | undefined;
  readonly index?: number | undefined;
  readonly file?: string | undefined;
  readonly out: string;
}

/** Reading in other processes takes so much longer: it gets fewer inputs, and more of the time. */
const externalShare = 20;
const timeOf = ({ external }: Reader): number => (external ? 5 : 1);

const integer =
  (min: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isSafeInteger(value) && value >= min) return value;
    throw new InvalidArgumentError(`expected an integer, ${min} or more`);
  };

const names = readers.map(({ name }) => name);

const command = new Command("npm run fuzz --")
  .description("Read changed files with every reader; fail on anything but a clear refusal.")
  .option("--seed <n>", "decides all changes", integer(0), 1)
  .option("--seconds <n>", "time for all readers together; default: 60 without --count", integer(1))
  .option(
    "--count <n>",
    `inputs per reader; a reader in other processes gets a ${externalShare}th`,
    integer(1),
  )
  .addOption(new Option("--reader <name...>", "only these readers").choices(names))
  .option("--index <n>", "only this input, with one --reader", integer(0))
  .option("--file <path>", "only this file, with one --reader")
  .option("--out <dir>", "where inputs that fail are kept", path.join(os.tmpdir(), "avseg-fuzz-failures"))
  .addHelpText(
    "after",
    `
Examples:
  npm run fuzz -- --seconds 60
  npm run fuzz -- --reader torch wav --count 10000 --seed 7
  npm run fuzz -- --reader torch --seed 7 --index 1234`,
  );

async function main(options: Options): Promise<void> {
  const { seed, index, file, reader, count } = options;
  const chosen = readers.filter(({ name }) => reader === undefined || reader.includes(name));
  if ((index !== undefined || file !== undefined) && chosen.length !== 1) {
    command.error("error: --index and --file need one --reader");
  }
  const single = index !== undefined || file !== undefined;
  const seconds = options.seconds ?? (count === undefined && !single ? 60 : undefined);
  console.log(`seed ${seed}`);
  print(["reader", "inputs", "accepted", "max ms", "max MB", "failures"]);
  const reports: Report[] = [];
  const start = performance.now();
  const total = chosen.reduce((sum, one) => sum + timeOf(one), 0);
  let share = 0;
  for (const one of chosen) {
    const { name, external } = one;
    const inputs = external ? Math.ceil((count ?? 0) / externalShare) : count;
    share += timeOf(one) / total;
    const report = await superviseReader({
      reader: name,
      seed,
      first: index ?? 0,
      last: single ? (index ?? 0) + 1 : inputs || Number.MAX_SAFE_INTEGER,
      until: seconds === undefined ? undefined : start + 1000 * seconds * share,
      file: file === undefined ? undefined : path.resolve(file),
      readersModule: new URL("./readers/index.js", import.meta.url).href,
      failuresDir: path.resolve(root, options.out),
    });
    reports.push(report);
    print([
      name,
      String(report.read),
      String(report.accepted),
      report.maxMilliseconds.toFixed(0),
      report.maxMegabytes.toFixed(0),
      String(report.failures.length),
    ]);
  }
  const failures = reports.flatMap((report) => report.failures);
  for (const failure of failures) describe(failure, seed);
  if (failures.length > 0) process.exitCode = 1;
}

function print(cells: readonly string[]): void {
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(12) : cell.padStart(10))).join(""));
}

function describe({ reader, index, kind, message, stack, file }: SavedFailure, seed: number): void {
  console.error(`\n${reader}: ${kind}: ${message}`);
  if (stack !== undefined) console.error(stack.split("\n").slice(1, 8).join("\n"));
  console.error(`saved: ${file}`);
  console.error(`again: npm run fuzz -- --reader ${reader} --seed ${seed} --index ${index}`);
}

command.action(main);
await command.parseAsync();
