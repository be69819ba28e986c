/** The local server of `avseg studio`, where the app was started by it. */
import {
  failureSchema,
  type RunEvaluation,
  type RunLogAnswer,
  type RunSummary,
  runEvaluationSchema,
  runLogSchema,
  runSchema,
  type ServerFile,
  type Session,
  serverFileSchema,
  sessionSchema,
  TOKEN_HEADER,
  workLineSchema,
} from "avseg/studio";
import { EngineError, type Work } from "./messages";

const tokenKey = "avseg-studio-token";

/** Takes the token out of the address, so that it is neither bookmarked nor shown. */
function takeToken(): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token !== null) {
    sessionStorage.setItem(tokenKey, token);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(tokenKey) ?? undefined;
}

const token = takeToken();

/** Whether there may be a local server: only its address has a token. */
export const hasServer = token !== undefined;

/** Sends a request. Throws `EngineError` with the server's reason. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(new URL(`api/${path}`, document.baseURI), {
    ...init,
    headers: { [TOKEN_HEADER]: token ?? "" },
  }).catch((error: unknown) => {
    init.signal?.throwIfAborted();
    throw new EngineError({
      message: `The local server does not answer (${error instanceof Error ? error.message : String(error)})`,
      hint: "Start `avseg studio` again.",
    });
  });
  if (response.ok) return response;
  const failure = failureSchema.safeParse(await response.json().catch(() => undefined));
  throw new EngineError({
    message: failure.success ? failure.data.error : `The local server answered ${response.status}`,
    hint: failure.success ? failure.data.hint : undefined,
  });
}

/** Sends JSON. */
export function post(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return ask(path, { method: "POST", body: JSON.stringify(body), signal: signal ?? null });
}

/** What the server has. */
export async function session(): Promise<Session> {
  return sessionSchema.parse(await (await ask("session")).json());
}

/** The content of a file that was given on the command line. */
export async function fetchFile({ id, name }: ServerFile): Promise<File> {
  return new File([await (await ask(`files/${id}`)).blob()], name);
}

/** Sends a file to the server. */
export async function upload(file: File): Promise<string> {
  const response = await ask(`files?name=${encodeURIComponent(file.name)}`, { method: "POST", body: file });
  return serverFileSchema.parse(await response.json()).id;
}

/** Asks for work that takes long; gives the file that it makes, if any. */
async function work(path: string, { signal, onProgress }: Work): Promise<ServerFile | undefined> {
  for await (const text of linesOf(await post(path, {}, signal))) {
    const line = workLineSchema.parse(JSON.parse(text));
    if (line.kind === "progress") onProgress?.(line.done, line.total);
    else if (line.kind === "failed") throw new EngineError({ message: line.error, hint: line.hint });
    else return line.file;
  }
  throw new EngineError({
    message: "The local server ended in the middle of its work",
    hint: "Start `avseg studio` again.",
  });
}

/** Downloads a public model into the cache of this computer; progress is in bytes. */
export async function downloadModel(name: string, options: Work): Promise<void> {
  await work(`models/${encodeURIComponent(name)}/download`, options);
}

/** A copy of a video that this browser plays, as this computer makes it; progress is in seconds. */
export async function playableCopy(id: string, options: Work): Promise<File> {
  const copy = await work(`files/${id}/playable`, options);
  if (!copy) throw new EngineError({ message: "The local server made no copy", hint: undefined });
  const file = await fetchFile(copy);
  return new File([file], copy.name, { type: "video/mp4" });
}

/** The lines of an answer as they arrive. */
export async function* linesOf({ body }: Response): AsyncGenerator<string, void, undefined> {
  if (!body) return;
  let rest = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      const lines = (rest + piece.value).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    await reader.cancel();
  }
}

/** The training runs of the server's folder, the newest first. */
export async function listRuns(signal: AbortSignal): Promise<RunSummary[]> {
  return runSchema.array().parse(await (await ask("runs", { signal })).json());
}

/** The curves of a run. */
export async function runLog(id: string, signal: AbortSignal): Promise<RunLogAnswer> {
  return runLogSchema.parse(await (await ask(`runs/${id}/log`, { signal })).json());
}

/** The evaluations in a run's folder. */
export async function runEvaluations(id: string, signal: AbortSignal): Promise<RunEvaluation[]> {
  return runEvaluationSchema.array().parse(await (await ask(`runs/${id}/evaluations`, { signal })).json());
}

/** The HTML of a run's report. */
export async function runReport(id: string, name: string): Promise<string> {
  return (await ask(`runs/${id}/report?name=${encodeURIComponent(name)}`)).text();
}
