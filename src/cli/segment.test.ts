import assert from "node:assert/strict";
import test from "node:test";
import { uniqueNames } from "./segment.js";

test("every video gets a folder of its own", () => {
  const videos = ["a/clip.mp4", "b/clip.mp4", "b/CLIP.mov", "clip-2.webm", "noextension", ".mp4", "x.tar.gz"];
  assert.deepEqual(uniqueNames(videos), [
    "clip",
    "clip-2",
    "CLIP-3",
    "clip-2-2",
    "noextension",
    ".mp4",
    "x.tar",
  ]);
});
