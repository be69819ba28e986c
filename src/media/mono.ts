/** Decoded sound of a browser as one channel. */

/** What WebCodecs' decoders give, as far as it is needed. */
export interface PlanarSound {
  readonly numberOfFrames: number;
  readonly numberOfChannels: number;
  copyTo(
    destination: Float32Array,
    options: { readonly planeIndex: number; readonly format: "f32-planar" },
  ): void;
}

/** The mean of all channels. */
export function monoOf(sound: PlanarSound): Float32Array<ArrayBuffer> {
  const { numberOfFrames, numberOfChannels } = sound;
  const mono = new Float32Array(numberOfFrames);
  const plane = new Float32Array(numberOfFrames);
  for (let c = 0; c < numberOfChannels; c++) {
    sound.copyTo(plane, { planeIndex: c, format: "f32-planar" });
    for (let i = 0; i < mono.length; i++) mono[i]! += plane[i]! / numberOfChannels;
  }
  return mono;
}
