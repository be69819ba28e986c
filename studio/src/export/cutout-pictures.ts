/** The cut-out as pictures, for programs that read no WebM with alpha. */
import { labelNames } from "avseg/studio";
import { BlobSource, Input, VideoSampleSink } from "mediabunny";
import type { Work } from "../engine/messages";
import { Composer } from "../masks/compose";
import { within } from "../masks/labels";
import { maskAt } from "../masks/moment";
import { fileFormats } from "../media/probe";
import { fillArchive } from "./archive";
import { numbered, stemOf } from "./names";
import type { ExportRequest } from "./requests";

/** Masks are drawn with at most this longer side. */
const maskSide = 960;

/** A PNG with alpha per frame of the video, at its displayed size, and the frames' times. */
export function exportCutoutPictures(
  { file, facts, steps, controls, look, model }: ExportRequest,
  { signal, onProgress }: Work,
): Promise<File> {
  const { width, height } = facts;
  const size = { ...within(maskSide, width, height), classes: labelNames(model.classes) };
  const end = Math.min(facts.durationSeconds, (steps.at(-1)?.index ?? 0) + 1);
  return fillArchive(`${stemOf(file.name)}-cut-out.zip`, async (zip) => {
    using input = new Input({ source: new BlobSource(file), formats: fileFormats });
    const track = await input.getPrimaryVideoTrack();
    if (!track) return;
    const composer = new Composer();
    const [frame, picture] = [new OffscreenCanvas(width, height), new OffscreenCanvas(width, height)];
    const [frameContext, context] = [frame.getContext("2d"), picture.getContext("2d")];
    if (!frameContext || !context) throw new Error("the browser gives no canvas to draw frames on");
    const times: number[] = [];
    for await (const sample of new VideoSampleSink(track).samples(0, end)) {
      signal?.throwIfAborted();
      const { timestamp } = sample;
      sample.draw(frameContext, 0, 0, width, height);
      sample.close();
      const mask = maskAt(steps, timestamp, { size, controls });
      composer.draw(context, frame, { mask, look: { ...look, id: "cutout" } });
      const blob = await picture.convertToBlob({ type: "image/png" });
      await zip.add(`frames/${numbered(times.length)}.png`, new Uint8Array(await blob.arrayBuffer()));
      times.push(timestamp);
      onProgress?.(timestamp, end);
    }
    await zip.add("frames/times.json", `${JSON.stringify(times)}\n`);
  });
}
