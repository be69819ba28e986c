/**
 * The local server of the app. It listens on 127.0.0.1 only, answers requests of its own page that carry the token of
 * its address, and reads no file but the app's, those that were opened, and the training runs of one folder.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { AvsegError, MediaError } from "../../errors.js";
import { publishedModelOptions } from "../../inference/node/published-model.js";
import type { Progress } from "../../progress.js";
import type { RuntimeOptions } from "../../runtime/runtime.js";
import { DEMO_MODEL, NATURAL_MODEL } from "../../segment/node/shipped-models.js";
import { type FineTuneJob, fineTuneRequestSchema, pictureQuerySchema } from "../fine-tuning.js";
import { audioEncoderName, pcaName, visualEncoderName } from "../model-file-names.js";
import {
  openRequestSchema,
  type RunSummary,
  type SegmentLine,
  type ServerFile,
  type Session,
  segmentRequestSchema,
  type WorkLine,
} from "../protocol.js";
import { answerFile, appFiles } from "./app-files.js";
import { comparedClips, comparedPicture } from "./compared-clips.js";
import { FileStore } from "./file-store.js";
import { FineTunings } from "./fine-tunings.js";
import { type ModelToOpen, NativeEngine } from "./native-engine.js";
import { writePlayableCopy } from "./playable-copy.js";
import { listPublicModels, ModelDownloads } from "./public-models.js";
import {
  answerJson,
  checked,
  checkOrigin,
  checkToken,
  commonHeaders,
  type Exchange,
  RequestError,
  readJson,
} from "./requests.js";
import { RunsFolder } from "./runs.js";

/** How the server is started. */
export interface StudioOptions {
  /** Videos to open at once. */
  readonly files?: readonly string[] | undefined;
  /** Folder of training runs. Default: `work_dir`. */
  readonly runs?: string | undefined;
  /** Default: a free one. */
  readonly port?: number | undefined;
  readonly provider?: RuntimeOptions["provider"] | undefined;
}

/** A running server. */
export interface StudioServer {
  /** Where the app is, with its token. */
  readonly address: string;
  close(): Promise<void>;
}

/** What requests are answered from. */
interface Studio {
  readonly files: FileStore;
  readonly engine: NativeEngine;
  readonly downloads: ModelDownloads;
  readonly runs: RunsFolder;
  readonly fineTunings: FineTunings;
}

/** Starts the server. Throws `AvsegError` where the app is not built, a file is missing or the port is in use. */
export async function startStudio(options: StudioOptions = {}): Promise<StudioServer> {
  const { files = [], runs = "work_dir", port = 0, provider = "cpu" } = options;
  const app = appFiles();
  const studio = {
    files: await FileStore.open(files),
    engine: new NativeEngine(provider),
    downloads: new ModelDownloads(),
    runs: new RunsFolder(runs),
    fineTunings: new FineTunings(runs, { provider }),
  };
  const token = randomBytes(24).toString("base64url");
  let actualPort = port;
  const server = createServer(async (request, response) => {
    try {
      checkOrigin(request, actualPort);
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://127.0.0.1");
      if (pathname.startsWith("/api/")) {
        checkToken(request, token);
        await answerApi({ request, response, pathname, searchParams }, studio);
      } else {
        const file = request.method === "GET" ? app.get(pathname) : undefined;
        if (file === undefined) throw new RequestError(404, "there is no such address");
        await answerFile(response, file);
      }
    } catch (error) {
      answerFailure(response, error);
    }
  });
  // A page that is closed in the middle of a request is not a failure.
  server.on("clientError", (_, socket) => socket.destroy());
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (cause) {
    await studio.files.close();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AvsegError(`studio: cannot listen on port ${port}: ${reason}`, {
      cause,
      hint: "Choose another port with --port.",
    });
  }
  const address = server.address();
  actualPort = typeof address === "object" && address ? address.port : port;
  return {
    address: `http://127.0.0.1:${actualPort}/#token=${token}`,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await studio.fineTunings.close();
      await studio.engine.close();
      await studio.files.close();
    },
  };
}

