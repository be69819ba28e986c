/** Ranks within one process, to test what several processes compute without starting them. */
import type { Ranks } from "../src/distributed/ranks.js";

/** As many ranks as `size`; each must be driven at the same time as the others. */
export function localRanks(size: number): Ranks[] {
  const meetings: { values: unknown[]; arrived: number; release: () => void; done: Promise<void> }[] = [];
  const meet = async (rank: number, round: number, value: unknown): Promise<unknown[]> => {
    let meeting = meetings[round];
    if (meeting === undefined) {
      let release = (): void => {};
      const done = new Promise<void>((resolve) => {
        release = resolve;
      });
      meeting = { values: [], arrived: 0, release, done };
      meetings[round] = meeting;
    }
    meeting.values[rank] = value;
    if (++meeting.arrived === size) meeting.release();
    await meeting.done;
    return meeting.values;
  };
  return Array.from({ length: size }, (_, rank): Ranks => {
    let round = 0;
    return {
      rank,
      size,
      sum: async (values) => {
        const all = (await meet(rank, round++, values.slice())) as Float64Array[];
        values.fill(0);
        for (const own of all) for (const [i, x] of own.entries()) values[i] = (values[i] ?? 0) + x;
      },
      gather: (value) => meet(rank, round++, value),
    };
  });
}
