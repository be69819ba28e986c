/** WAV files from disk, with a bound on their size. */

import { readWav, type Sound } from "../wav.js";
import { type InputFile, inputName, readInput } from "./input-file.js";

/** Largest WAV file that is read: 12 minutes of 16-bit stereo at 44.1 kHz. */
const MAX_FILE_BYTES = 2 ** 27;

/** Reads a WAV file. Throws `MediaError` naming it when it is missing, too large, malformed or without samples. */
export async function readWavFile(file: InputFile): Promise<Sound> {
  return readWav(await readInput(file, "sound", MAX_FILE_BYTES), inputName(file));
}
