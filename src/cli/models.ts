/** `avseg models`: the public trained models that commands take by name. */
import { Argument, Command } from "commander";
import { cachedWeights } from "../weights/hub/cache.js";
import { PUBLISHED_MODELS } from "../weights/public/models.js";
import type { PublishedModel } from "../weights/public/public-weights.js";
import { publishedModelNamed } from "../weights/public/registry.js";
import { print, printJson } from "./print.js";
import { formatBytes } from "./progress.js";
import { describeLicenses, describeOrigin } from "./published-models.js";
import { columns } from "./table.js";

/** The `models` command. */
export function modelsCommand(): Command {
  return new Command("models")
    .description("list the public trained models that --model and `avseg weights pull` take by name")
    .addArgument(new Argument("[name]", "one of them, with all that is known about it"))
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  avseg models
  avseg models seavs-s4
  avseg models --json

Accuracy is what the authors report, in percent, each with its own protocol; metrics of different protocols are
not comparable. Nothing is mirrored: files come from where their authors publish them.`,
    )
    .action(async (name: string | undefined, { json }: { json?: boolean | undefined }) => {
      if (name === undefined) {
        const models = [...PUBLISHED_MODELS.values()];
        if (json) printJson(await Promise.all(models.map(asPlain)));
        else print(await asTable(models));
        return;
      }
      const model = publishedModelNamed(name);
      if (json) printJson(await asPlain(model));
      else print(await asLines(model));
    });
}

async function asTable(models: readonly PublishedModel[]): Promise<string[]> {
  const rows = await Promise.all(
    models.map(async (model) => [
      model.name,
      model.task,
      describeAccuracy(model),
      formatBytes(model.approximateBytes),
      model.licenses.code ?? "none stated",
      model.licenses.weights ?? "none stated",
      await stateOf(model),
    ]),
  );
  const header = ["name", "task", "reported", "size", "code license", "weights license", "state"];
  return [
    ...columns([header, ...rows]),
    "",
    "`avseg models NAME` shows protocol, origin and what a model needs.",
  ];
}

async function asLines(model: PublishedModel): Promise<string[]> {
  const { accuracy } = model;
  return [
    `${model.name}: ${model.title}`,
    `  task:      ${model.task}`,
    `  reported:  ${describeAccuracy(model)}${accuracy ? ` (${accuracy.protocol})` : " by its authors beside the weights"}`,
    `  size:      about ${formatBytes(model.approximateBytes)}`,
    `  license:   ${describeLicenses(model)}`,
    `  origin:    ${describeOrigin(model.origin)}`,
    `  authors:   ${model.homepage}`,
    `  takes:     ${model.inputs.join(" and ")}, nothing else`,
    `  downloads: ${[model.name, ...model.needs].join(", ")}`,
    `  state:     ${await stateOf(model)}`,
  ];
}

async function asPlain(model: PublishedModel): Promise<object> {
  const { name, title, system, task, visual, approximateBytes, accuracy, licenses } = model;
  return {
    ...{ name, title, system, task, visual, approximateBytes },
    accuracy: accuracy ?? null,
    licenses: { code: licenses.code ?? "none stated", weights: licenses.weights ?? "none stated" },
    origin: { ...model.origin, address: describeOrigin(model.origin) },
    homepage: model.homepage,
    inputs: model.inputs,
    needs: model.needs,
    published: model.origin.host !== "nowhere",
    cached: (await cachedWeights(name)) ?? null,
  };
}

function describeAccuracy({ accuracy }: PublishedModel): string {
  if (accuracy === undefined) return "none stated";
  return Object.entries(accuracy.metrics)
    .map(([metric, value]) => `${metric} ${value}`)
    .join(", ");
}

async function stateOf(model: PublishedModel): Promise<string> {
  if ((await cachedWeights(model.name)) !== undefined) return "in the cache";
  return model.origin.host === "nowhere" ? "not published" : "can be pulled";
}
