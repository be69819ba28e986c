import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { makeMedia, turnedCopy } from "../../../test/ffmpeg.js";
import { tempDir } from "../../../test/temp-dir.js";
import { LockedError, MediaError, OutputError } from "../../errors.js";
import type { Predictor } from "../../inference/predictor.js";
import { looks } from "../../media/looks.js";
import { readGray, readRgb } from "../../media/node/image-file.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { readFrames } from "../../media/node/read-video.js";
import { lockInside, withLock } from "../../node/lock.js";
import { writeSegmentation } from "./write-segmentation.js";

const side = 64;
/** The files of a segmentation. */
const results = ["masks", "overlay.mp4", "segments.csv", "segments.json", "segments.vtt"];

/** Finds what is bright; as class 2 of three where `classes` says so. */
function brightness(classes: readonly string[] = ["sounding"]): Predictor {
  const count = classes.length;
  const area = side * side;
  return {
    frameCount: 5,
    imageSize: side,
    maskSize: side,
    classes,
    clipsPerRun: 1,
    async predict({ frames }) {
      const data = new Float32Array(5 * count * area);
      for (let k = 0; k < 5; k++) {
        for (let i = 0; i < area; i++) {
          data[(k * count + count - 1) * area + i] = (frames.data[(k * area + i) * 3]! - 128) / 8;
        }
      }
      return { dtype: "f32", shape: [5, count, side, side], data };
    },
    async close() {},
  };
}

/** Black, with a white box on the left in the first second and on the right afterwards. */
function makeVideo(file: string, extra = "", seconds = 2.4, size = "321x181"): string {
  const box = "y=60:w=80:h=60:c=white:t=fill";
  const boxes = `drawbox=x=20:${box}:enable='lt(t,1)',drawbox=x=200:${box}:enable='gte(t,1)'`;
  const picture = `color=black:s=320x180:r=20:d=${seconds},format=yuv444p,${boxes},scale=${size.replace("x", ":")}`;
  return makeMedia(file, `-f lavfi -i ${picture} ${extra} -c:v libx264 -preset ultrafast`);
}

interface Report {
  notes: string[];
  model: { description: string };
  silenceGate: { enabled: boolean; thresholdDbfs: number };
  masks: { perSecond: number; everyFrame: boolean; refined: boolean };
  frames: {
    kind: string;
    silent: boolean;
    time: number;
    mask: string;
    area: number;
    box: number[] | null;
    objects: { class: string }[];
  }[];
}
const reportOf = async (dir: string): Promise<Report> =>
  JSON.parse(await readFile(path.join(dir, "segments.json"), "utf8")) as Report;

const near = (actual: readonly number[] | null | undefined, expected: readonly number[], what: string) => {
  assert.equal(actual?.length, expected.length, what);
  for (const [i, e] of expected.entries()) assert.ok(Math.abs(actual![i]! - e) <= 4, `${what}: ${actual}`);
};

test("masks, report and overlay of a video of odd size with sound", async (t) => {
  const dir = await tempDir(t);
  const video = makeVideo(path.join(dir, "odd.mp4"), "-f lavfi -i sine=d=2.4 -c:a aac");
  const outDir = path.join(dir, "out");
  const done: number[] = [];
  const summary = await writeSegmentation(video, brightness(), {
    outDir,
    modelDescription: "a test",
    onProgress: (progress) => done.push(progress.done),
  });
  assert.deepEqual([summary.seconds, summary.soundingSeconds, summary.notes], [3, 3, []]);
  assert.deepEqual(done.slice(0, 2), [1, 2]);
  assert.deepEqual((await readdir(outDir)).sort(), results);

  const { frames, model } = await reportOf(outDir);
  assert.equal(model.description, "a test");
  near(frames[0]!.box, [20, 60, 80, 60], "first");
  near(frames[1]!.box, [200, 60, 80, 60], "second");
  for (const { mask, area } of frames) {
    const image = await readGray(path.join(outDir, mask));
    assert.deepEqual(image.shape, [181, 321]);
    assert.equal(image.data.filter((p) => p === 255).length, area);
  }

  const before = await probeVideo(video);
  const after = await probeVideo(path.join(outDir, "overlay.mp4"));
  assert.deepEqual([after.width, after.height], [322, 182]);
  assert.equal(after.audioTrack?.codec, "aac");
  assert.ok(Math.abs(after.durationSeconds! - before.durationSeconds!) < 0.05);
  // The white boxes are tinted, and nothing else is.
  for await (const { index, rgb } of readFrames(after)) {
    const red = (x: number, y: number) => rgb[(y * 322 + x) * 3]! - rgb[(y * 322 + x) * 3 + 1]!;
    const [on, off] = index === 0 ? [60, 240] : [240, 60];
    assert.ok(red(on, 90) > 30, `second ${index}: ${red(on, 90)}`);
    assert.ok(Math.abs(red(off, 90)) < 12 && Math.abs(red(160, 20)) < 12, `second ${index}`);
  }
});

