/** Media files for tests, made with ffmpeg. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";

/** Makes a file with ffmpeg; `args`, separated by spaces, come before its name. Returns the name. */
export function makeMedia(file: string, args: string): string {
  const made = spawnSync(
    "ffmpeg",
    ["-nostdin", "-v", "error", "-y", ...args.split(" ").filter(Boolean), file],
    {
      encoding: "utf8",
    },
  );
  assert.equal(made.status, 0, made.stderr ?? "ffmpeg does not start");
  return file;
}

/** Copies a video and turns it by a quarter with metadata. Returns the name of the copy. */
export function turnedCopy(from: string, to: string): string {
  // Since ffmpeg 6 with an option of the input; earlier versions have a field of the stream, which later ones ignore.
  const option = ["-nostdin", "-v", "error", "-y", "-display_rotation", "90", "-i", from, "-c", "copy", to];
  if (spawnSync("ffmpeg", option).status === 0) return to;
  return makeMedia(to, `-i ${from} -c copy -metadata:s:v rotate=90`);
}
