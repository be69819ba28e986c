/**
 * `avseg segment` beside ffmpeg, in turns: with an overlay beside ffmpeg's own encoding of the video with the same settings,
 * and without one beside its decoding to frames of the model's size. The video is two minutes of SoundShapes at 448x448 and
 * 16 frames per second. `main.ts` runs it with the number of rounds.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { median } from "./samples.js";

/** What each command took, round by round, and the ratios of the medians by the clock. */
export interface VideoMeasurement {
  readonly seconds: Readonly<Record<string, readonly number[]>>;
  /** Of all processes of the command, on all processors. */
  readonly processorSeconds: Readonly<Record<string, readonly number[]>>;
  readonly overlayToEncode: number;
  readonly masksToDecode: number;
}

const clips = 24;
const modelSide = 96; // that of the demo model
/** So that threads that look out for work do not slow the next command. */
const restMs = 1500;

/** Runs a command: its seconds by the clock, and those that it and the processes it started spent on processors. */
function timed(command: string, args: readonly string[]): readonly [seconds: number, processor: number] {
  const script = '"$@" >/dev/null 2>&1 || exit; times'; // the second line is that of the shell's children
  const started = performance.now();
  const report = execFileSync("sh", ["-c", script, "sh", command, ...args], { encoding: "utf8" });
  const seconds = (performance.now() - started) / 1000;
  const spent = [...(report.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return [seconds, spent.reduce((sum, [, minutes, rest]) => sum + 60 * Number(minutes) + Number(rest), 0)];
}

/** Runs all commands `rounds` times in turns. */
async function measureVideo(rounds: number): Promise<VideoMeasurement> {
  const dir = mkdtempSync(path.join(tmpdir(), "avseg-bench-"));
  try {
    const video = await makeVideo(dir);
    const main = path.join(import.meta.dirname, "..", "bin", "avseg.js");
    const read = ["-v", "error", "-nostdin", "-y", "-i", video];
    const h264 = [
      "-c:v",
      "libx264",
      "-preset",
      "veryfast",
      "-crf",
      "20",
      "-pix_fmt",
      "yuv420p",
      "-c:a",
      "copy",
    ];
    const raw = ["-vf", `scale=${modelSide}:${modelSide}`, "-pix_fmt", "rgb24", "-f", "rawvideo"];
    const segment = [
      main,
      "segment",
      video,
      "--checkpoint",
      DEMO_MODEL.file,
      "--out",
      path.join(dir, "segments"),
    ];
    const commands: Record<string, readonly [string, readonly string[]]> = {
      encode: ["ffmpeg", [...read, ...h264, "-movflags", "+faststart", path.join(dir, "encoded.mp4")]],
      overlay: [process.execPath, segment],
      decode: ["ffmpeg", [...read, ...raw, "/dev/null"]],
      masks: [process.execPath, [...segment, "--no-overlay"]],
    };
    const seconds: Record<string, number[]> = {};
    const processorSeconds: Record<string, number[]> = {};
    for (let round = 0; round < rounds; round++) {
      for (const [name, [command, args]] of Object.entries(commands)) {
        await setTimeout(restMs);
        const [byTheClock, onProcessors] = timed(command, args);
        seconds[name] = [...(seconds[name] ?? []), byTheClock];
        processorSeconds[name] = [...(processorSeconds[name] ?? []), onProcessors];
      }
    }
    const typical = (name: string) => median(seconds[name] ?? []);
    return {
      ...{ seconds, processorSeconds },
      overlayToEncode: typical("overlay") / typical("encode"),
      masksToDecode: typical("masks") / typical("decode"),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Clips of five seconds, one after another. */
async function makeVideo(dir: string): Promise<string> {
  const names: string[] = [];
  for (let index = 0; index < clips; index++) {
    const name = `${index}.mp4`;
    await writeClipVideo({ task: "s4", split: "test", index, seed: 1, imageSize: 448 }, path.join(dir, name));
    names.push(name);
  }
  const list = path.join(dir, "list.txt");
  writeFileSync(list, names.map((name) => `file ${name}\n`).join(""));
  const video = path.join(dir, "video.mp4");
  execFileSync("ffmpeg", ["-v", "error", "-f", "concat", "-i", list, "-t", "120", "-c", "copy", video]);
  return video;
}

process.stdout.write(`${JSON.stringify(await measureVideo(Number(process.argv[2] ?? 3)))}\n`);