/** Black, with a white box that moves right by `speed` pixels a second. */
function makeMoving(file: string, { extra = "", seconds = 2, speed = 100 } = {}): string {
  const inputs = `color=black:s=320x180:r=20:d=${seconds}[b];color=white:s=60x60:r=20:d=${seconds}[w]`;
  const picture = `${inputs};[b][w]overlay=x=20+${speed}*t:y=60,format=yuv420p`;
  return makeMedia(
    file,
    `-f lavfi -i ${picture} -f lavfi -i sine=d=${seconds} ${extra} -c:v libx264 -c:a aac`,
  );
}

test("several masks per second, a mask for every frame, and which of them are predicted", async (t) => {
  const dir = await tempDir(t);
  const outDir = path.join(dir, "out");
  const video = makeMoving(path.join(dir, "v.mp4"));
  /** A mask at a time is that of the last frame at or before it. */
  const left = (time: number) => 20 + (100 * Math.floor(time * 20 + 1e-6)) / 20;
  const predicted = await writeSegmentation(video, brightness(), { outDir, rate: 8, overlay: false });
  assert.deepEqual([predicted.masks, predicted.seconds, predicted.soundingSeconds], [16, 2, 2]);
  const report = await reportOf(outDir);
  assert.deepEqual(report.masks, {
    perSecond: 8,
    everyFrame: false,
    refined: true,
    format: "png",
    file: null,
  });
  for (const { time, kind, box } of report.frames) {
    assert.equal(kind, "predicted");
    near(box, [left(time), 60, 60, 60], `at ${time}`);
  }

  const every = await writeSegmentation(video, brightness(), {
    outDir,
    rate: 2,
    everyFrame: true,
    refine: false,
  });
  assert.equal(every.masks, 40);
  const { frames, masks } = await reportOf(outDir);
  assert.deepEqual(masks, { perSecond: 2, everyFrame: true, refined: false, format: "png", file: null });
  assert.equal((await readdir(path.join(outDir, "masks"))).length, 40);
  // The frames at 7/16 and 15/16 of each second: 8, 18, 28, 38.
  assert.deepEqual(
    frames.flatMap(({ kind }, i) => (kind === "predicted" ? [i] : [])),
    [8, 18, 28, 38],
  );
  for (const [i, { time, box }] of frames.entries()) {
    assert.equal(time, i / 20);
    const at = box ? box[0]! + box[2]! / 2 : Number.NaN;
    assert.ok(Math.abs(at - 30 - left(time)) < 14, `at ${time}: ${box}`);
  }
});

/** Times of the frames of a video, in seconds. */
function frameTimes(file: string): number[] {
  const shown = "-v error -select_streams v:0 -show_entries frame=pts_time -of csv=p=0".split(" ");
  const { stdout } = spawnSync("ffprobe", [...shown, file], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean).map(Number.parseFloat);
}

