/** `avseg cache`: opened models that are kept on disk. */
import path from "node:path";
import { Command } from "commander";
import { defaultMaxBytes, type ListedModel, ModelCache, modelCache } from "../inference/node/model-cache.js";
import { cacheDir } from "../node/cache-dir.js";
import { print, printJson } from "./print.js";
import { formatBytes } from "./progress.js";
import { columns } from "./table.js";

/** The `cache` command. */
export function cacheCommand(): Command {
  return new Command("cache")
    .description("show or remove opened models, which are kept so that they open faster the next time")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  avseg cache
  avseg cache clear

\`avseg segment\`, \`avseg eval\`, archive workers, the studio and \`openModel\` keep large models as ONNX Runtime has
optimized them for this processor. They lie in ${path.join(cacheDir(), "models")} (AVSEG_CACHE or XDG_CACHE_HOME
change it). Beyond ${formatBytes(defaultMaxBytes)}, those that were not used for longest are removed; AVSEG_MODEL_CACHE=10GB sets another
bound, and AVSEG_MODEL_CACHE=off or --no-cache turns the cache off.`,
    )
    .action(async ({ json }: { readonly json?: boolean | undefined }) => {
      const used = modelCache();
      const cache = used ?? new ModelCache();
      const models = await cache.list();
      const bytes = models.reduce((sum, model) => sum + model.bytes, 0);
      if (json) {
        printJson({ folder: cache.dir, maxBytes: used?.maxBytes ?? 0, bytes, models: models.map(asPlain) });
        return;
      }
      const bound = used ? `of ${formatBytes(used.maxBytes)} at most` : "off by AVSEG_MODEL_CACHE";
      const count = models.length === 1 ? "1 opened model" : `${models.length} opened models`;
      print([`${cache.dir}: ${count}, ${formatBytes(bytes)} (${bound})`, ...asTable(models)]);
    })
    .addCommand(
      new Command("clear")
        .description("remove all opened models; downloads and audio embeddings stay")
        .action(async () => {
          const cache = new ModelCache();
          print(`${cache.dir}: removed ${formatBytes(await cache.clear())}`);
        }),
    );
}

function asTable(models: readonly ListedModel[]): string[] {
  if (models.length === 0) return [];
  const rows = models.map(({ record, bytes, lastUsed }) => [
    record.sources[0]?.path ?? "",
    formatBytes(bytes),
    lastUsed.toISOString().slice(0, 16).replace("T", " "),
    `${record.clipsPerRun}`,
    `${record.runtime} ${record.provider}`,
    record.processor,
  ]);
  const header = ["model", "size", "last used (UTC)", "clips", "runtime", "processor"];
  return ["", ...columns([header, ...rows])];
}

function asPlain({ folder, record, bytes, lastUsed }: ListedModel): object {
  const { sources, clipsPerRun, runtime, provider, processor } = record;
  return {
    folder,
    bytes,
    lastUsed,
    ...{ clipsPerRun, runtime, provider, processor },
    sources: sources.map(({ path: file, sha256 }) => ({ path: file, sha256 })),
  };
}
