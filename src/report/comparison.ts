/** Several evaluations side by side, as data and as a report. */
import { METRIC_NAMES, METRIC_NOTES } from "../evaluation/result.js";
import { soundNotes } from "../evaluation/sound-conditions.js";
import { formatFraction, type Report, type ReportGallery, type ReportTable } from "./report.js";
import { evaluatedModel, type StoredEvaluation } from "./stored-evaluation.js";

/** A clip with its mIoU in every evaluation, by name. */
export interface ComparedClip {
  readonly id: string;
  readonly category: string;
  readonly miou: Readonly<Record<string, number>>;
}

/** What `avseg compare` writes as JSON. */
export interface Comparison {
  readonly task: StoredEvaluation["task"];
  readonly split: StoredEvaluation["context"]["split"];
  readonly models: readonly (Pick<
    StoredEvaluation,
    "name" | "file" | "batchSize" | "metrics" | "sounds" | "cost"
  > & {
    /** The arguments of `avseg eval`, where the evaluation names them. */
    readonly model: ReturnType<typeof evaluatedModel>;
  })[];
  /** The clips with the lowest mean mIoU over the models, the lowest first. */
  readonly worstClips: readonly ComparedClip[];
}

/** Compares evaluations of the same clips. */
export function compareEvaluations(evaluations: readonly StoredEvaluation[], worst = 10): Comparison {
  const [first] = evaluations;
  if (first === undefined) throw new RangeError("comparison: expected at least one evaluation");
  const clips = first.clips.map(({ id, category }): ComparedClip => {
    const own = ({ clips: list }: StoredEvaluation) =>
      list.find((clip) => clip.id === id && clip.category === category)?.miou ?? 0;
    return { id, category, miou: Object.fromEntries(evaluations.map((each) => [each.name, own(each)])) };
  });
  const mean = ({ miou }: ComparedClip) => Object.values(miou).reduce((a, b) => a + b, 0);
  return {
    task: first.task,
    split: first.context.split,
    models: evaluations.map((evaluation) => {
      const { name, file, batchSize, metrics, sounds, cost } = evaluation;
      return { name, file, batchSize, metrics, sounds, cost, model: evaluatedModel(evaluation) };
    }),
    worstClips: clips.toSorted((a, b) => mean(a) - mean(b)).slice(0, worst),
  };
}

/** The report of a comparison; `galleries` show clips as every model marks them. */
export function comparisonReport(
  comparison: Comparison,
  {
    galleries = [],
    environment,
  }: Pick<Report, "environment"> & { readonly galleries?: readonly ReportGallery[] },
): Report {
  const { task, split, models } = comparison;
  const names = models.map(({ name }) => name);
  const headline = task === "avss" ? "miouPublished" : "miouPublishedPerBatch";
  return {
    title: `${models.length} models on ${task.toUpperCase()}`,
    lead: `${names.join(", ")}: the same clips of the ${split} split.`,
    tiles: models.map(({ name, metrics }) => ({
      label: name,
      value: formatFraction(metrics[headline] ?? null),
      note: "mIoU, published",
    })),
    charts: [
      {
        kind: "bars",
        title: "mIoU, published",
        bars: models.map(({ name, metrics }) => ({ label: name, value: metrics[headline] ?? 0 })),
      },
      ...soundCharts(comparison),
    ],
    galleries,
    tables: [
      metricsTable(comparison),
      ...soundTable(comparison),
      costTable(comparison),
      worstTable(comparison),
      modelTable(comparison),
    ],
    tablesFirst: true,
    environment,
  };
}