test("eight masks per second of videos of any form: at the right time and place, with all frames in the overlay", async (t) => {
  const dir = await tempDir(t);
  const flat = makeMoving(path.join(dir, "flat.mp4"), { seconds: 1 });
  const x264 = "-c:v libx264 -preset ultrafast";
  const hdr = "-pix_fmt yuv420p10le -color_primaries bt2020 -colorspace bt2020nc -color_trc";
  const copies: Record<string, string> = {
    "variable.mkv": `-vf select='not(mod(n\\,3))+not(mod(n\\,7))' -vsync vfr ${x264} -c:a copy`,
    "wide.mp4": `-vf scale=160:180,setsar=2/1 ${x264} -c:a copy`,
    "hevc-pq.mkv": `${hdr} smpte2084 -c:v libx265 -preset ultrafast -x265-params log-level=error -c:a copy`,
    "hlg.mkv": `${hdr} arib-std-b67 ${x264} -c:a copy`,
    "tracks.mkv":
      "-f lavfi -i anullsrc -f lavfi -i color=white:s=64x64:r=5:d=1 -t 1 -map 1:a -map 0:a -map 0:v -map 2:v " +
      `-disposition:a:0 0 -disposition:a:1 default -disposition:v:0 default ${x264} -c:a aac`,
  };
  const turned = turnedCopy(flat, path.join(dir, "turned.mp4"));
  const clockwise = (await probeVideo(turned)).rotationDegrees === 90;
  const check = async (video: string) => {
    const outDir = path.join(dir, "out", path.basename(video));
    const summary = await writeSegmentation(video, brightness(), { outDir, rate: 8, format: "none" });
    assert.deepEqual([summary.masks, summary.soundingSeconds], [8, 1], video);
    const times = frameTimes(video);
    for (const { time, box } of (await reportOf(outDir)).frames) {
      const left = 20 + 100 * (times.findLast((at) => at <= time + 1e-3) ?? Number.NaN);
      const upright = [left, 60, 60, 60] as const;
      const sideways = clockwise ? [60, left, 60, 60] : [60, 260 - left, 60, 60];
      near(box, video === turned ? sideways : upright, `${path.basename(video)} at ${time}`);
    }
    const shown = frameTimes(path.join(outDir, "overlay.mp4"));
    assert.equal(shown.length, times.length, video);
    for (const [i, at] of times.entries()) {
      assert.ok(Math.abs(at - shown[i]!) < 2e-3, `${video}: ${at}, ${shown[i]}`);
    }
  };
  const made = Object.entries(copies).map(([name, args]) =>
    makeMedia(path.join(dir, name), `-i ${flat} ${args}`),
  );
  await Promise.all([turned, ...made].map(check));
});

test("a slice, run lengths, cut-outs, and what sounds when", async (t) => {
  const dir = await tempDir(t);
  const outDir = path.join(dir, "out");
  const video = makeMoving(path.join(dir, "v.mp4"), { seconds: 4, speed: 60 });
  const slice = { startSeconds: 1, endSeconds: 3 };
  const only = { outDir, slice, overlay: false, rate: 2 } as const;
  const summary = await writeSegmentation(video, brightness(), { ...only, format: "rle", cutout: "webm" });
  assert.deepEqual([summary.masks, summary.seconds, summary.info.durationSeconds], [4, 2, 2]);
  const files = ["cutout.webm", "masks.json", "segments.csv", "segments.json", "segments.vtt"];
  assert.deepEqual((await readdir(outDir)).sort(), files);
  const { frames } = await reportOf(outDir);
  assert.deepEqual(
    frames.map(({ time, mask }) => [time, mask]),
    [1.4375, 1.9375, 2.4375, 2.9375].map((time) => [time, null]),
  );
  for (const { time, box } of frames) near(box, [20 + 3 * Math.floor(time * 20), 60, 60, 60], `at ${time}`);
  const text = (name: string) => readFile(path.join(outDir, name), "utf8");
  const { annotations, images, categories } = JSON.parse(await text("masks.json")) as Record<
    string,
    object[]
  >;
  assert.deepEqual(categories, [{ id: 1, name: "sounding" }]);
  assert.deepEqual(images?.[3], { id: 3, width: 320, height: 180, time: 2.9375 });
  assert.equal(annotations?.length, 4);
  assert.match(await text("segments.csv"), /^start,end.*\n1\.000,3\.000,sounding,0\.\d+,0\.\d+\n$/);
  assert.equal(await text("segments.vtt"), "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\nsounding\n");

  const alpha = (file: string, decoder: string) => {
    const args = `-v error ${decoder} -i ${file} -vf alphaextract -frames:v 1 -pix_fmt gray -f rawvideo -`;
    const { stdout, stderr } = spawnSync("ffmpeg", args.split(" ").filter(Boolean));
    assert.equal(stdout.length, 320 * 180, String(stderr));
    return stdout;
  };
  // At one second the box reaches from 80 to 140.
  const webm = alpha(path.join(outDir, "cutout.webm"), "-c:v libvpx-vp9");
  assert.deepEqual([webm[90 * 320 + 110]! > 200, webm[90 * 320 + 200]! < 30], [true, true]);
  await writeSegmentation(video, brightness(), { ...only, format: "none", cutout: "mov" });
  assert.deepEqual((await readdir(outDir)).sort(), ["cutout.mov", ...files.slice(2)]);
  const mov = alpha(path.join(outDir, "cutout.mov"), "");
  assert.deepEqual([mov[90 * 320 + 110]! > 200, mov[90 * 320 + 200]! < 30], [true, true]);

  const late = writeSegmentation(video, brightness(), { outDir, slice: { startSeconds: 9 } });
  await assert.rejects(late, /MediaError: .*: the slice starts at 9 s, but the video ends after 4\.0 s/);
});

