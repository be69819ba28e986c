/**
 * `node dist/scripts/salient-baseline.js ROOT`: the mIoU of marking every object of PhotoSounds' single-source test clips,
 * whatever sounds: the best that a model of salient objects could do, since the objects' true outlines are used.
 */
import path from "node:path";
import { openDataset } from "../src/datasets/avsbench/open-dataset.js";
import { BinaryTally, scoreBinaryFrame } from "../src/evaluation/binary-metrics.js";
import { readGray } from "../src/media/node/image-file.js";
import { resizeNearest } from "../src/media/resize.js";
import { sizeOf } from "../src/tensor.js";

const [root] = process.argv.slice(2);
if (root === undefined) throw new Error("expected the root of a PhotoSounds dataset, e.g. data/photos");
const dataset = await openDataset({ task: "s4", root, split: "test", imageSize: 224, frameCount: 5 });
const tally = new BinaryTally();
for (const [index, { id }] of dataset.entries.entries()) {
  const { masks, labeled } = await dataset.load(index);
  const [, height = 0, width = 0] = masks.shape;
  const pixels = sizeOf([height, width]);
  for (const [i, t] of labeled.entries()) {
    const objects = await readGray(path.join(root, "Single-source", "objects", id, `${t + 1}.png`));
    const mask = resizeNearest(objects, height, width).data.map((object) => (object > 0 ? 1 : 0));
    const truth = masks.data.subarray(i * pixels, (i + 1) * pixels);
    const probabilities = Float32Array.from(mask);
    tally.add(scoreBinaryFrame({ probabilities, mask, truth, width }));
  }
}
console.log(
  `every object, whatever sounds: mIoU ${tally.miou.toFixed(3)}, F ${tally.best.fscore.toFixed(3)}`,
);
