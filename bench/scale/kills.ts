/** `node dist/bench/scale/kills.js [videos] [kills] [restarts] [seed]`: prints what `archiveKills` finds, as JSON. */
import { startRedis } from "../../test/redis.js";
import { tempDir } from "../../test/temp-dir.js";
import { archiveKills } from "./archive-kills.js";

const [videos = 200, kills = 20, restarts = 2, seed = 1] = process.argv.slice(2).map(Number);
const atEnd: (() => Promise<void>)[] = [];
const scope = { after: (work: () => Promise<void>) => void atEnd.unshift(work) };
try {
  const result = await archiveKills({
    folder: await tempDir(scope),
    server: await startRedis(scope),
    ...{ videos, kills, restarts, seed, workers: 2, maxPauseSeconds: 12 },
    log: (line) => process.stderr.write(`${line}\n`),
  });
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  for (const work of atEnd) await work();
}