test("every look shows what moves and sounds, where it is", async (t) => {
  const dir = await tempDir(t);
  const video = makeMoving(path.join(dir, "v.mp4"), { extra: "-g 5", seconds: 1 });
  for (const look of looks) {
    const outDir = path.join(dir, look);
    await writeSegmentation(video, brightness(), { outDir, look });
    const overlay = await probeVideo(path.join(outDir, "overlay.mp4"));
    assert.deepEqual([overlay.width, overlay.height, overlay.audioTrack?.codec], [320, 180, "aac"], look);
    for await (const { rgb } of readFrames(overlay)) {
      const at = (x: number, y: number) => [...rgb.subarray(3 * (y * 320 + x), 3 * (y * 320 + x + 1))];
      // In the last frame the box reaches from 115 to 175.
      const [r = 0, g = 0] = at(145, 90);
      const tinted = r - g > 40;
      assert.equal(tinted, look === "overlay", `${look}: inside ${at(145, 90)}`);
      assert.ok(r > 200, `${look}: inside ${at(145, 90)}`);
      assert.ok(Math.max(...at(40, 90)) < 40, `${look}: outside ${at(40, 90)}`);
    }
  }
});

test("silent seconds have empty masks and say so, unless the gate is off", async (t) => {
  const dir = await tempDir(t);
  const outDir = path.join(dir, "out");
  // Digital silence, a tone of -64 dBFS, a tone of -20 dBFS.
  const sound = "aevalsrc='sin(880*PI*t)*(6e-4*between(t,1,2)+0.1*gte(t,2))':d=3";
  const video = makeVideo(path.join(dir, "v.mp4"), `-f lavfi -i ${sound} -c:a aac -b:a 128k`, 3);
  const gated = await writeSegmentation(video, brightness(), { outDir, overlay: false });
  assert.deepEqual([gated.seconds, gated.soundingSeconds], [3, 1]);
  const note = "2 of 3 seconds are silent (no sample above -60 dBFS): their masks are empty.";
  assert.deepEqual(gated.notes, [note]);
  const report = await reportOf(outDir);
  assert.deepEqual(report.notes, [note]);
  assert.deepEqual(report.silenceGate, { enabled: true, thresholdDbfs: -60 });
  assert.deepEqual(
    report.frames.map(({ silent, area }) => [silent, area > 0]),
    [
      [true, false],
      [true, false],
      [false, true],
    ],
  );
  const mask = await readGray(path.join(outDir, report.frames[0]!.mask));
  assert.ok(mask.data.every((value) => value === 0));

  const open = await writeSegmentation(video, brightness(), { outDir, overlay: false, silenceGate: false });
  assert.equal(open.soundingSeconds, 3);
  assert.match(
    open.notes.join(),
    /^2 of 3 seconds are silent .* the silence gate is off: their masks say little\.$/,
  );
  assert.equal((await reportOf(outDir)).silenceGate.enabled, false);
});

