/** One rank of `measure sums`: times sums of `count` doubles; the first rank prints them as JSON. Checks the sums. */
import { openRanks } from "../../src/distributed/open-ranks.js";

const [count = 0, times = 0] = process.argv.slice(2).map(Number);
const ranks = await openRanks(process.env);
const values = new Float64Array(count);
const seconds: number[] = [];
for (let time = 0; time < times; time++) {
  for (let i = 0; i < count; i++) values[i] = (i % 1000) + ranks.rank;
  await ranks.gather(null);
  const started = performance.now();
  await ranks.sum(values);
  seconds.push((performance.now() - started) / 1000);
  const wrong = values.findIndex(
    (value, i) => value !== ranks.size * (i % 1000) + (ranks.size * (ranks.size - 1)) / 2,
  );
  if (wrong >= 0) throw new Error(`the sum of element ${wrong} is ${values[wrong]}`);
}
if (ranks.rank === 0) process.stdout.write(JSON.stringify(seconds));
ranks.close();
