/** `avseg weights`: inspect and convert weight files, download public ones. */

import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { withImageSize } from "../inference/model-image-size.js";
import type { PulledModel } from "../inference/node/published-model.js";
import { imageSizeSchema } from "../models/base-config.js";
import { cacheDir } from "../node/cache-dir.js";
import { ownOrShipped } from "../node/paths.js";
import type { Metadata } from "../weights/checkpoint.js";
import { type PulledWeights, pullWeights } from "../weights/hub/cache.js";
import { convertWeights } from "../weights/node/convert.js";
import { loadListing } from "../weights/node/load.js";
import { PUBLISHED_ENCODERS } from "../weights/public/encoders.js";
import { publishedWeights } from "../weights/public/registry.js";
import type { WeightListing } from "../weights/state-dict.js";
import { summarizeWeights } from "../weights/summary.js";
import { integer } from "./options.js";
import { oneLine, print, printJson } from "./print.js";
import { formatBytes } from "./progress.js";
import {
  byteProgress,
  describeLicenses,
  describeOrigin,
  pullInterrupted,
  pullWithProgress,
} from "./published-models.js";
import { interruptSignal, UsageError } from "./run.js";
import { columns } from "./table.js";

/** Builds the command. */
export function weightsCommand(): Command {
  return new Command("weights")
    .description("inspect and convert weight files, download public encoders and trained models")
    .addHelpText(
      "after",
      `
Examples:
  avseg weights pull seavs-s4
  avseg weights inspect S4_pvt.pth
  avseg weights convert S4_pvt.pth S4_pvt.safetensors`,
    )
    .addCommand(inspectCommand())
    .addCommand(convertCommand())
    .addCommand(pullCommand());
}

