import assert from "node:assert/strict";
import test from "node:test";
import { BoundedQueue, readAhead } from "./bounded-queue.js";

test("items come in order, and no more than the capacity wait", async () => {
  const queue = new BoundedQueue<number>(2);
  let pushed = 0;
  const producer = (async () => {
    for (let i = 0; i < 10; i++) {
      await queue.push(i);
      pushed++;
    }
    queue.end();
  })();
  const taken: number[] = [];
  for await (const item of queue) {
    taken.push(item);
    await new Promise(setImmediate);
    assert.ok(pushed <= taken.length + 2, `${pushed} pushed, ${taken.length} taken`);
  }
  await producer;
  assert.deepEqual(taken, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a consumer that stops early does not hold up its producer", async () => {
  const queue = new BoundedQueue<number>(1);
  const producer = (async () => {
    for (let i = 0; i < 10; i++) await queue.push(i);
    queue.end();
  })();
  for await (const item of queue) if (item === 3) break;
  await producer;
});

test("one item is made ahead; leaving ends the source, and its error comes in its place", async () => {
  let made = 0;
  let ended = false;
  async function* source(): AsyncGenerator<number, void, undefined> {
    try {
      for (let i = 0; i < 5; i++) {
        made++;
        yield i;
      }
      throw new Error("empty");
    } finally {
      ended = true;
    }
  }
  for await (const item of readAhead(source())) {
    await new Promise(setImmediate);
    assert.equal(made, item + 2);
    if (item === 2) break;
  }
  assert.ok(ended);
  const taken: number[] = [];
  const all = async () => {
    for await (const item of readAhead(source())) taken.push(item);
  };
  await assert.rejects(all(), /^Error: empty$/);
  assert.deepEqual(taken, [0, 1, 2, 3, 4]);
});
