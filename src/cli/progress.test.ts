import assert from "node:assert/strict";
import test from "node:test";
import { createProgress, formatBytes, formatDuration } from "./progress.js";

function recorder(isTTY: boolean, columns = 80) {
  const written: string[] = [];
  let time = 0;
  return {
    written,
    advance: (ms: number) => {
      time += ms;
    },
    options: { now: () => time, stream: { isTTY, columns, write: (text: string) => written.push(text) } },
  };
}

test("a terminal sees one redrawn line with share, rate and time left", () => {
  const r = recorder(true);
  const progress = createProgress("clips", 200, { ...r.options, unit: "clips" });
  progress.update(0);
  r.advance(1000);
  progress.update(50, "loss 0.41");
  assert.equal(
    r.written.at(-1),
    "\r\x1b[Kclips  [#####...............]  50/200  25%  50 clips/s  3 s left  loss 0.41",
  );
  progress.update(51); // too soon to draw again
  assert.equal(r.written.length, 2);
});

test("the rate leaves out what was done before the first update", () => {
  const r = recorder(true);
  const progress = createProgress("resumed", 1000, r.options);
  progress.update(900);
  r.advance(10_000);
  progress.update(910);
  assert.match(r.written.at(-1) ?? "", /1\.0\/s {2}1:30 left/);
});

test("a pipe gets plain lines, rarely, and a last one", () => {
  const r = recorder(false);
  const progress = createProgress("clips", 10, r.options);
  for (let i = 0; i < 10; i++) {
    r.advance(2_500);
    progress.update(i);
  }
  progress.done();
  progress.done();
  assert.deepEqual(
    r.written.map((line) => line.replace(/ {2}.*/s, "")),
    ["clips", "clips", "clips"],
  );
  assert.equal(r.written.at(-1), "clips  done in 25 s\n");
  assert.ok(r.written.every((line) => !line.includes("\x1b")));
});

test("a narrow terminal keeps the time left: the bar gives way first, the label last", () => {
  const lineAt = (columns: number, label: string, note = "mIoU 0.4123  F 0.5210"): string => {
    const r = recorder(true, columns);
    const progress = createProgress(label, 1234, { ...r.options, unit: "clips" });
    progress.update(0);
    r.advance(10_000);
    progress.update(120, note);
    return (r.written.at(-1) ?? "").replace("\r\x1b[K", "");
  };
  assert.equal(
    lineAt(90, "evaluating test"),
    "evaluating test  [#.........]  120/1234  9%  12 clips/s  1:33 left  mIoU 0.4123  F 0.5210",
  );
  assert.equal(
    lineAt(80, "evaluating test"),
    "evaluating test  120/1234  9%  12 clips/s  1:33 left  mIoU 0.4123  F 0.5210",
  );
  assert.equal(lineAt(60, "evaluating test"), "evaluating test  9%  1:33 left  mIoU 0.4123  F 0.5210");
  assert.equal(
    lineAt(60, "a very long name of a file.mp4"),
    "a very long name of …  9%  1:33 left  mIoU 0.4123  F 0.5210",
  );
  assert.equal(lineAt(40, "x", "n".repeat(100)).length, 39);
});

test("a line has the terminal's width in cells, of which characters take none, one or two", () => {
  for (const [name, ended] of [
    ["vidéo 日本.mp4", "vidéo 日本.mp4  done in 0 s"],
    ["vide\u0301o 日本語日本語.mp4", "vide\u0301o 日本語日…  done in 0 s"],
  ] as const) {
    const r = recorder(true, 30);
    createProgress(name, 8, r.options).done();
    assert.equal(r.written[0], `\r\x1b[K${ended}`);
  }
});

test("durations and sizes read naturally", () => {
  assert.deepEqual([7.6, 65, 7385].map(formatDuration), ["8 s", "1:05", "2:03:05"]);
  assert.deepEqual([512, 3_400_000, 1_200_000_000].map(formatBytes), ["512 B", "3.4 MB", "1.20 GB"]);
});

test("what a note quotes cannot steer the terminal", () => {
  const r = recorder(true);
  const progress = createProgress("clips", undefined, r.options);
  progress.update(1, "x\x1b]0;owned\x07");
  assert.equal(r.written.at(-1), "\r\x1b[Kclips  1  x\\x1b]0;owned\\x07");
  progress.log("y\x1b[2J");
  assert.ok(r.written.at(-1)?.startsWith("\r\x1b[Ky\\x1b[2J\n"));
});
