/** `avseg weights`: inspect and convert weight files, download public ones. */

import path from "node:path";
import { Command, Option } from "commander";
import { cacheDir } from "../node/cache-dir.js";
import { ownOrShipped } from "../node/paths.js";
import type { Progress as ByteProgress } from "../progress.js";
import { type PulledWeights, pullWeights } from "../weights/hub/cache.js";
import { PRETRAINED } from "../weights/hub/registry.js";
import { convertWeights } from "../weights/node/convert.js";
import { loadListing } from "../weights/node/load.js";
import type { WeightListing } from "../weights/state-dict.js";
import { summarizeWeights } from "../weights/summary.js";
import { integer } from "./options.js";
import { oneLine, print, printJson } from "./print.js";
import { createProgress, formatBytes } from "./progress.js";
import { interruptSignal, UsageError } from "./run.js";

/** Builds the command. */
export function weightsCommand(): Command {
  return new Command("weights")
    .description("Inspect and convert weight files, download the public encoder weights.")
    .addHelpText(
      "after",
      `
Examples:
  avseg weights pull pvt_v2_b5 vggish
  avseg weights inspect S4_pvt.pth
  avseg weights convert S4_pvt.pth S4_pvt.safetensors`,
    )
    .addCommand(inspectCommand())
    .addCommand(convertCommand())
    .addCommand(pullCommand());
}

function inspectCommand(): Command {
  return new Command("inspect")
    .description("Show the content of a checkpoint (torch or safetensors). Nothing in it is executed.")
    .argument("<file>", "a .pth, .pt, .pkl or .safetensors file, or a folder or index of shards")
    .option("--keys", "list every key with its type and shape")
    .option("--depth <n>", "parts of a key by which tensors are grouped", integer(1, 99), 1)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExample:\n  avseg weights inspect pvt_v2_b5.pth --depth 2")
    .action(
      async (
        file: string,
        options: { keys?: boolean | undefined; depth: number; json?: boolean | undefined },
      ) => {
        const listing = await loadListing(ownOrShipped(file) ?? file);
        if (options.json) printJson(asPlain(file, listing, options));
        else print(asLines(file, listing, options));
      },
    );
}

function convertCommand(): Command {
  const dtype = new Option("--dtype <type>", "how floats are stored").choices(["f32", "f16"]).default("f32");
  return new Command("convert")
    .description("Convert a checkpoint to safetensors.")
    .argument("<from>", "a .pth, .pt, .pkl or .safetensors file, or a folder or index of shards")
    .argument("<to>", "the .safetensors file to write")
    .addOption(dtype)
    .addHelpText("after", "\nExample:\n  avseg weights convert S4_pvt.pth S4_pvt.safetensors --dtype f16")
    .action(async (from: string, to: string, options: { dtype: "f32" | "f16" }) => {
      if (path.resolve(from) === path.resolve(to)) {
        throw new UsageError(`${to} is the checkpoint itself, which would be overwritten`, {
          hint: "Give the .safetensors file another name.",
        });
      }
      const signal = interruptSignal("Nothing was written.");
      const { tensors } = await convertWeights(ownOrShipped(from) ?? from, to, {
        dtype: options.dtype,
        signal,
      });
      print(`${to}: ${tensors} tensors`);
    });
}

function pullCommand(): Command {
  return new Command("pull")
    .description("Download public encoder weights into the cache folder, or continue a broken download.")
    .argument("[name...]", `one or more of ${[...PRETRAINED.keys()].join(", ")}`)
    .option("--from <url|file>", "download from another address, or copy a file")
    .option("--list", "list the names")
    .addHelpText(
      "after",
      `
Examples:
  avseg weights pull pvt_v2_b5 vggish
  avseg weights pull resnet50 --from ~/Downloads/resnet50-19c8e357.pth

Files are kept in ${cacheDir()} (AVSEG_CACHE or XDG_CACHE_HOME change it).
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are respected.`,
    )
    .action(async (names: string[], options: { from?: string | undefined; list?: boolean | undefined }) => {
      if (options.list) {
        for (const { name, model, url } of PRETRAINED.values()) {
          print(`${name.padEnd(10)}  ${model}  ${url}`);
        }
        return;
      }
      if (names.length === 0) {
        throw new UsageError("the name of the weights is missing", {
          hint: "List the names with `avseg weights pull --list`.",
        });
      }
      if (options.from !== undefined && names.length > 1) {
        throw new UsageError("--from can be used with one name only", { hint: "Pull the names one by one." });
      }
      for (const name of names) report(await pull(name, options.from));
    });
}

async function pull(name: string, from: string | undefined): Promise<PulledWeights> {
  const signal = interruptSignal("The bytes that arrived are kept; the same command continues the download.");
  // The total is known only once the server answers.
  let progress: ReturnType<typeof createProgress> | undefined;
  const onProgress = ({ done, total }: ByteProgress) => {
    progress ??= createProgress(name, total, { unit: "bytes" });
    progress.update(done);
  };
  const pulled = await pullWeights(name, { signal, onProgress, from });
  progress?.done();
  return pulled;
}

const checked: { readonly [C in PulledWeights["checkedAgainst"]]: string } = {
  publisher: "agrees with the publisher's digits",
  record: "as recorded when it first came",
  nothing: "recorded now; the publisher gives none to compare with",
};

function report({ path: file, bytes, sha256, checkedAgainst, fromCache }: PulledWeights): void {
  print([
    file,
    `  ${formatBytes(bytes)}${fromCache ? ", in the cache already" : ""}`,
    `  SHA-256 ${sha256} (${checked[checkedAgainst]})`,
  ]);
}

function asLines(
  file: string,
  listing: WeightListing,
  { keys, depth }: { keys?: boolean | undefined; depth: number },
): string[] {
  const summary = summarizeWeights(listing, { depth });
  const count = (n: number) => n.toLocaleString("en");
  const lines = [
    `${file}: ${summary.format}, ${count(summary.tensors)} tensors, ${count(summary.elements)} values, ${formatBytes(summary.bytes)}`,
    `types: ${[...summary.types].map(([type, t]) => `${type} x ${count(t.tensors)}`).join(", ")}`,
    ...Object.entries(summary.metadata).map(([key, value]) => `metadata: ${key} = ${shortened(value)}`),
    "",
  ];
  if (keys) {
    for (const [key, { type, shape }] of listing.tensors) lines.push(`${key}  ${type}[${shape.join(",")}]`);
  } else {
    const rows = [...summary.groups].map(([key, t]) => [
      oneLine(key), // as printed, so that the columns are as wide
      count(t.tensors),
      count(t.elements),
      formatBytes(t.bytes),
    ]);
    for (const row of table([["group", "tensors", "values", "size"], ...rows])) lines.push(row);
  }
  return lines;
}

function asPlain(file: string, listing: WeightListing, { depth }: { depth: number }): unknown {
  const { types, groups, ...summary } = summarizeWeights(listing, { depth });
  const plain = { file, ...summary, types: Object.fromEntries(types), groups: Object.fromEntries(groups) };
  const keys = Object.fromEntries([...listing.tensors].map(([k, { type, shape }]) => [k, { type, shape }]));
  return { ...plain, keys };
}

/** Columns: the first to the left, numbers to the right. */
function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0),
  );
  const pad = (cell: string, column: number) =>
    column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(pad).join("  "));
}

function shortened(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}... (${text.length} characters)` : text;
}