function metricsTable({ models }: Comparison): ReportTable {
  const batches = models.map(({ batchSize }) => batchSize);
  const note = new Set(batches).size > 1 ? ` Batches differ: ${batches.join(", ")} clips.` : "";
  return {
    title: "Both protocols",
    note: `“Published” metrics repeat the published evaluation, flaws included; “corrected” ones fix them. Compare like with like only.${note}`,
    columns: ["Metric", "Protocol", ...models.map(({ name }) => name)],
    rows: METRIC_NAMES.filter((metric) => models.some(({ metrics }) => metrics[metric] !== undefined)).map(
      (metric) => {
        const { label, protocol } = METRIC_NOTES[metric];
        return [
          label,
          protocol === "count" ? "" : protocol,
          ...models.map(({ metrics }) => metrics[metric] ?? null),
        ];
      },
    ),
  };
}

/** The conditions that some model was evaluated with. */
function soundsOf({ models }: Comparison) {
  const all = models.flatMap(({ sounds }) => sounds.map(({ sound }) => sound));
  return [...new Set(all)];
}

function soundTable(comparison: Comparison): ReportTable[] {
  const { models } = comparison;
  const cells = (["miou", "fscore", "fpr"] as const).flatMap((metric) =>
    soundsOf(comparison).map((sound): (string | number | null)[] => [
      soundNotes[sound].label,
      { miou: "mIoU", fscore: "F-score", fpr: "FPR" }[metric],
      ...models.map(({ sounds }) => sounds.find((row) => row.sound === sound)?.[metric] ?? null),
    ]),
  );
  if (cells.length === 0) return [];
  return [
    {
      title: "Robustness",
      note: "With any sound but the clips' own, lower is better. FPR: the fraction of a frame's pixels that are marked, as in AVSBench-Robust.",
      columns: ["Sound", "Metric", ...models.map(({ name }) => name)],
      rows: cells,
    },
  ];
}

function soundCharts(comparison: Comparison): Report["charts"] {
  if (soundsOf(comparison).length === 0) return [];
  return [
    {
      kind: "bars",
      title: "Does it listen?",
      bars: soundsOf(comparison).flatMap((sound) =>
        comparison.models.flatMap(({ name, sounds }, series) => {
          const found = sounds.find((row) => row.sound === sound);
          const label = soundNotes[sound].label;
          return found ? [{ label, value: found.miou, note: name, series }] : [];
        }),
      ),
      caption: "mIoU with each kind of sound; ground truth is that of the clips' own.",
    },
  ];
}

function costTable({ models }: Comparison): ReportTable {
  const row = (
    label: string,
    value: (cost: NonNullable<Comparison["models"][number]["cost"]>) => string | null,
  ) => [label, ...models.map(({ cost }) => (cost ? value(cost) : null))];
  return {
    title: "Cost",
    note: "Per clip; seconds and memory are those of each evaluation, on the machine that ran it.",
    columns: ["", ...models.map(({ name }) => name)],
    rows: [
      row("Parameters", ({ parameters }) => `${(parameters / 1e6).toFixed(1)} M`),
      row("Floating-point operations", ({ flopsPerClip }) => `${(flopsPerClip / 1e9).toFixed(1)} G`),
      row("Seconds (median run)", ({ secondsPerClip }) => secondsPerClip?.toFixed(3) ?? null),
      row("Peak memory", ({ peakMemoryBytes }) => `${(peakMemoryBytes / 1e9).toFixed(2)} GB`),
    ],
  };
}

function modelTable({ models }: Comparison): ReportTable {
  return {
    title: "Models",
    note: "What was evaluated, as the evaluations name it.",
    columns: ["Name", "Checkpoint", "Configuration", "Overrides", "Clips per batch"],
    rows: models.map(({ name, batchSize, model }) => [
      name,
      model?.checkpoint ?? null,
      model?.config ?? null,
      model?.set.join(", ") || null,
      batchSize,
    ]),
  };
}

function worstTable({ models, worstClips }: Comparison): ReportTable {
  return {
    title: "Worst clips",
    note: "mIoU of the clips that are hardest for all models together.",
    columns: ["Clip", "Category", ...models.map(({ name }) => name)],
    rows: worstClips.map(({ id, category, miou }) => [
      id,
      category,
      ...models.map(({ name }) => miou[name] ?? null),
    ]),
    meters: models.map((_, i) => i + 2),
  };
}
