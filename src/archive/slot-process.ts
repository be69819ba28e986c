/**
 * A process that segments the videos of one slot of a worker. It opens a model once and keeps it; what crashes or leaks
 * in native code ends this process only.
 */
import { existsSync, writeFileSync } from "node:fs";
import { CheckpointError, ConfigError, isOutOfMemory, MediaError, OutputError } from "../errors.js";
import { findWeightFile } from "../inference/node/model-files.js";
import { openPredictor } from "../inference/node/open-predictor.js";
import type { LoadedPredictor } from "../inference/predictor.js";
import { errorCode } from "../node/system-error.js";
import { describeModel } from "../segment/node/describe-model.js";
import { NATURAL_MODEL } from "../segment/node/shipped-models.js";
import { writeSegmentation } from "../segment/node/write-segmentation.js";
import { serializeError } from "../serialize-error.js";
import { hashFile } from "../weights/node/hash-file.js";
import { hashModel } from "./plan.js";
import type { FailureKind, SlotReply, SlotRequest, SlotResult } from "./slot-protocol.js";

/** Progress is reported this often, in milliseconds. */
const progressMs = 2000;

interface OpenModel {
  readonly planId: string;
  readonly predictor: LoadedPredictor;
  readonly description: string;
}
let model: OpenModel | undefined;

function send(reply: SlotReply): void {
  process.send?.(reply);
}

async function openFor({ planId, plan, checkpoint, runtime }: SlotRequest): Promise<OpenModel> {
  if (model?.planId === planId) return model;
  await model?.predictor.close();
  model = undefined;
  const name = checkpoint ?? plan.checkpoint.file;
  const file = await findWeightFile(name ?? NATURAL_MODEL.file);
  if ((await hashModel(file)) !== plan.checkpoint.sha256) {
    throw new CheckpointError(`${file}: another model than the one that the videos were added with`, {
      hint: "Copy that model to this machine and name it with --checkpoint, or add the videos again for this one.",
    });
  }
  for (const encoder of Object.values(plan.encoders)) {
    if (encoder === undefined || (await hashFile(await findWeightFile(encoder.file))) === encoder.sha256)
      continue;
    throw new CheckpointError(
      `${encoder.file}: another encoder than the one that the videos were added with`,
      {
        hint: "Copy that encoder to this machine.",
      },
    );
  }
  const { visual, audio, pca } = plan.encoders;
  const predictor = await openPredictor({
    checkpoint: file,
    config: plan.config,
    encoders: { visual: visual?.file, audio: audio?.file, pca: pca?.file },
    runtime,
  });
  model = { planId, predictor, description: describeModel(file, predictor) };
  return model;
}

async function segment(request: SlotRequest): Promise<SlotResult> {
  const { video, sha256, plan, folder } = request;
  const { predictor, description } = await openFor(request);
  if ((await hashFile(video)) !== sha256) {
    throw new MediaError(`${video}: its content has changed since it was added`, {
      hint: "Add it again with `avseg archive add`.",
    });
  }
  let reported = Number.NEGATIVE_INFINITY;
  const { seconds: steps, soundingSeconds: soundingSteps } = await writeSegmentation(video, predictor, {
    outDir: folder,
    overlay: plan.overlay,
    silenceGate: plan.silenceGate,
    modelDescription: description,
    onProgress: ({ done, total }) => {
      if (performance.now() - reported < progressMs) return;
      reported = performance.now();
      send({ type: "progress", done, total });
    },
  });
  return { modelDescription: description, steps, soundingSteps };
}

function kindOf(error: unknown, video: string): FailureKind {
  if (isOutOfMemory(error)) return "memory";
  if (!existsSync(video)) return "missing";
  if (error instanceof MediaError) {
    // A program that could not be started is a fault of this machine.
    return errorCode(error.cause) === "ENOENT" ? "environment" : "input";
  }
  const environment = [CheckpointError, ConfigError, OutputError].some((kind) => error instanceof kind);
  return environment ? "environment" : "unexpected";
}

// Where memory runs out, the system ends this process rather than its worker.
try {
  writeFileSync("/proc/self/oom_score_adj", "500");
} catch {
  // Linux only.
}
// The worker decides when to end; these signals may reach all processes of a service at once.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
// Without its worker, its results could not be published: end at once, decoders included.
process.on("disconnect", () =>
  process.kill(process.platform === "win32" ? process.pid : -process.pid, "SIGKILL"),
);
process.on("message", (request: SlotRequest) => {
  segment(request).then(
    (result) => send({ type: "done", result }),
    (error: unknown) =>
      send({ type: "failed", kind: kindOf(error, request.video), error: serializeError(error) }),
  );
});
