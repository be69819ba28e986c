/** The folder of a fine-tuning: its clips, its configuration, and what was made of them so far. */
import { copyFile, mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { stringify } from "yaml";
import * as z from "zod";
import { fineTuneSections } from "../../config/fine-tune.js";
import { listClips } from "../../datasets/avsbench/open-dataset.js";
import type { Task } from "../../datasets/clip.js";
import { AvsegError } from "../../errors.js";
import { findWeightFile } from "../../inference/node/model-files.js";
import { writeFileAtomic } from "../../node/files.js";
import { errorCode } from "../../node/system-error.js";
import { readEvaluations, type StoredEvaluation } from "../../report/stored-evaluation.js";
import { type CheckpointInfo, readCheckpointInfo } from "../../training/checkpoint.js";
import { runFiles } from "../../training/run-files.js";
import { readLog } from "../../training/run-log.js";
import type { FineTuneRequest } from "../fine-tuning.js";
import type { ModelToOpen } from "./native-engine.js";
import { RequestError } from "./requests.js";
import { unpackDataset } from "./unpack-dataset.js";

/** The folder of all fine-tunings, below that of all runs. */
export const fineTuningsName = "studio";

/** A run is saved at least so often, as the studio may be ended while a long step is computed. */
const checkpointEverySeconds = 60;
/** The clips are evaluated about so often during the training. */
const evaluations = 15;

/** What is kept of a request beside the configuration. */
const settingsSchema = z.object({
  format: z.literal("avseg-fine-tuning-1"),
  task: z.enum(["ms3", "avss"]),
  modelName: z.string(),
  /** The checkpoint that it starts from. */
  checkpoint: z.string(),
  aspect: z.number(),
  epochs: z.number(),
  started: z.number(),
});

/** What is kept of a request. */
export type FineTuningSettings = z.infer<typeof settingsSchema>;

/** A request with what the server knows: the paths of the uploaded dataset and of the model. */
export interface FineTuningStart extends Omit<FineTuneRequest, "dataset" | "model"> {
  /** Path of the zip. */
  readonly dataset: string;
  readonly model: ModelToOpen;
  /** The model's files are removed when the studio ends. */
  readonly isUpload: boolean;
}

/** An evaluation on the clips. */
export type Stage = "before" | "after";

/** The folder of one fine-tuning. */
export class FineTuningFolder {
  /** The name of its folder. */
  readonly name: string;
  readonly path: string;
  readonly settings: FineTuningSettings;

  private constructor(folder: string, settings: FineTuningSettings) {
    this.name = path.basename(folder);
    this.path = folder;
    this.settings = settings;
  }

  /** Reads a folder; `undefined` if it does not belong to a fine-tuning. */
  static async read(folder: string): Promise<FineTuningFolder | undefined> {
    const text = await readFile(path.join(folder, settingsName), "utf8").catch(() => "{}");
    const { data } = settingsSchema.safeParse(parsed(text));
    return data && new FineTuningFolder(folder, data);
  }

  /** The folders below `root`, the newest first. */
  static async list(root: string): Promise<FineTuningFolder[]> {
    const entries = await readdir(root, { withFileTypes: true }).catch(() => []);
    const folders = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith("."));
    const found = await Promise.all(folders.map(({ name }) => FineTuningFolder.read(path.join(root, name))));
    return found
      .flatMap((folder) => folder ?? [])
      .sort((a, b) => b.settings.started - a.settings.started || b.name.localeCompare(a.name));
  }

  /**
   * Makes a folder below `root` with the clips and a configuration. Throws `RequestError` for a dataset or a model that
   * cannot be trained on, `DatasetError`, `CheckpointError` and `OutputError`, and leaves no folder then.
   */
  static async create(root: string, start: FineTuningStart): Promise<FineTuningFolder> {
    const base = await trainedWith(start.model.checkpoint, start.modelName);
    const folder = await newFolder(root, start.name);
    try {
      const data = path.join(folder, dataName);
      const task = await unpackDataset(start.dataset, data);
      if ((task === "avss") !== base.model.classes.length > 1) {
        throw new RequestError(
          422,
          `the corrections and ${start.modelName} are of different classes`,
          "Open the model that found the masks.",
        );
      }
      await listClips({ task, root: data, split: "train" });
      const model = start.isUpload ? await copied(start.model, path.join(folder, "model")) : start.model;
      const checkpoint = path.resolve(await findWeightFile(model.checkpoint));
      await writeFileAtomic(
        path.join(folder, configName),
        configText({ ...start, model: { ...model, checkpoint }, task, data: path.resolve(data), base }),
      );
      const { modelName, aspect, epochs } = start;
      const settings: FineTuningSettings = {
        format: "avseg-fine-tuning-1",
        ...{ task, modelName, checkpoint, aspect, epochs, started: Date.now() },
      };
      await writeFileAtomic(path.join(folder, settingsName), `${JSON.stringify(settings)}\n`);
      return new FineTuningFolder(folder, settings);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Where the clips are. */
  get data(): string {
    return path.join(this.path, dataName);
  }

  /** The folder of an evaluation. */
  folderOf(stage: Stage): string {
    return path.join(this.path, stage);
  }

  /** An evaluation, once it is written. */
  async evaluation(stage: Stage): Promise<StoredEvaluation | undefined> {
    const [found] = await readEvaluations([this.folderOf(stage)]).catch(() => []);
    return found;
  }

  /** Finished epochs. */
  async epoch(): Promise<number> {
    const lines = await readLog(runFiles(this.path).metrics);
    return lines.filter(({ kind }) => kind === "epoch").length;
  }

  /** The arguments of `avseg` that evaluate the model before or after. */
  evalArguments(stage: Stage): string[] {
    const { task, checkpoint } = this.settings;
    const model = stage === "before" ? checkpoint : runFiles(this.path).best;
    const what = ["--split", "train", "--save-masks", "--no-report", "--out", this.folderOf(stage)];
    return ["eval", task, path.join(this.path, configName), model, ...what];
  }

  /** The arguments of `avseg` that train, from where it stopped. */
  get trainArguments(): string[] {
    return ["train", this.settings.task, path.join(this.path, configName), "--out", this.path, "--resume"];
  }
}

const settingsName = "fine-tuning.json";
const configName = "config.yaml";
const dataName = "data";

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a model was trained with. Throws `RequestError` for files that do not say so. */
async function trainedWith(checkpoint: string, name: string): Promise<CheckpointInfo> {
  try {
    return await readCheckpointInfo(checkpoint);
  } catch (cause) {
    if (!(cause instanceof AvsegError)) throw cause;
    throw new RequestError(
      422,
      `${name} cannot be fine-tuned here: it is no checkpoint of \`avseg train\``,
      "Open the small model, a training run, or a checkpoint of `avseg train`; or save the dataset, and run `avseg train` with `--set training.init=FILE`.",
    );
  }
}

/** A new folder that is called after a video. Throws `OutputError`. */
async function newFolder(root: string, video: string): Promise<string> {
  await mkdir(root, { recursive: true });
  const stem = path
    .parse(video)
    .name.replace(/[^\w-]+/g, "_")
    .slice(0, 60);
  const plain = stem.replace(/^[_-]+|[_-]+$/g, "") || "video";
  for (let i = 1; ; i++) {
    const folder = path.join(root, i === 1 ? plain : `${plain}-${i}`);
    try {
      await mkdir(folder);
      return folder;
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
    }
  }
}

/** The model with its files copied into `folder`. */
async function copied(model: ModelToOpen, folder: string): Promise<ModelToOpen> {
  await mkdir(folder);
  const copy = async (file: string): Promise<string> => {
    const target = path.resolve(folder, path.basename(file));
    await copyFile(file, target);
    return target;
  };
  const encoders = Object.entries(model.encoders ?? {}).map(
    async ([part, file]) => [part, file && (await copy(file))] as const,
  );
  return {
    ...model,
    checkpoint: await copy(model.checkpoint),
    encoders: Object.fromEntries(await Promise.all(encoders)),
  };
}

/** The configuration of a fine-tuning. */
function configText(options: {
  readonly task: Task;
  readonly name: string;
  readonly modelName: string;
  /** The root of the clips. */
  readonly data: string;
  readonly model: ModelToOpen;
  readonly base: CheckpointInfo;
  readonly epochs: number;
  readonly rateFraction: number;
}): string {
  const { task, data, base, epochs, rateFraction } = options;
  const { checkpoint, encoders } = options.model;
  const { model, training } = fineTuneSections(base.config, {
    init: checkpoint,
    epochs,
    rateFraction,
    encoders,
  });
  const { imageSize, batchSize } = base.config.data;
  const config = {
    task,
    description: `${options.modelName}, fine-tuned on corrections of ${options.name}`,
    model,
    // Clips of AVSS may have ten seconds, corrected ones have five: without this they would be padded.
    data: { root: data, imageSize, frameCount: 5, batchSize },
    training: {
      ...training,
      evaluateFrom: 0,
      evaluateEvery: Math.max(1, Math.round(epochs / evaluations)),
      valSplit: "train",
      checkpointEverySeconds,
    },
  };
  return `# Made by \`avseg studio\`; continue with: avseg train ${task} ${configName} --out . --resume\n${stringify(config)}`;
}
