/** Small pictures of a video at even distances. */
import { BlobSource, CanvasSink, Input } from "mediabunny";
import { fileFormats } from "./probe";

/** Calls `onPicture` with the picture of every one of `times`, in order. Stops quietly where a file ends early. */
export async function readPictures(
  file: Blob,
  times: readonly number[],
  {
    height,
    signal,
    onPicture,
  }: { height: number; signal: AbortSignal; onPicture: (index: number, picture: ImageBitmap) => void },
): Promise<void> {
  using input = new Input({ source: new BlobSource(file), formats: fileFormats });
  const track = await input.getPrimaryVideoTrack();
  if (!track || !(await track.canDecode())) return;
  const first = await track.getFirstTimestamp();
  const sink = new CanvasSink(track, { height, fit: "contain", poolSize: 1 });
  let index = 0;
  for await (const wrapped of sink.canvasesAtTimestamps(times.map((time) => Math.max(time, first)))) {
    if (signal.aborted) return;
    if (wrapped) onPicture(index, await createImageBitmap(wrapped.canvas));
    index++;
  }
}
