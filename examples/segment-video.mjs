/**
 * Prints what sounds in a video, second by second.
 *
 *     node examples/segment-video.mjs VIDEO [CHECKPOINT]
 */
import { AvsegError, openModel } from "avseg";

const [video, checkpoint] = process.argv.slice(2);
if (!video) {
  console.error("usage: node examples/segment-video.mjs VIDEO [CHECKPOINT]");
  process.exit(2);
}
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

let model;
try {
  const { signal } = stop;
  model = await openModel(checkpoint ? { checkpoint, signal } : { signal });
  for await (const { index, mask } of model.segment(video, { signal })) {
    const regions = mask.regions.map(({ label, area, box, confidence }) => {
      const percent = ((100 * area) / (mask.width * mask.height)).toFixed(1);
      return `${label}: ${percent}% of the frame in [${box}], confidence ${confidence.toFixed(2)}`;
    });
    console.log(`${index} s  ${regions.join("; ") || "nothing sounds"}`);
  }
} catch (error) {
  if (!(error instanceof AvsegError) && !stop.signal.aborted) throw error;
  console.error(stop.signal.aborted ? "interrupted" : `${error.message}\n${error.hint ?? ""}`);
  process.exitCode = stop.signal.aborted ? 130 : 1;
} finally {
  await model?.close();
}
