import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { makeMedia, turnedCopy } from "../../../test/ffmpeg.js";
import { referencePath } from "../../../test/reference.js";
import { tempDir } from "../../../test/temp-dir.js";
import { MediaError } from "../../errors.js";
import { type StepFrame, sliceOf, type VideoInfo } from "../video.js";
import { startTool } from "./media-tool.js";
import { probeVideo } from "./probe-video.js";
import { readFrames, readMonoSound } from "./read-video.js";

const H264 = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p";

async function framesOf(info: VideoInfo, side = 4): Promise<StepFrame[]> {
  const frames: StepFrame[] = [];
  for await (const frame of readFrames(info, { width: side, height: side })) frames.push(frame);
  return frames;
}

async function soundOf(info: VideoInfo): Promise<Float32Array> {
  const pieces: number[] = [];
  for await (const piece of readMonoSound(info, { sampleRateHz: 8000 })) pieces.push(...piece);
  return Float32Array.from(pieces);
}

/** Seconds at which sound at 8 kHz sets in. */
const onset = (sound: Float32Array) => sound.findIndex((x) => Math.abs(x) > 0.02) / 8000;

test("a step's frame is the last of its second, at constant and variable rates", async (t) => {
  const dir = await tempDir(t);
  // Red up to 0.9 s, green up to 2.0 s, then blue.
  const source =
    "-f lavfi -i color=red:s=64x48:r=30:d=0.9 -f lavfi -i color=lime:s=64x48:r=30:d=1.1 " +
    "-f lavfi -i color=blue:s=64x48:r=30:d=0.5";
  const join = "[0][1][2]concat=n=3:v=1:a=0";
  const constant = makeMedia(path.join(dir, "c.mp4"), `${source} -filter_complex ${join} ${H264}`);
  const uneven = `${join},select='not(mod(n\\,7))+not(mod(n\\,11))+eq(n\\,27)+eq(n\\,60)'`;
  const variable = makeMedia(path.join(dir, "v.mkv"), `${source} -filter_complex ${uneven} ${H264}`);
  for (const file of [constant, variable]) {
    const frames = await framesOf(await probeVideo(file));
    assert.deepEqual(
      frames.map((f) => f.index),
      [0, 1, 2],
    );
    const colors = frames.map(({ rgb }) => [...rgb.subarray(0, 3)].map((c) => (c > 128 ? 1 : 0)).join(""));
    assert.deepEqual(colors, ["010", "010", "001"], file);
    assert.equal(frames[0]?.timeSeconds, 15 / 16);
    assert.ok(frames[2]!.coveredSeconds > 0.25 && frames[2]!.coveredSeconds < 1);
  }
});

test("sizes are those displayed: rotation, pixel aspect ratio, odd numbers", async (t) => {
  const dir = await tempDir(t);
  const source = "-f lavfi -i testsrc=s=64x48:r=10:d=0.5";
  const wide = makeMedia(path.join(dir, "wide.mp4"), `${source} -vf setsar=2/1 ${H264}`);
  const turned = turnedCopy(wide, path.join(dir, "turned.mp4"));
  const odd = makeMedia(
    path.join(dir, "odd.mkv"),
    `${source} -vf scale=63:47,format=yuv444p -c:v libx264 -preset ultrafast`,
  );
  const size = async (file: string) => {
    const { width, height } = await probeVideo(file);
    return `${width}x${height}`;
  };
  assert.equal(await size(wide), "128x48");
  assert.equal(await size(odd), "63x47");
  const info = await probeVideo(turned);
  assert.equal(`${info.width}x${info.height}`, "48x128");
  for await (const { rgb } of readFrames(info)) assert.equal(rgb.length, 48 * 128 * 3);
});

