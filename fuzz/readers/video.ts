/** Videos, which ffmpeg decodes in processes of its own. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { probeVideo } from "../../src/media/node/probe-video.js";
import { readFrames, readMonoSound } from "../../src/media/node/read-video.js";
import { mutateBytes } from "../mutate/bytes.js";
import type { Reader } from "../reader.js";

/** Containers with the codecs of their picture and sound: what any build of ffmpeg can write. */
const kinds = [
  ["mp4", "mpeg4", "aac"],
  ["mov", "mjpeg", "pcm_s16le"],
  ["mkv", "ffv1", "flac"],
  ["avi", "mpeg4", "mp2"],
  ["ts", "mpeg2video", "mp2"],
  ["mpg", "mpeg1video", "mp2"],
] as const;

const video: Reader = {
  name: "video",
  fileName: "input.mp4", // ffmpeg goes by the content
  external: true,
  async seeds(folder) {
    const made: Buffer[] = [];
    for (const [container, picture, sound] of kinds) {
      const file = path.join(folder, `seed.${container}`);
      const sources = [
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=64x48:rate=24",
        "-f",
        "lavfi",
        "-i",
        "sine=sample_rate=44100",
      ];
      const options = ["-t", "1", "-c:v", picture, "-c:a", sound, "-y", file];
      await promisify(execFile)("ffmpeg", ["-nostdin", "-v", "error", ...sources, ...options]);
      made.push(await readFile(file));
    }
    return made;
  },
  mutate: mutateBytes,
  async read(file) {
    const info = await probeVideo(file);
    for await (const _ of readFrames(info, { width: 64, height: 64 }));
    for await (const _ of readMonoSound(info, { sampleRateHz: 16_000 }));
  },
};

/** The reader of videos. */
export const videoReaders: readonly Reader[] = [video];