test("a rotated video without sound: displayed pixels, and a note about the silence", async (t) => {
  const dir = await tempDir(t);
  const flat = makeVideo(path.join(dir, "flat.mp4"), "", 0.4, "320x180");
  const turned = turnedCopy(flat, path.join(dir, "turned.mp4"));
  const { rotationDegrees } = await probeVideo(turned);
  const outDir = path.join(dir, "out");
  const summary = await writeSegmentation(turned, brightness(), {
    outDir,
    overlay: false,
    silenceGate: false,
  });
  assert.equal(summary.masks, 1);
  assert.match(
    summary.notes.join(),
    /^The video has no sound, and the silence gate is off: the masks say little\.$/,
  );
  const { frames, notes } = await reportOf(outDir);
  assert.deepEqual(notes, summary.notes);
  // Turned clockwise, what was at (x, y) is at (180 - y, x); counter-clockwise at (y, 320 - x).
  near(frames[0]!.box, rotationDegrees === 90 ? [60, 20, 60, 80] : [60, 220, 60, 80], "turned");
  assert.ok(!existsSync(path.join(outDir, "overlay.mp4")));
});

test("several classes are named and colored as in label images", async (t) => {
  const dir = await tempDir(t);
  const outDir = path.join(dir, "out");
  const video = makeVideo(path.join(dir, "v.mp4"), "", 1);
  await writeSegmentation(video, brightness(["background", "dog", "violin"]), { outDir, silenceGate: false });
  const { frames } = await reportOf(outDir);
  assert.deepEqual(
    frames[0]!.objects.map((o) => o.class),
    ["violin"],
  );
  const { data } = await readRgb(path.join(outDir, "masks", "000000.png"));
  const at = (90 * 321 + 60) * 3;
  assert.deepEqual([...data.subarray(at, at + 3)], [0, 128, 0]);
});

test("nothing is left behind on failure or abort, and earlier results stay", async (t) => {
  const dir = await tempDir(t);
  const video = makeVideo(path.join(dir, "v.mp4"), "", 1);
  const outDir = path.join(dir, "out");
  const broken = path.join(dir, "broken.mp4");
  await writeFile(broken, (await readFile(video)).subarray(0, 300));
  await assert.rejects(writeSegmentation(broken, brightness(), { outDir }), MediaError);
  assert.ok(!existsSync(outDir));

  const controller = new AbortController();
  const reason = new Error("enough");
  const aborting: Predictor = {
    ...brightness(),
    async predict(batch) {
      controller.abort(reason);
      return brightness().predict(batch);
    },
  };
  await assert.rejects(writeSegmentation(video, aborting, { outDir, signal: controller.signal }), reason);
  assert.ok(!existsSync(outDir));

  await writeSegmentation(video, brightness(), { outDir });
  const failing: Predictor = { ...brightness(), predict: () => Promise.reject(reason) };
  await assert.rejects(writeSegmentation(video, failing, { outDir }), reason);
  assert.deepEqual((await readdir(outDir)).sort(), results);

  // Killed in the middle of the work.
  const script = `
    import { writeSegmentation } from ${JSON.stringify(import.meta.resolve("./write-segmentation.js"))};
    const kill = () => process.kill(process.pid, "SIGKILL");
    const predictor = { frameCount: 5, imageSize: ${side}, classes: ["sounding"], clipsPerRun: 1, predict: kill };
    await writeSegmentation(${JSON.stringify(video)}, predictor, { outDir: ${JSON.stringify(outDir)} });`;
  const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  assert.equal(killed.signal, "SIGKILL", killed.stderr);
  assert.equal((await readdir(outDir)).length, results.length + 2); // a temporary folder and a lock besides
  await writeSegmentation(video, brightness(), { outDir });
  assert.deepEqual((await readdir(outDir)).sort(), results);

  const file = path.join(dir, "file");
  await writeFile(file, "");
  await assert.rejects(
    writeSegmentation(video, brightness(), { outDir: path.join(file, "out") }),
    OutputError,
  );
});

test("a folder that another process writes into is refused, and left alone", async (t) => {
  const dir = await tempDir(t);
  const video = makeVideo(path.join(dir, "a.mp4"));
  const outDir = path.join(dir, "out");
  const first = { what: outDir, task: "avseg train", otherwise: "wait" };
  await withLock(lockInside(outDir), first, async () => {
    const before = await readdir(outDir);
    await assert.rejects(writeSegmentation(video, brightness(), { outDir }), (error: unknown) => {
      assert.ok(error instanceof LockedError);
      assert.match(error.message, /out: in use by avseg train \(process \d+ on /);
      return true;
    });
    assert.deepEqual(await readdir(outDir), before);
  });
  assert.ok(!existsSync(outDir));
});
