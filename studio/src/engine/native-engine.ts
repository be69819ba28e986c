/** The engine of this computer, through its local server. */
import {
  fromWire,
  type ModelFacts,
  modelFactsSchema,
  type OpenRequest,
  type ServerSegmentRequest,
  type Step,
  segmentLineSchema,
} from "avseg/studio";
import { linesOf, post, upload } from "./local-server";
import { type Engine, EngineError, type ModelSource, type SegmentRequest, type Work } from "./messages";

/** Ids of files that the server has already. */
const sent = new WeakMap<Blob, Promise<string>>();

/** Says that the server has this file. */
export function markSent(file: Blob, id: string): void {
  sent.set(file, Promise.resolve(id));
}

/** The server's id of a file, which is sent to it first where it has not got it. */
export function idOf(file: Blob, name: string): Promise<string> {
  const known = sent.get(file);
  if (known) return known;
  const id = upload(file instanceof File ? file : new File([file], name));
  sent.set(file, id);
  id.catch(() => sent.delete(file));
  return id;
}

/** What the server is asked to open; files are sent to it first. */
export async function openRequestOf(source: ModelSource): Promise<OpenRequest> {
  if (source.kind !== "files") return source;
  return { kind: "files", files: await Promise.all(source.files.map((file) => idOf(file, file.name))) };
}

/** Runs models in the process of `avseg studio`. */
export class NativeEngine implements Engine {
  async open(source: ModelSource, { signal }: Work = {}): Promise<ModelFacts> {
    const request = await openRequestOf(source);
    return modelFactsSchema.parse(await (await post("model", request, signal)).json());
  }

  async *segment(request: SegmentRequest, work: Work = {}): AsyncGenerator<Step, void, undefined> {
    const { file, name, sound, endSeconds } = request;
    const body: ServerSegmentRequest = {
      file: await idOf(file, name),
      sound: sound.kind === "file" ? { kind: "file", file: await idOf(sound.file, sound.name) } : sound,
      endSeconds,
    };
    const response = await post("segment", body, work.signal);
    for await (const text of linesOf(response)) {
      const line = segmentLineSchema.parse(JSON.parse(text));
      if (line.kind === "step") yield fromWire(line.step);
      else if (line.kind === "progress") work.onProgress?.(line.done, line.total);
      else if (line.kind === "failed") throw new EngineError({ message: line.error, hint: line.hint });
    }
  }
}
