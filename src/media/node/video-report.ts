/** What ffprobe says of a video file. Apart from `probeVideo`, which checks it with modules that take longer to load. */
import { MediaError } from "../../errors.js";
import type { Cancellable } from "../video.js";
import { inputSize } from "./input-file.js";
import { inputArguments, startTool } from "./media-tool.js";

const MAX_REPORT_BYTES = 4 * 2 ** 20;

/** The streams and the container of a video file, as JSON of ffprobe. Throws `MediaError` when it cannot be read. */
export async function videoReport(file: string, { signal }: Cancellable = {}): Promise<string> {
  await inputSize(file, "video");
  const args = ["-show_format", "-show_streams", "-of", "json", ...inputArguments(file)];
  const tool = startTool("ffprobe", args, { source: file, stallSeconds: 30, signal });
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of tool.output()) {
    size += piece.length;
    if (size > MAX_REPORT_BYTES) throw new MediaError(`${file}: its header describes too many streams`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString("utf8");
}