test("sound and picture keep their own start, and the default track is heard", async (t) => {
  const dir = await tempDir(t);
  const late = makeMedia(
    path.join(dir, "late.mp4"),
    `-f lavfi -i color=red:s=64x48:r=10:d=3 -itsoffset 1.5 -f lavfi -i sine=d=1 ${H264} -c:a aac`,
  );
  const info = await probeVideo(late);
  assert.ok(Math.abs(onset(await soundOf(info)) - 1.5) < 0.05);

  for (const kind of ["mkv", "ts"]) {
    const lateVideo = makeMedia(
      path.join(dir, `late-video.${kind}`),
      `-itsoffset 1.5 -f lavfi -i color=red:s=64x48:r=10:d=1 -f lavfi -i sine=d=3 ${H264} -c:a aac`,
    );
    const shifted = await probeVideo(lateVideo);
    assert.ok(Math.abs(shifted.startSeconds - 1.5) < 0.05);
    assert.ok(onset(await soundOf(shifted)) < 0.05);
    assert.equal((await framesOf(shifted)).length, 3, kind); // the first frame stands in for the time before it
  }

  const two = makeMedia(
    path.join(dir, "two.mkv"),
    "-f lavfi -i color=red:s=64x48:r=10:d=1 -f lavfi -i anullsrc=d=1 -f lavfi -i sine=d=1 " +
      `-map 0 -map 1 -map 2 -disposition:a:0 0 -disposition:a:1 default -t 1 ${H264} -c:a pcm_s16le`,
  );
  const tracks = await probeVideo(two);
  assert.equal(tracks.audioTracks.length, 2);
  assert.equal(tracks.audioTrack?.stream, 2);
  assert.ok(onset(await soundOf(tracks)) >= 0);
});

/** Adds 2^30 ticks (3.3 hours) to the presentation time of packet `index` of an MPEG program stream's `stream`. */
async function damagePresentationTime(file: string, stream: number, index: number): Promise<void> {
  const bytes = await readFile(file);
  const startCode = Buffer.from([0, 0, 1, stream]);
  const packets: number[] = [];
  for (let at = bytes.indexOf(startCode); at >= 0; at = bytes.indexOf(startCode, at + 4)) {
    if (bytes.readUInt8(at + 7) >= 0x80) packets.push(at + 9); // its header holds a presentation time
  }
  const at = packets[index];
  assert.ok(at !== undefined && packets.length > index + 2, `${packets.length} packets`);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0b10, at);
  await writeFile(file, bytes);
}

test("one damaged timestamp does not make a clip last for hours, and a long still picture stays", async (t) => {
  const dir = await tempDir(t);
  const clip =
    "-f lavfi -i testsrc=s=64x48:r=10:d=3 -f lavfi -i sine=d=3 -c:v mpeg2video -b:v 2M -c:a mp2 -f vob";
  for (const stream of [0xe0, 0xc0]) {
    const file = makeMedia(path.join(dir, `${stream}.vob`), clip);
    await damagePresentationTime(file, stream, 2);
    const info = await probeVideo(file);
    assert.equal((await framesOf(info)).length, 3);
    assert.ok((await soundOf(info)).length < 4 * 8000);
  }
  // Slides: the second picture is shown after five minutes.
  const slides = makeMedia(
    path.join(dir, "slides.mkv"),
    "-f lavfi -i color=red:s=16x16:r=1/300:d=600 -f lavfi -i sine=d=302:r=8000 -c:v ffv1 -c:a pcm_s16le",
  );
  assert.ok((await framesOf(await probeVideo(slides))).length >= 301);
});

test("a slice has its own frames and sound, whatever the container", async (t) => {
  const dir = await tempDir(t);
  const clip =
    "-f lavfi -i testsrc=s=64x48:r=10:d=4 -f lavfi -i aevalsrc=0.5*gte(t\\,2)*sin(2000*t):d=4:s=8000";
  for (const [name, codecs] of [
    ["a.vob", "-c:v mpeg2video -c:a mp2 -ar 48000 -f vob"],
    ["a.mp4", "-c:v libx264 -c:a aac"],
  ] as const) {
    const whole = await probeVideo(makeMedia(path.join(dir, name), `${clip} ${codecs}`));
    const part = sliceOf(whole, { startSeconds: 1.5, endSeconds: 3.5 });
    assert.deepEqual(
      (await framesOf(part)).map(({ timeSeconds, coveredSeconds }) => [timeSeconds, coveredSeconds]),
      [
        [0.9375, 1],
        [1.9375, 1],
      ],
      name,
    );
    const sound = await soundOf(part);
    assert.ok(Math.abs(sound.length / 8000 - 2) < 0.1, `${name}: ${sound.length}`);
    assert.ok(Math.abs(onset(sound) - 0.5) < 0.05, `${name}: ${onset(sound)}`);
  }
});

