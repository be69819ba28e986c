/** The sound of any file as samples. */
import { monoOf } from "avseg/studio";
import { VGGISH_RATE_HZ } from "avseg/web";
import { ALL_FORMATS, AudioSampleSink, BlobSource, Input } from "mediabunny";

/** At most this much of another file's sound is used. */
const maxSeconds = 600;

/** Mono samples at 16 kHz. Throws where the file has no sound that the browser decodes. */
export async function decodeSound(file: Blob, name: string): Promise<Float32Array> {
  using input = new Input({ source: new BlobSource(file), formats: ALL_FORMATS });
  const track = await input.getPrimaryAudioTrack();
  if (!track) throw new Error(`${name}: no sound in this file. Choose a file with sound.`);
  if (!(await track.canDecode())) {
    throw new Error(`${name}: this browser cannot decode its sound (${await track.getCodec()}).`);
  }
  const pieces: Float32Array[] = [];
  let length = 0;
  for await (const piece of monoPieces(new AudioSampleSink(track), await track.getSampleRate())) {
    pieces.push(piece);
    length += piece.length;
    if (length > maxSeconds * VGGISH_RATE_HZ) break;
  }
  const samples = new Float32Array(length);
  let at = 0;
  for (const piece of pieces) {
    samples.set(piece, at);
    at += piece.length;
  }
  return samples;
}

/** Pieces at 16 kHz. Linear interpolation is enough for a sound that belongs to another picture anyway. */
async function* monoPieces(sink: AudioSampleSink, rateHz: number): AsyncGenerator<Float32Array> {
  for await (const sample of sink.samples()) {
    const mono = monoOf(sample);
    sample.close();
    const ratio = rateHz / VGGISH_RATE_HZ;
    yield Float32Array.from({ length: Math.floor(mono.length / ratio) }, (_, i) => {
      const low = Math.floor(i * ratio);
      const next = mono[Math.min(low + 1, mono.length - 1)]!;
      return mono[low]! + (i * ratio - low) * (next - mono[low]!);
    });
  }
}
