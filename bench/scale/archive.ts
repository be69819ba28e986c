/**
 * `node dist/bench/scale/archive.js measure > FILE` measures this machine (some minutes, needs redis-server), or the
 * parts of it that are named: `server`, `minute`, `at-work`;
 * `node dist/bench/scale/archive.js plan FILE` simulates an archive of a million videos of one minute with it.
 */
import { readFileSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import { machine } from "../machine.js";
import {
  type Agreement,
  type AtWork,
  agreeAsleep,
  agreeAtWork,
  type MinuteConstants,
  measureMinute,
  measureServer,
  type ServerConstants,
} from "./measure-archive.js";
import { simulateArchive } from "./simulate-archive.js";

interface Measurements {
  readonly server: ServerConstants;
  readonly minute: MinuteConstants;
  readonly asleep: readonly Agreement[];
  readonly atWork: AtWork;
}

/** Processor seconds of the published PVTv2-B5 model for one minute: twelve clips, as `npm run bench` measured them. */
const modelSecondsPerMinute = 12 * 2.612;
const videos = 1_000_000;

async function measure(parts: readonly string[]): Promise<void> {
  const atEnd: (() => Promise<void>)[] = [];
  const scope = { after: (act: () => Promise<void>) => void atEnd.unshift(act) };
  const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
  try {
    const server = wanted("server") ? report(await measureServer(scope)) : undefined;
    const asleep = server && report(await agreeAsleep(scope, server));
    const minute = wanted("minute") ? report(await measureMinute(scope)) : undefined;
    const atWork = wanted("at-work") ? report(await agreeAtWork(scope, availableParallelism())) : undefined;
    const measured = { server, minute, asleep, atWork };
    process.stdout.write(
      `${JSON.stringify({ machine: machine(), load: loadavg(), ...measured }, null, 2)}\n`,
    );
  } finally {
    for (const act of atEnd) await act();
  }
}

/** Shows a part as soon as it is known. */
function report<T>(part: T): T {
  process.stderr.write(`${JSON.stringify(part)}\n`);
  return part;
}

function plan(file: string): void {
  const { server, minute }: Measurements = JSON.parse(readFileSync(file, "utf8"));
  const rows = [10, 100, 500, 2000].map((workers) => {
    const slots = 8;
    const videoSeconds = minute.processorSeconds + modelSecondsPerMinute;
    const run = simulateArchive({
      videos,
      workers,
      slotsPerWorker: slots,
      coresPerWorker: slots,
      startSeconds: 2,
      openSeconds: 15,
      videoSeconds: () => videoSeconds,
      waitSeconds: 0.2,
      serverSecondsPerVideo: server.processorSecondsPerVideo,
      serverSecondsPerSlotSecond: server.processorSecondsPerSlotSecond,
    });
    const perSecond = videos / run.seconds;
    return {
      workers,
      slots: workers * slots,
      hours: (run.seconds / 3600).toFixed(1),
      videosPerSecond: perSecond.toFixed(1),
      serverBusy: `${(100 * run.serverBusy).toFixed(2)}%`,
      serverCommandsPerSecond: Math.round(
        perSecond * server.commandsPerVideo + workers * slots * server.commandsPerSlotSecond,
      ),
      readMBPerSecond: ((2 * perSecond * minute.videoBytes) / 1e6).toFixed(0),
      writeMBPerSecond: ((perSecond * minute.resultBytes) / 1e6).toFixed(0),
      filesPerSecond: (perSecond * minute.resultFiles).toFixed(0),
    };
  });
  console.table(rows);
}

const [command, ...rest] = process.argv.slice(2);
if (command === "measure") await measure(rest);
else if (command === "plan") plan(rest[0] ?? "");
else {
  console.error("expected `measure [server] [minute] [at-work]`, or `plan FILE`");
  process.exitCode = 2;
}
