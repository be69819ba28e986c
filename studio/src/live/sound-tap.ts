/** Runs on the browser's audio thread: passes samples of the microphone on, mixed to one channel. */

/** Samples per message: an eighth of a second at 48 kHz. */
const pieceSize = 6000;

/** What the audio thread gives a processor, as far as it is used here. */
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: typeof AudioWorkletProcessor): void;

class SoundTap extends AudioWorkletProcessor {
  #piece = new Float32Array(pieceSize);
  #filled = 0;

  /** Called for every 128 samples; true asks for more. */
  process([channels = []]: readonly (readonly Float32Array[])[]): boolean {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i] ?? 0;
      this.#piece[this.#filled++] = sum / channels.length;
      if (this.#filled < pieceSize) continue;
      this.port.postMessage(this.#piece, [this.#piece.buffer]);
      this.#piece = new Float32Array(pieceSize);
      this.#filled = 0;
    }
    return true;
  }
}

registerProcessor("sound-tap", SoundTap);
