/** Fine-tuning on corrected clips: one at a time, in processes of their own, each in a folder from which it is resumed. */
import path from "node:path";
import { AvsegError } from "../../errors.js";
import type { NodeProvider } from "../../runtime/providers.js";
import type { FineTuneJob, FineTuneState } from "../fine-tuning.js";
import { type ChildCommand, startCommand } from "./child-command.js";
import { FineTuningFolder, type FineTuningStart, fineTuningsName, type Stage } from "./fine-tuning-folder.js";
import { RequestError } from "./requests.js";
import { runId } from "./runs.js";

/** How commands of avseg are started. */
export type StartCommand = (args: readonly string[]) => ChildCommand;

/** Options of `FineTunings`. */
export interface FineTuningsOptions {
  readonly provider: NodeProvider;
  /** Default: `startCommand`. */
  readonly start?: StartCommand | undefined;
}

/** A fine-tuning that this process runs or ran. */
interface Job {
  readonly folder: FineTuningFolder;
  state: FineTuneState;
  command?: ChildCommand | undefined;
  /** Epochs that were finished when the training was started, and when that was. */
  trainingFrom?: { readonly epoch: number; readonly time: number } | undefined;
  failure?: AvsegError | undefined;
  /** Resolves when its process has ended. */
  work: Promise<void>;
}

/** The fine-tunings below the folder of runs. */
export class FineTunings {
  readonly #root: string;
  readonly #options: FineTuningsOptions;
  readonly #jobs = new Map<string, Job>();
  #isBusy = false;
  #isClosed = false;

  constructor(runs: string, options: FineTuningsOptions) {
    this.#root = path.join(runs, fineTuningsName);
    this.#options = options;
  }

  /** All of them, the newest first. */
  async list(): Promise<FineTuneJob[]> {
    const folders = await FineTuningFolder.list(this.#root);
    return Promise.all(folders.map((folder) => this.#describe(folder)));
  }

  /** One of them. Throws `RequestError` for an unknown id. */
  async get(id: string): Promise<FineTuneJob> {
    return this.#describe(await this.folder(id));
  }

  /** The folder of one. Throws `RequestError` for an unknown id. */
  async folder(id: string): Promise<FineTuningFolder> {
    const folders = await FineTuningFolder.list(this.#root);
    const found = folders.find((folder) => idOf(folder) === id);
    if (!found) throw new RequestError(404, "there is no such fine-tuning", "Reload the page.");
    return found;
  }

  /** Starts one. Throws `RequestError` while another runs, and what `FineTuningFolder.create` throws. */
  start(options: FineTuningStart): Promise<FineTuneJob> {
    return this.#begin(() => FineTuningFolder.create(this.#root, options));
  }

  /** Continues one that was stopped or failed. Throws `RequestError` while any runs, or for one that is done. */
  resume(id: string): Promise<FineTuneJob> {
    return this.#begin(async () => {
      const folder = await this.folder(id);
      if ((await this.#describe(folder)).state === "done") {
        throw new RequestError(409, "this fine-tuning is done", "Start another one.");
      }
      return folder;
    });
  }

  /** Lets one save its state and stop. Throws `RequestError` for one that does not run. */
  async stop(id: string): Promise<FineTuneJob> {
    const folder = await this.folder(id);
    const job = this.#jobs.get(folder.name);
    if (!job || !isRunning(job.state)) {
      throw new RequestError(409, "this fine-tuning does not run", "Resume it first.");
    }
    job.state = "stopping";
    job.command?.interrupt();
    return this.#describe(folder);
  }

  /** Stops the one that runs; it can be resumed after the studio was started again. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const running = [...this.#jobs.values()].filter(({ state }) => isRunning(state));
    await Promise.all(
      running.map(async (job) => {
        job.state = "stopping";
        await job.command?.close();
        await job.work;
      }),
    );
  }

  /** `isBusy` is set at once, so that of two requests at the same time one is refused. */
  async #begin(open: () => Promise<FineTuningFolder>): Promise<FineTuneJob> {
    if (this.#isBusy) {
      throw new RequestError(409, "another fine-tuning runs", "Wait for its end, or stop it first.");
    }
    this.#isBusy = true;
    try {
      const folder = await open();
      const job: Job = { folder, state: "before", work: Promise.resolve() };
      this.#jobs.set(folder.name, job);
      job.work = this.#work(job).finally(() => {
        this.#isBusy = false;
      });
      return await this.#describe(folder);
    } catch (error) {
      this.#isBusy = false;
      throw error;
    }
  }

  /** Evaluates, trains and evaluates again; what an earlier run finished is not repeated. */
  async #work(job: Job): Promise<void> {
    const { folder } = job;
    try {
      await this.#evaluate(job, "before");
      if (!(await folder.evaluation("after"))) {
        job.trainingFrom = { epoch: await folder.epoch(), time: Date.now() };
        await this.#run(job, "training", folder.trainArguments);
      }
      await this.#evaluate(job, "after");
      job.state = "done";
    } catch (error) {
      const isStopped = job.state === "stopping" || this.#isClosed;
      job.state = isStopped ? "stopped" : "failed";
      if (!isStopped) job.failure = asFailure(error);
    } finally {
      job.command = undefined;
    }
  }

  async #evaluate(job: Job, stage: Stage): Promise<void> {
    if (await job.folder.evaluation(stage)) return;
    await this.#run(job, stage, job.folder.evalArguments(stage));
  }

  async #run(job: Job, state: FineTuneState, args: readonly string[]): Promise<void> {
    if (job.state === "stopping" || this.#isClosed) throw new AvsegError("it was stopped");
    const { provider, start = startCommand } = this.#options;
    job.state = state;
    job.command = start([...args, "--provider", provider]);
    await job.command.finished;
  }

  async #describe(folder: FineTuningFolder): Promise<FineTuneJob> {
    const { modelName, started, aspect, epochs } = folder.settings;
    const job = this.#jobs.get(folder.name);
    const state = job?.state; // first: what it has done by then is in the files that are read next
    const [before, after] = await Promise.all([folder.evaluation("before"), folder.evaluation("after")]);
    const epoch = await folder.epoch();
    return {
      id: idOf(folder),
      name: `${fineTuningsName}/${folder.name}`,
      ...{ modelName, started, aspect, epoch, epochs },
      state: state ?? (before && after ? "done" : "stopped"),
      remainingSeconds: job && remainingSeconds(job, epoch),
      before: before?.summary.miou,
      after: after?.summary.miou,
      error: job?.failure?.message,
      hint: job?.failure?.hint,
    };
  }
}

const idOf = ({ name }: FineTuningFolder): string => runId(path.join(fineTuningsName, name));

function isRunning(state: FineTuneState): boolean {
  return state === "before" || state === "training" || state === "after" || state === "stopping";
}

/** Seconds until the last epoch is finished, by those of this training. */
function remainingSeconds({ state, folder, trainingFrom }: Job, epoch: number): number | undefined {
  if (state !== "training" || !trainingFrom || epoch <= trainingFrom.epoch) return undefined;
  const seconds = (Date.now() - trainingFrom.time) / 1000;
  return (seconds / (epoch - trainingFrom.epoch)) * (folder.settings.epochs - epoch);
}

function asFailure(error: unknown): AvsegError {
  if (error instanceof AvsegError) return error;
  return new AvsegError(error instanceof Error ? error.message : String(error), { cause: error });
}