test("channels are averaged", async (t) => {
  const file = path.join(await tempDir(t), "stereo.mkv");
  makeMedia(
    file,
    "-f lavfi -i color=red:s=64x48:r=10:d=1 -f lavfi -i aevalsrc=0.5|-0.1:s=8000:d=1 " +
      `${H264} -c:a pcm_f32le`,
  );
  const sound = await soundOf(await probeVideo(file));
  assert.equal(sound.length, 8000);
  assert.ok(sound.subarray(100, 7900).every((x) => Math.abs(x - 0.2) < 1e-4));
});

test("what is no video is refused in one line", async (t) => {
  const dir = await tempDir(t);
  const real = makeMedia(path.join(dir, "real.ts"), "-f lavfi -i testsrc=s=64x48:r=10:d=0.5 -c:v mpeg2video");
  const list = `#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:1,\n${real}\n#EXT-X-ENDLIST\n`;
  const refused = async (name: string, content: string, message: RegExp) => {
    const file = path.join(dir, name);
    await writeFile(file, content);
    await assert.rejects(probeVideo(file), (error) => {
      assert.ok(error instanceof MediaError);
      assert.ok(error.message.startsWith(file) && !error.message.includes("\n"), error.message);
      assert.match(error.message, message);
      return true;
    });
  };
  await refused("empty.mp4", "", /the file is empty/);
  await refused("text.mp4", "hello", /cannot read it/);
  await refused("list.mp4", list, /a playlist/);
  await refused("list.m3u8", list, /a playlist/);
  await refused("concat.mp4", `ffconcat version 1.0\nfile ${path.basename(real)}\n`, /a playlist/);
  await assert.rejects(probeVideo(path.join(dir, "missing.mp4")), /no such video file/);
  await assert.rejects(probeVideo(dir), /found a folder/);
  const sound = makeMedia(path.join(dir, "sound.m4a"), "-f lavfi -i sine=d=0.2 -c:a aac");
  await assert.rejects(probeVideo(sound), /sound\.m4a: a sound file: it has no picture$/);
});

test("the cover of a sound file is not a video, and does not stand in the way of one", async (t) => {
  const dir = await tempDir(t);
  const cover = makeMedia(path.join(dir, "cover.png"), "-f lavfi -i color=red:s=32x32 -frames:v 1");
  const withCover = `-f lavfi -i sine=d=0.3 -i ${cover} -map 0:a -map 1:v -c:v copy -disposition:v attached_pic`;
  for (const name of ["song.mp3", "song.m4a", "song.flac"]) {
    const song = makeMedia(path.join(dir, name), withCover);
    await assert.rejects(probeVideo(song), (error: unknown) => {
      assert.ok(error instanceof MediaError);
      assert.equal(error.message, `${song}: a sound file: it has no picture but its cover`);
      assert.equal(error.hint, "Give a video file.");
      return true;
    });
  }
  const streams = `-f lavfi -i testsrc=s=64x48:d=1 -f lavfi -i sine=d=1 -i ${cover}`;
  const maps = `-map 2:v -map 0:v -map 1:a -c:v:0 copy -disposition:v:0 attached_pic -c:v:1 libx264 -pix_fmt yuv420p`;
  const info = await probeVideo(makeMedia(path.join(dir, "video.mp4"), `${streams} ${maps}`));
  assert.deepEqual([info.width, info.height, info.codec], [64, 48, "h264"]);
  assert.ok(info.audioTrack);
});

