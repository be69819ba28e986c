/** `avseg compare`: evaluations of several models on one page. */
import path from "node:path";
import { Command } from "commander";
import { AvsegError } from "../errors.js";
import { withSound } from "../evaluation/sound-conditions.js";
import { writeFileAtomic } from "../node/files.js";
import { type Comparison, compareEvaluations, comparisonReport } from "../report/comparison.js";
import { describeEnvironment } from "../report/environment.js";
import { renderReport } from "../report/render-report.js";
import type { ReportClip, ReportGallery } from "../report/report.js";
import { showClip } from "../report/showcase.js";
import { evaluatedModel, readEvaluations, type StoredEvaluation } from "../report/stored-evaluation.js";
import { openEvaluation } from "./eval.js";
import { integer } from "./options.js";
import { print, printJson } from "./print.js";
import { interruptSignal, UsageError, warn } from "./run.js";

interface CompareOptions {
  readonly out: string;
  readonly pictures: number;
  readonly json?: boolean | undefined;
}

/** The `compare` command. */
export function compareCommand(): Command {
  return new Command("compare")
    .description("show evaluations of several models side by side: metrics, robustness, cost, worst clips")
    .argument("<evaluations...>", "two or more folders that `avseg eval` has written")
    .option("--out <dir>", "folder for comparison.html and comparison.json", "results/comparison")
    .option(
      "--pictures <n>",
      "worst clips to show as every model marks them; 0 shows none",
      integer(0, 50),
      3,
    )
    .option("--json", "print the comparison as JSON")
    .addHelpText(
      "after",
      `
Examples:
  avseg eval s4 config/s4/pvt2.yaml a.safetensors --sound all --out results/a
  avseg eval s4 config/s4/tpavi-pvt2.yaml b.pth --sound all --out results/b
  avseg compare results/a results/b`,
    )
    .action(compare);
}

async function compare(places: readonly string[], { out, pictures, json }: CompareOptions): Promise<void> {
  if (places.length < 2) {
    throw new UsageError("expected two or more evaluations, got one", {
      hint: "Give the folders that `avseg eval` has written, e.g. avseg compare results/a results/b.",
    });
  }
  const signal = interruptSignal("Nothing was written.");
  const evaluations = await readEvaluations(places);
  const comparison = compareEvaluations(evaluations);
  const galleries = await picturesOf(evaluations, comparison, { count: pictures, signal });
  const page = renderReport(comparisonReport(comparison, { galleries, environment: describeEnvironment() }));
  const files = [path.join(out, "comparison.html"), path.join(out, "comparison.json")] as const;
  await writeFileAtomic(files[0], page);
  await writeFileAtomic(files[1], `${JSON.stringify(comparison, null, 2)}\n`);
  if (json) printJson(comparison);
  else print([...describe(comparison), `written: ${files.join(", ")}`]);
}

function describe({ models, task }: Comparison): string[] {
  const [miou, fscore] =
    task === "avss"
      ? ["miouPublished", "fscorePublished"]
      : ["miouPublishedPerBatch", "fscorePublishedPerBatch"];
  const width = Math.max(...models.map(({ name }) => name.length));
  return models.map(({ name, metrics, sounds }) => {
    const swapped = sounds.find(({ sound }) => sound === "swapped");
    const numbers = `mIoU ${(metrics[miou ?? ""] ?? 0).toFixed(4)}  F ${(metrics[fscore ?? ""] ?? 0).toFixed(4)}`;
    return `${name.padEnd(width)}  ${numbers}${swapped ? `  with swapped sounds ${swapped.miou.toFixed(4)}` : ""}`;
  });
}

/** The worst clips as every model marks them. A model whose files are no longer there is left out with a warning. */
async function picturesOf(
  evaluations: readonly StoredEvaluation[],
  { worstClips }: Comparison,
  { count, signal }: { readonly count: number; readonly signal: AbortSignal },
): Promise<ReportGallery[]> {
  const shown = worstClips.slice(0, count);
  const clips = shown.map((): ReportClip[] => []);
  for (const evaluation of shown.length === 0 ? [] : evaluations) {
    const model = evaluatedModel(evaluation);
    if (model === undefined) {
      warn(`${evaluation.name}: its clips are not shown: it does not name its model`);
      continue;
    }
    try {
      const { checkpoint, config, audioEncoder, set } = model;
      const { dataset, openModel } = await openEvaluation({
        task: evaluation.task,
        file: config,
        checkpoint,
        audioEncoder,
        split: evaluation.context.split,
        set,
        signal,
      });
      const { sound, seed } = evaluation.context;
      const withItsSound = withSound(dataset, { sound, seed: seed ?? undefined });
      const predictor = await openModel();
      try {
        for (const [i, { id, category }] of shown.entries()) {
          const index = dataset.entries.findIndex((entry) => entry.id === id && entry.category === category);
          const clip = await showClip({ dataset: withItsSound, predictor, signal }, index);
          const [row] = clip.predictions;
          const note = clip.metrics.map((metric) => metric.join(" ")).join(", ");
          clips[i]?.push({ ...clip, predictions: row ? [{ ...row, name: evaluation.name, note }] : [] });
        }
      } finally {
        await predictor.close();
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AvsegError)) throw error;
      warn(`${evaluation.name}: its clips are not shown: ${error.message}`);
    }
  }
  return [{ title: "Worst clips", note: "As every model marks them.", clips: clips.flatMap(joined) }];
}

/** One clip as several models mark it: the pictures of all below one another. */
function joined(clips: readonly ReportClip[]): ReportClip[] {
  const [first] = clips;
  if (first === undefined) return [];
  const legend = new Map(clips.flatMap((clip) => clip.legend ?? []).map((entry) => [entry.name, entry]));
  const predictions = clips.flatMap((clip) => clip.predictions);
  return [{ ...first, metrics: [], predictions, legend: legend.size > 0 ? [...legend.values()] : undefined }];
}
