/** Fine-tuning by the local server. */
import {
  type ComparedClip,
  type ComparedPicture,
  comparedClipSchema,
  type FineTuneJob,
  type FineTuneRequest,
  fineTuneJobSchema,
} from "avseg/studio";
import { ask, post } from "./local-server";

/** All fine-tunings of the server's folder, the newest first. */
export async function listFineTunings(signal: AbortSignal): Promise<FineTuneJob[]> {
  return fineTuneJobSchema.array().parse(await (await ask("fine-tunings", { signal })).json());
}

/** Starts one. */
export async function startFineTuning(request: FineTuneRequest): Promise<FineTuneJob> {
  return fineTuneJobSchema.parse(await (await post("fine-tunings", request)).json());
}

/** Stops one, or continues it. */
export async function moveFineTuning(id: string, to: "stop" | "resume"): Promise<FineTuneJob> {
  return fineTuneJobSchema.parse(await (await post(`fine-tunings/${id}/${to}`, {})).json());
}

/** The clips of one. */
export async function fineTuningClips(id: string): Promise<ComparedClip[]> {
  return comparedClipSchema.array().parse(await (await ask(`fine-tunings/${id}/clips`)).json());
}

/** A picture of a second of a clip. */
export async function fineTuningPicture(
  id: string,
  { clip, frame, of }: { readonly clip: string; readonly frame: number; readonly of: ComparedPicture },
): Promise<ImageBitmap> {
  const query = new URLSearchParams({ clip, frame: String(frame), of });
  return createImageBitmap(await (await ask(`fine-tunings/${id}/picture?${query}`)).blob());
}