function inspectCommand(): Command {
  return new Command("inspect")
    .description("show the content of a checkpoint (torch or safetensors); nothing in it is executed")
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

interface ConvertCommandOptions {
  readonly dtype: "f32" | "f16";
  readonly imageSize?: number | undefined;
}

/** Parses the side of a model's frames. */
function imageSide(text: string): number {
  const { success, data, error } = imageSizeSchema.safeParse(Number(text));
  if (success) return data;
  throw new InvalidArgumentError(`expected ${error.issues[0]?.message}`);
}

function convertCommand(): Command {
  const dtype = new Option("--dtype <type>", "how floats are stored").choices(["f32", "f16"]).default("f32");
  return new Command("convert")
    .description("convert a checkpoint to safetensors")
    .argument("<from>", "a .pth, .pt, .pkl or .safetensors file, or a folder or index of shards")
    .argument("<to>", "the .safetensors file to write")
    .addOption(dtype)
    .option(
      "--image-size <pixels>",
      "side of the frames that the model takes (default: as in training)",
      imageSide,
    )
    .addHelpText(
      "after",
      `
Examples:
  avseg weights convert S4_pvt.pth S4_pvt.safetensors --dtype f16
  avseg weights convert best.safetensors sharp.safetensors --image-size 384`,
    )
    .action(async (from: string, to: string, { dtype, imageSize }: ConvertCommandOptions) => {
      if (path.resolve(from) === path.resolve(to)) {
        throw new UsageError(`${to} is the checkpoint itself, which would be overwritten`, {
          hint: "Give the .safetensors file another name.",
        });
      }
      const signal = interruptSignal("Nothing was written.");
      const describe =
        imageSize === undefined
          ? undefined
          : (metadata: Metadata) => withImageSize(metadata, imageSize, from);
      const { tensors } = await convertWeights(ownOrShipped(from) ?? from, to, { dtype, describe, signal });
      print(`${to}: ${tensors} tensors`);
    });
}

function pullCommand(): Command {
  return new Command("pull")
    .description(
      "download public weights, of encoders or trained models, into the cache, or continue a download",
    )
    .argument(
      "[name...]",
      `names that \`avseg models\` lists, or ${[...PUBLISHED_ENCODERS.keys()].join(", ")}`,
    )
    .option("--from <url|file>", "download from another address or link of Google Drive, or copy a file")
    .option("--sha256 <hex>", "the SHA-256 that the file must have, replacing the one recorded for it")
    .option("--list", "list the names of encoders")
    .addHelpText(
      "after",
      `
Examples:
  avseg weights pull seavs-s4
  avseg weights pull pvt_v2_b5 vggish
  avseg weights pull resnet50 --from ~/Downloads/resnet50-19c8e357.pth

Files are kept in ${cacheDir()} (AVSEG_CACHE or XDG_CACHE_HOME change it).
A file whose publisher gives no hash is accepted at the first download. Its SHA-256 is recorded beside it
(FILE.sha256, as \`sha256sum -c\` reads it), and every later download must agree with it.
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are respected, HF_TOKEN and HF_ENDPOINT for Hugging Face.`,
    )
    .action(async (names: string[], options: PullCommandOptions) => {
      if (options.list) {
        for (const { name, title, origin } of PUBLISHED_ENCODERS.values()) {
          print(`${name.padEnd(10)}  ${title}  ${describeOrigin(origin)}`);
        }
        print("Trained models are listed by `avseg models`.");
        return;
      }
      if (names.length === 0) {
        throw new UsageError("the name of the weights is missing", {
          hint: "List the names with `avseg models` and `avseg weights pull --list`.",
        });
      }
      for (const option of ["from", "sha256"] as const) {
        if (options[option] === undefined || names.length === 1) continue;
        throw new UsageError(`--${option} can be used with one name only`, {
          hint: "Pull the names one by one.",
        });
      }
      const signal = interruptSignal(pullInterrupted);
      for (const name of names) {
        if (publishedWeights(name).kind === "model")
          reportModel(await pullWithProgress(name, { ...options, signal }));
        else report(await pullEncoder(name, { ...options, signal }));
      }
    });
}

interface PullCommandOptions {
  readonly from?: string | undefined;
  readonly sha256?: string | undefined;
  readonly list?: boolean | undefined;
}

async function pullEncoder(
  name: string,
  { from, sha256, signal }: PullCommandOptions & { signal: AbortSignal },
) {
  const progress = byteProgress(name);
  const pulled = await pullWeights(name, { from, sha256, signal, onProgress: progress.update });
  progress.done();
  return pulled;
}

const checked: { readonly [C in PulledWeights["checkedAgainst"]]: string } = {
  publisher: "agrees with the publisher's digits",
  given: "as given with --sha256",
  record: "as recorded when it first came",
  nothing: "recorded now; the publisher gives none to compare with",
};

function report({ path: file, bytes, sha256, checkedAgainst, fromCache, source }: PulledWeights): void {
  print([
    file,
    `  ${formatBytes(bytes)}${fromCache ? ", in the cache already" : ` from ${source}`}`,
    `  SHA-256 ${sha256} (${checked[checkedAgainst]})`,
  ]);
}

/** Reports a model that was pulled, and what it needs. */
function reportModel({ model, file, needs, description }: PulledModel): void {
  report(file);
  print([`  ${description}`, `  license: ${describeLicenses(model)}`]);
  for (const need of needs) report(need);
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
    const header = ["group", "tensors", "values", "size"];
    for (const row of columns([header, ...rows], (column) => column > 0)) lines.push(row);
  }
  return lines;
}

function asPlain(file: string, listing: WeightListing, { depth }: { depth: number }): unknown {
  const { types, groups, ...summary } = summarizeWeights(listing, { depth });
  const plain = { file, ...summary, types: Object.fromEntries(types), groups: Object.fromEntries(groups) };
  const keys = Object.fromEntries([...listing.tensors].map(([k, { type, shape }]) => [k, { type, shape }]));
  return { ...plain, keys };
}

function shortened(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}... (${text.length} characters)` : text;
}
