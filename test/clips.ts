/** Very short videos for tests of what handles many of them. */
import { execFileSync } from "node:child_process";
import { appendFileSync, copyFileSync } from "node:fs";
import path from "node:path";

/** Writes `count` different videos of `seconds` seconds and 64x64 pixels with a tone. Returns their paths. */
export function makeClips(folder: string, count: number, seconds = 1): string[] {
  const first = path.join(folder, "clip-000.mp4");
  const sources = [
    `testsrc2=size=64x64:rate=8:duration=${seconds}`,
    `sine=frequency=440:duration=${seconds}`,
  ];
  const inputs = sources.flatMap((source) => ["-f", "lavfi", "-i", source]);
  const codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"];
  execFileSync("ffmpeg", ["-nostdin", "-v", "error", "-y", ...inputs, ...codecs, first]);
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