async function answerApi(exchange: Exchange, studio: Studio): Promise<void> {
  const { request, response, pathname, searchParams } = exchange;
  const [, , kind = "", id = "", part = ""] = pathname.split("/");
  switch (`${request.method} ${kind}${id ? "/:id" : ""}${part ? `/${part}` : ""}`) {
    case "GET session": {
      const [runs, models] = await Promise.all([summaries(studio), listPublicModels()]);
      return answerJson(response, 200, { files: studio.files.list(), runs, models } satisfies Session);
    }
    case "GET runs":
      return answerJson(response, 200, await summaries(studio));
    case "GET files/:id":
      return answerFile(response, studio.files.pathOf(id));
    case "POST files": {
      const length = Number(request.headers["content-length"] ?? Number.NaN);
      const file = await studio.files.upload(searchParams.get("name") ?? "file", request, length);
      return answerJson(response, 200, file);
    }
    case "POST model": {
      const chosen = await readJson(request, openRequestSchema);
      return answerJson(response, 200, await studio.engine.open(await modelOf(chosen, studio)));
    }
    case "POST models/:id/download":
      return answerLines<WorkLine>(exchange, (signal) =>
        workLines((onProgress) => studio.downloads.pull(id, { signal, onProgress })),
      );
    case "POST files/:id/playable":
      return answerPlayable(exchange, studio, id);
    case "POST segment":
      return answerSegment(exchange, studio);
    case "GET runs/:id/log":
      return answerJson(response, 200, await studio.runs.log(await studio.runs.find(id)));
    case "GET runs/:id/evaluations":
      return answerJson(response, 200, await studio.runs.evaluations(await studio.runs.find(id)));
    case "GET runs/:id/report": {
      const html = await studio.runs.report(await studio.runs.find(id), searchParams.get("name") ?? "");
      response.writeHead(200, { ...commonHeaders, "Content-Type": "text/html; charset=utf-8" });
      response.end(html);
      return;
    }
    case "GET fine-tunings":
      return answerJson(response, 200, await studio.fineTunings.list());
    case "POST fine-tunings":
      return answerJson(response, 200, await startFineTuning(exchange, studio));
    case "GET fine-tunings/:id":
      return answerJson(response, 200, await studio.fineTunings.get(id));
    case "POST fine-tunings/:id/stop":
      return answerJson(response, 200, await studio.fineTunings.stop(id));
    case "POST fine-tunings/:id/resume":
      return answerJson(response, 200, await studio.fineTunings.resume(id));
    case "GET fine-tunings/:id/clips":
      return answerJson(response, 200, await comparedClips(await studio.fineTunings.folder(id)));
    case "GET fine-tunings/:id/picture": {
      const query = checked(Object.fromEntries(searchParams), pictureQuerySchema);
      return answerFile(response, await comparedPicture(await studio.fineTunings.folder(id), query));
    }
    default:
      throw new RequestError(404, "there is no such address");
  }
}

async function startFineTuning({ request }: Exchange, studio: Studio): Promise<FineTuneJob> {
  const { model, dataset, ...settings } = await readJson(request, fineTuneRequestSchema);
  return studio.fineTunings.start({
    ...settings,
    dataset: studio.files.pathOf(dataset),
    model: await modelOf(model, studio),
    isUpload: model.kind === "files",
  });
}

async function summaries({ runs }: Studio): Promise<RunSummary[]> {
  return (await runs.list()).map(({ folder: _, ...run }) => run);
}

async function modelOf(
  chosen: ReturnType<typeof openRequestSchema.parse>,
  { files, runs }: Studio,
): Promise<ModelToOpen> {
  if (chosen.kind === "small") return { checkpoint: DEMO_MODEL.file };
  if (chosen.kind === "natural") return { checkpoint: NATURAL_MODEL.file };
  if (chosen.kind === "public") return publishedModelOptions(chosen.name);
  if (chosen.kind === "files") return modelOfFiles(await files.together(chosen.files));
  const run = await runs.find(chosen.run);
  if (!run.hasCheckpoint)
    throw new RequestError(404, "this run has no checkpoint yet", "Wait for its first epoch.");
  return { checkpoint: `${run.folder}/best.safetensors` };
}

