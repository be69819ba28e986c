/** Labels of a picture as runs: an exact mask in a few hundred bytes. */

/** Pairs of a label and how many pixels in row-major order have it. */
export type Runs = Uint32Array<ArrayBuffer>;

/** Labels `u16[height*width]` as runs. */
export function runsOf(labels: Uint16Array): Runs {
  const runs: number[] = [];
  for (let from = 0; from < labels.length; ) {
    const label = labels[from]!;
    let to = from + 1;
    while (to < labels.length && labels[to] === label) to++;
    runs.push(label, to - from);
    from = to;
  }
  return Uint32Array.from(runs);
}

/** The labels of runs. */
export function labelsOf(runs: Runs, size: number): Uint16Array<ArrayBuffer> {
  const labels = new Uint16Array(size);
  let at = 0;
  for (let i = 0; i < runs.length; i += 2) {
    const [label, count] = [runs[i]!, runs[i + 1]!];
    if (label > 0) labels.fill(label, at, at + count);
    at += count;
  }
  return labels;
}
