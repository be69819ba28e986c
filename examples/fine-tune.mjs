/**
 * Fine-tunes a checkpoint on one's own labeled videos and says what that changed.
 *
 *     node examples/fine-tune.mjs LABELED_FOLDER CHECKPOINT OUT [EPOCHS]
 *
 * LABELED_FOLDER holds videos, and beside each a folder of its name with masks: clip.mp4, clip/0.png, clip/1.png ...
 * (the number is the second; white where something sounds).
 */
import path from "node:path";
import {
  AvsegError,
  configFromObject,
  evaluate,
  importDataset,
  openDataset,
  openModel,
  openTraining,
  readCheckpointInfo,
} from "avseg";

/** The mean IoU of a checkpoint on a dataset. */
async function miouOf(checkpoint, dataset, signal) {
  const model = await openModel({ checkpoint, signal });
  try {
    const { metrics } = await evaluate(model, dataset, { batchSize: 1, signal });
    return metrics.miouPerFrame;
  } finally {
    await model.close();
  }
}

/** Imports the videos and trains on them: the new checkpoint, and where the data is. */
async function fineTune({ source, checkpoint, out, epochs, signal }) {
  // The model and its sizes are the checkpoint's; only data and training change.
  const { config: base } = await readCheckpointInfo(checkpoint);
  const { imageSize } = base.data;
  const root = path.join(out, "data");
  const { clips } = await importDataset({ task: "ms3", source, root, imageSize, valFraction: 0.25, signal });
  console.log(`${clips.train} clips to train on, ${clips.val} to validate, ${clips.test} to test`);

  const config = configFromObject({
    task: "ms3",
    model: base.model,
    data: { root, imageSize, batchSize: Math.min(4, clips.train) },
    training: {
      init: checkpoint,
      epochs: Number(epochs),
      optimizer: { learningRate: base.training.optimizer.learningRate / 3 },
    },
    runtime: base.runtime,
  });
  const workDir = path.join(out, "run");
  const training = await openTraining({ config, workDir, existing: "replace", signal });
  try {
    const { bestFile, lastFile } = await training.trainer.run({
      signal,
      onEvent: (event) => {
        if (event.kind !== "epoch") return;
        const { epoch, loss, validation } = event.record;
        console.log(
          `epoch ${epoch + 1}: loss ${loss.toFixed(4)}, validation mIoU ${validation?.miou?.toFixed(4)}`,
        );
      },
    });
    return { tuned: bestFile ?? lastFile, data: { root, imageSize } };
  } finally {
    await training.close();
  }
}

const [source, checkpoint, out, epochs = "30"] = process.argv.slice(2);
if (!source || !checkpoint || !out) {
  console.error("usage: node examples/fine-tune.mjs LABELED_FOLDER CHECKPOINT OUT [EPOCHS]");
  process.exit(2);
}
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
const { signal } = stop;
try {
  const { tuned, data } = await fineTune({ source, checkpoint, out, epochs, signal });
  const test = await openDataset({ task: "ms3", split: "test", ...data });
  const [before, after] = [await miouOf(checkpoint, test, signal), await miouOf(tuned, test, signal)];
  console.log(`test mIoU ${before.toFixed(4)} before, ${after.toFixed(4)} after: ${tuned}`);
} catch (error) {
  if (!(error instanceof AvsegError) && !signal.aborted) throw error;
  console.error(signal.aborted ? "interrupted" : `${error.message}\n${error.hint ?? ""}`);
  process.exitCode = signal.aborted ? 130 : 1;
}