/** The model itself comes first; encoders are recognized by their names, and external data lies beside it. */
function modelOfFiles([checkpoint = "", ...others]: readonly string[]): ModelToOpen {
  const named = (pattern: RegExp) => others.find((file) => pattern.test(path.basename(file)));
  const encoders = {
    visual: named(visualEncoderName),
    audio: named(audioEncoderName),
    pca: named(pcaName),
  };
  return { checkpoint, encoders };
}

async function answerSegment(exchange: Exchange, { files, engine }: Studio): Promise<void> {
  const { file, sound, endSeconds } = await readJson(exchange.request, segmentRequestSchema);
  const paths = {
    video: files.pathOf(file),
    sound: sound.kind === "file" ? { kind: "file" as const, path: files.pathOf(sound.file) } : sound,
  };
  await answerLines<SegmentLine>(exchange, (signal) =>
    named(engine.segment({ ...paths, endSeconds, signal }), paths.video, files.nameOf(file)),
  );
}

/** The lines of `work`; its errors name the file as its user knows it, and not the place of an upload. */
async function* named<Line>(
  work: AsyncIterable<Line>,
  file: string,
  name: string,
): AsyncGenerator<Line, void, undefined> {
  try {
    yield* work;
  } catch (cause) {
    if (!(cause instanceof MediaError)) throw cause;
    throw new MediaError(cause.message.replaceAll(file, name), { cause, hint: cause.hint });
  }
}

/** Makes a copy of a video that the browser plays. */
async function answerPlayable(exchange: Exchange, { files }: Studio, id: string): Promise<void> {
  const source = files.pathOf(id);
  const name = `${path.parse(files.nameOf(id)).name}.mp4`;
  await answerLines<WorkLine>(exchange, (signal) =>
    workLines((onProgress) =>
      files.add(name, (target) => writePlayableCopy(source, target, { signal, onProgress })),
    ),
  );
}

/** Progress is reported at most this often. */
const progressIntervalMs = 200;

/** The progress of work, and its end. */
async function* workLines(
  start: (onProgress: (progress: Progress) => void) => Promise<ServerFile | undefined>,
): AsyncGenerator<WorkLine, void, undefined> {
  let latest: Progress | undefined;
  let isDone = false;
  const work = start((progress) => {
    latest = progress;
  }).finally(() => {
    isDone = true;
  });
  work.catch(() => undefined); // awaited below
  while (!isDone) {
    await Promise.race([work, setTimeout(progressIntervalMs)]);
    if (latest) yield { kind: "progress", ...latest };
    latest = undefined;
  }
  yield { kind: "done", file: await work };
}

/** Answers line by line; a closed page stops the work. */
async function answerLines<Line extends { readonly kind: string }>(
  { response }: Exchange,
  work: (signal: AbortSignal) => AsyncIterable<Line>,
): Promise<void> {
  const stop = new AbortController();
  response.on("close", () => stop.abort(new DOMException("the page was closed", "AbortError")));
  const write = async (line: object): Promise<void> => {
    if (!response.headersSent) {
      response.writeHead(200, { ...commonHeaders, "Content-Type": "application/x-ndjson" });
    }
    if (!response.write(`${JSON.stringify(line)}\n`)) await once(response, "drain", { signal: stop.signal });
  };
  try {
    for await (const line of work(stop.signal)) await write(line);
  } catch (error) {
    if (stop.signal.aborted) return;
    if (!response.headersSent) throw error;
    await write({ kind: "failed", ...describe(error).body });
  }
  response.end();
}

function describe(error: unknown): { status: number; body: { error: string; hint?: string | undefined } } {
  if (error instanceof AvsegError) {
    const status = error instanceof RequestError ? error.status : 422;
    return { status, body: { error: error.message, hint: error.hint } };
  }
  return { status: 500, body: { error: error instanceof Error ? error.message : String(error) } };
}

function answerFailure(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { status, body } = describe(error);
  // The rest of a refused upload is not read.
  response.setHeader("Connection", "close");
  answerJson(response, status, body);
}
