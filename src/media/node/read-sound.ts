/** Sound files of any format, decoded by ffmpeg. */
import { MediaError } from "../../errors.js";
import type { Cancellable } from "../video.js";
import { type InputFile, inputName, readInput } from "./input-file.js";
import { pipedInput, startTool } from "./media-tool.js";

const MAX_FILE_BYTES = 256 * 2 ** 20;

/** Options of `readSound`. */
export interface ReadSoundOptions extends Cancellable {
  readonly sampleRateHz: number;
  /** The part from the start that is decoded, in seconds. */
  readonly maxSeconds: number;
}

/** The sound of a file, mono, `f32[N]`. Throws `MediaError` when it cannot be decoded or holds no samples. */
export async function readSound(
  file: InputFile,
  { sampleRateHz, maxSeconds, signal }: ReadSoundOptions,
): Promise<Float32Array<ArrayBuffer>> {
  const bytes = await readInput(file, "sound", MAX_FILE_BYTES);
  const source = inputName(file);
  const form = ["-map", "0:a:0", "-ac", "1", "-ar", String(sampleRateHz), "-t", String(maxSeconds)];
  const tool = startTool("ffmpeg", [...pipedInput, ...form, "-f", "f32le", "pipe:1"], { source, signal });
  const feed = tool.write(bytes).then(() => tool.endInput());
  const pieces: Buffer[] = [];
  for await (const piece of tool.output()) pieces.push(piece);
  await feed;
  const samples = new Float32Array(Uint8Array.from(Buffer.concat(pieces)).buffer);
  if (samples.length > 0) return samples;
  throw new MediaError(`${source}: the file holds no sound`, {
    hint: "Check that it plays; if not, fetch or convert it again.",
  });
}
