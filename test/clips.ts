/** Very short videos for tests of what handles many of them. */
import { appendFileSync, copyFileSync } from "node:fs";
import path from "node:path";
import { makeMedia } from "./ffmpeg.js";

/** Writes `count` different videos of `seconds` seconds and 64x64 pixels with a tone. Returns their paths. */
export function makeClips(folder: string, count: number, seconds = 1): string[] {
  const first = path.join(folder, "clip-000.mp4");
  const sources = `-f lavfi -i testsrc2=size=64x64:rate=8:duration=${seconds} -f lavfi -i sine=frequency=440:duration=${seconds}`;
  makeMedia(first, `${sources} -c:v libx264 -preset ultrafast -c:a aac`);
  return Array.from({ length: count }, (_, i) => {
    const file = path.join(folder, `clip-${String(i).padStart(3, "0")}.mp4`);
    if (i > 0) {
      // An unknown box at the end makes another file of the same video.
      copyFileSync(first, file);
      const box = Buffer.alloc(16);
      box.writeUInt32BE(16, 0);
      box.write("free", 4, "latin1");
      box.writeUInt32BE(i, 8);
      appendFileSync(file, box);
    }
    return file;
  });
}
