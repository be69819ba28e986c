/** Masks as files. */
import {
  type CocoAnnotation,
  cocoAnnotations,
  type FrameRecord,
  labelNames,
  labelsOf,
  notesOf,
  recordOf,
  type Step,
  segmentsJson,
  type VideoInfo,
} from "avseg/studio";
import type { Mask } from "avseg/web";
import { BlobSource, EncodedPacketSink, Input } from "mediabunny";
import type { Work } from "../engine/messages";
import { maskAt } from "../masks/moment";
import { fileFormats } from "../media/probe";
import { fillArchive } from "./archive";
import { numbered, stemOf } from "./names";
import { maskPng } from "./png";
import type { ExportRequest } from "./requests";

/** The mask of a second, as the library decided it. */
export function maskOfStep({ mask: { width, height, runs, regions } }: Step, names: readonly string[]): Mask {
  return { width, height, labels: labelsOf(runs, width * height), labelNames: names, regions };
}

/** `masks/000000.png` and so on, and `segments.json`: the files of `avseg segment`. */
export async function exportSegments(request: ExportRequest, work: Work): Promise<File> {
  const { file, steps, model, modelName } = request;
  const names = labelNames(model.classes);
  return fillArchive(`${stemOf(file.name)}-masks.zip`, async (zip) => {
    const records: FrameRecord[] = [];
    for (const [i, step] of steps.entries()) {
      work.signal?.throwIfAborted();
      const name = `masks/${numbered(step.index)}.png`;
      const mask = maskOfStep(step, names);
      await zip.add(name, maskPng(mask));
      records.push(recordOf({ ...step, kind: "predicted", mask }, name));
      work.onProgress?.(i + 1, steps.length);
    }
    const info = infoOf(request);
    const settings = { rate: 1, everyFrame: false, refine: true, silenceGate: true };
    const notes = notesOf(info, records, settings);
    await zip.add(
      "segments.json",
      segmentsJson({
        info,
        model,
        modelDescription: modelName,
        overlay: undefined,
        records,
        notes,
        settings,
      }),
    );
  });
}

/** A PNG per frame of the video, at its displayed size, as the player's controls make the mask. */
export async function exportMattes(
  { file, facts, steps, controls, model }: ExportRequest,
  { signal, onProgress }: Work,
): Promise<File> {
  const size = { width: facts.width, height: facts.height, classes: labelNames(model.classes) };
  const end = (steps.at(-1)?.index ?? 0) + 1;
  return fillArchive(`${stemOf(file.name)}-mattes.zip`, async (zip) => {
    const times = (await frameTimes(file)).filter((time) => time < end);
    for (const [i, time] of times.entries()) {
      signal?.throwIfAborted();
      const mask = maskAt(steps, time, { size, controls });
      if (mask) await zip.add(`mattes/${numbered(i)}.png`, maskPng(mask));
      onProgress?.(i + 1, times.length);
    }
    await zip.add("mattes/times.json", `${JSON.stringify(times)}\n`);
  });
}

/** The masks in COCO's run lengths: the `masks.json` of `avseg segment --format rle`. */
export function exportCoco({ file, steps, model }: ExportRequest): File {
  const names = labelNames(model.classes);
  const annotations: CocoAnnotation[] = [];
  const images = steps.map((step) => {
    const mask = maskOfStep(step, names);
    annotations.push(...cocoAnnotations({ index: step.index, mask }, annotations.length + 1));
    const { index, time } = recordOf({ ...step, kind: "predicted", mask }, null);
    return { id: index, width: mask.width, height: mask.height, time };
  });
  const categories = names.flatMap((name, id) => (id > 0 ? [{ id, name }] : []));
  const content = { categories, annotations, images };
  return new File([`${JSON.stringify(content)}\n`], `${stemOf(file.name)}-coco.json`, {
    type: "application/json",
  });
}

/** The times of all frames, in the order in which they are shown. */
async function frameTimes(file: File): Promise<number[]> {
  using input = new Input({ source: new BlobSource(file), formats: fileFormats });
  const track = await input.getPrimaryVideoTrack();
  if (!track) return [];
  const times: number[] = [];
  for await (const packet of new EncodedPacketSink(track).packets(undefined, undefined, {
    metadataOnly: true,
  })) {
    if (packet.timestamp >= 0) times.push(packet.timestamp);
  }
  return times.sort((a, b) => a - b);
}

/** What is known of the file, in the form of Node's. */
function infoOf({ file, facts }: ExportRequest): VideoInfo {
  const audio = facts.audioCodec
    ? {
        stream: 1,
        codec: facts.audioCodec,
        channels: facts.channels,
        sampleRateHz: facts.sampleRateHz,
        language: undefined,
      }
    : undefined;
  return {
    path: file.name,
    container: facts.container,
    codec: facts.videoCodec,
    stream: 0,
    durationSeconds: facts.durationSeconds,
    width: facts.width,
    height: facts.height,
    rotationDegrees: facts.rotationDegrees,
    pixelAspectRatio: 1,
    color: { space: undefined, primaries: undefined, transfer: undefined, range: undefined },
    frameRate: { numerator: Math.round(facts.frameRate * 1000), denominator: 1000 },
    startSeconds: 0,
    audioTracks: audio ? [audio] : [],
    audioTrack: audio,
  };
}
