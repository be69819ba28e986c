/** The sound of a clip in AVSBench's layout, as the model takes it. */
import { DatasetError } from "../../errors.js";
import { fitExamples, logMelExamples, VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { type InputFile, inputName } from "../../media/node/input-file.js";
import { readWavFile } from "../../media/node/wav-file.js";
import { resample, resampleReach } from "../../media/resample.js";
import { fitWave } from "../../media/sound-inputs.js";
import { type Samples, toMono } from "../../media/wav.js";
import { describe, type TensorOf } from "../../tensor.js";
import { bytesSource } from "../../weights/byte-source.js";
import { loadTorchTensor } from "../../weights/node/load.js";
import { readTorchTensor } from "../../weights/torch/state-dict.js";
import type { Clip } from "../clip.js";
import { type ClipRequest, type ClipStore, openClipFiles } from "./clip-request.js";

/** The clip's samples for models that take waves, cut or followed by silence; else its log-mels. */
export async function loadSound(
  request: ClipRequest,
  store: ClipStore,
): Promise<Pick<Clip, "logMel" | "sound">> {
  if (!request.waves) return { logMel: await loadLogMel(request, store) };
  const { samples, rateHz } = await readSamples(request, store, request.soundSeconds);
  const data = fitWave(resample(samples, rateHz, VGGISH_RATE_HZ), request.soundSeconds);
  return { sound: { dtype: "f32", shape: [data.length], data } };
}

/** The clip's log-mels, `f32[T,1,96,64]`. */
async function loadLogMel(request: ClipRequest, store: ClipStore): Promise<TensorOf<"f32">> {
  const { task, folder, files, frameCount, audio } = request;
  if (audio !== "wav" && files.pickle !== undefined) {
    if (audio === "pkl" || (await store.has(files.pickle))) {
      return fitted(await readPickle(store.at(files.pickle)), frameCount, false);
    }
  } else if (audio === "pkl") {
    throw new DatasetError(`${folder}: ${task} has no log-mel files, only sound`, {
      hint: "Set data.audio to wav or auto.",
    });
  }
  const { samples, rateHz } = await readSamples(request, store, frameCount);
  if (task !== "avss") return fitExamples(samples, rateHz, frameCount);
  return fitted(logMelExamples(samples, rateHz), frameCount, true);
}

/** The clip's sound, mono, without what has no effect on its first `seconds`. */
async function readSamples(
  { files }: ClipRequest,
  store: ClipStore,
  seconds: number,
): Promise<{ readonly samples: Samples; readonly rateHz: number }> {
  const sound = await readWavFile(store.at(files.wav));
  const rateHz = sound.sampleRateHz;
  const needed = seconds * rateHz + resampleReach(rateHz, VGGISH_RATE_HZ);
  return { samples: toMono(sound).subarray(0, needed), rateHz };
}

/** A clip's sound, mono and as long as its frames; `undefined` without a readable WAV file. */
export async function loadWaveform(request: ClipRequest): Promise<Float32Array | undefined> {
  const { files, frameCount } = request;
  try {
    const store = await openClipFiles(request);
    const sound = await readWavFile(store.at(files.wav));
    const seconds = Math.min(frameCount, files.frames.length);
    return Float32Array.from(toMono(sound).subarray(0, Math.round(seconds * sound.sampleRateHz)));
  } catch {
    return undefined; // a dataset may have log-mels only
  }
}

async function readPickle(input: InputFile): Promise<TensorOf<"f32">> {
  const file = inputName(input);
  const tensor =
    typeof input === "string"
      ? await loadTorchTensor(input)
      : await readTorchTensor(bytesSource(file, input.bytes));
  const [count = 0, ...rest] = tensor.shape;
  if (tensor.dtype !== "f32" || count < 1 || rest.join() !== "1,96,64") {
    throw new DatasetError(`${file}: expected log-mels f32[N,1,96,64], found ${describe(tensor)}`, {
      hint: "Make it again from the sound, or remove it to use the WAV file.",
    });
  }
  return tensor;
}

/** Exactly `count` examples: cut, or padded with zeros (AVSS) or with the last one, as published. */
function fitted(logMel: TensorOf<"f32">, count: number, zeros: boolean): TensorOf<"f32"> {
  const [found = 0, ...example] = logMel.shape;
  if (found === count) return logMel;
  const size = 96 * 64;
  const data = new Float32Array(count * size);
  data.set(logMel.data.subarray(0, Math.min(found, count) * size));
  for (let k = found; k < count && !zeros; k++) {
    data.set(logMel.data.subarray((found - 1) * size, found * size), k * size);
  }
  return { dtype: "f32", shape: [count, ...example], data };
}