test("a tool that stalls, is aborted or is missing ends with a reason", async (t) => {
  // Waits for input that never comes.
  const waiting = ["-f", "rawvideo", "-video_size", "8x8", "-i", "pipe:0", "-f", "rawvideo", "pipe:1"];
  const first = async (options: { signal?: AbortSignal | undefined; stallSeconds?: number | undefined }) => {
    for await (const _ of startTool("ffmpeg", waiting, { source: "x.mp4", ...options }).output());
  };
  await assert.rejects(first({ stallSeconds: 0.3 }), /x\.mp4: ffmpeg made no progress/);
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const running = first({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(running, reason);
  await assert.rejects(first({ signal: controller.signal }), reason);

  const { PATH } = process.env;
  t.after(() => {
    process.env.PATH = PATH;
  });
  process.env.PATH = "";
  await assert.rejects(
    first({}),
    (error) => error instanceof MediaError && /apt install/.test(error.hint ?? ""),
  );
});

test("a process that is stopped for a while and continued does not find its tool stalled", async () => {
  const input = "-f rawvideo -pixel_format gray -video_size 8x8 -i pipe:0".split(" ");
  const args = [...input, "-f", "rawvideo", "pipe:1"];
  const tool = startTool("ffmpeg", args, { source: "x.mp4", stallSeconds: 2 });
  const output = tool.output();
  const first = output.next();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500); // like Ctrl-Z and `fg`
  await tool.write(new Uint8Array(64).fill(7));
  tool.endInput();
  const { value } = await first;
  assert.deepEqual([...(value ?? [])], Array(64).fill(7));
  assert.equal((await output.next()).done, true);
});

test("a tool that only writes its file may take its time, and is stopped when it stands still", async (t) => {
  const dir = await tempDir(t);
  const output = path.join(dir, "sound.wav");
  const write = async (args: string, stallSeconds: number) => {
    const options = { source: "x.mp4", output, stallSeconds };
    const tool = startTool("ffmpeg", [...args.split(" "), "-y", output], options);
    await tool.finished().finally(() => tool.stop());
  };
  await write("-re -f lavfi -i sine=d=5 -flush_packets 1", 2); // at the speed of its playing
  assert.ok((await stat(output)).size > 5 * 44_100 * 2);

  const pipe = path.join(dir, "pipe");
  const made = spawnSync("mkfifo", [pipe]);
  if (made.status !== 0) return t.skip("no named pipes here");
  await assert.rejects(write(`-f wav -i ${pipe}`, 0.3), /x\.mp4: ffmpeg made no progress for 0\.3 s/);
});

test("a recording with rotation and six channels, and common kinds of files", async (t) => {
  const dir = await tempDir(t);
  const sine = "-f lavfi -i sine=d=2";
  const wide = makeMedia(
    path.join(dir, "wide.mp4"),
    `-f lavfi -i testsrc=s=1920x1080:r=25:d=2 ${sine} ${H264} -c:a aac -ac 2`,
  );
  const mute = makeMedia(
    path.join(dir, "mute.webm"),
    "-f lavfi -i testsrc=s=96x96:r=30:d=3.333 -c:v libvpx-vp9 -deadline realtime -cpu-used 8",
  );
  const trimmed = makeMedia(path.join(dir, "trimmed.mp4"), `-ss 0.5 -i ${wide} -c copy`); // has an edit list
  const expected = [
    { file: referencePath("media", "rotate-buck-bunny.mp4"), size: "1080x1920", steps: 2, channels: 6 },
    { file: wide, size: "1920x1080", steps: 2, channels: 2 },
    { file: mute, size: "96x96", steps: 4, channels: undefined },
    { file: trimmed, size: "1920x1080", steps: 2, channels: 2 },
  ];
  for (const { file, size, steps, channels } of expected) {
    const info = await probeVideo(file);
    assert.equal(`${info.width}x${info.height}`, size, file);
    assert.equal(info.audioTrack?.channels, channels, file);
    assert.equal((await framesOf(info)).length, steps, file);
  }
});
