import assert from "node:assert/strict";
import test from "node:test";
import { archiveKills } from "../bench/scale/archive-kills.js";
import { noRedis, startRedis } from "./redis.js";
import { tempDir } from "./temp-dir.js";

test("killed workers and servers lose no video and process none twice", { skip: noRedis }, async (t) => {
  const result = await archiveKills({
    folder: await tempDir(t),
    server: await startRedis(t),
    ...{ videos: 16, workers: 2, kills: 4, restarts: 2, maxPauseSeconds: 3, seed: 7 },
  });
  const { processed, folders, partial, failed, waiting, published, kills, restarts } = result;
  assert.deepEqual(
    { processed, folders, partial, failed, waiting, kills, restarts },
    { processed: 16, folders: 16, partial: 0, failed: 0, waiting: 0, kills: 4, restarts: 2 },
  );
  assert.ok(published <= 16, `${published} results were published`);
});
