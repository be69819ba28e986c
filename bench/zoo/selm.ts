/** The cases of SelM, with their values on the way. */
import path from "node:path";
import { concat, constant, reshape } from "../../src/graph/index.js";
import { fusionBlock } from "../../src/models/selm/fusion.js";
import { temporalEncoder } from "../../src/models/selm/gates.js";
import { buildSelm } from "../../src/models/selm/selm.js";
import { stageDims } from "../../src/models/visual-encoder.js";
import { Pass, Scope } from "../../src/nn/index.js";
import { full, sizeOf, type Tensor } from "../../src/tensor.js";
import { loadSafetensors } from "../../src/weights/node/safetensors-file.js";
import { seededInput } from "../../test/support.js";
import { feedOf, inferredConfig, inputOf, numbered, type ZooCase } from "./cases.js";

/** A case of SelM, with its values on the way. */
export async function selmCase(zoo: string, name: string): Promise<ZooCase> {
  const config = await inferredConfig(zoo, { system: "selm", variant: name });
  if (config.kind !== "selm") throw new RangeError(`selm: ${config.kind}`);
  const { frameCount, imageSize, visual, selm } = config;
  const stagesFile = `selm/stages_${name}.safetensors`;
  const { tensors } = await loadSafetensors(path.join(zoo, stagesFile));
  const keep = full([frameCount], 1);
  keep.data.fill(0, 5);
  const feeds: Record<string, Tensor> = {
    frames: seededInput(`${name}_frames`, [frameCount, 3, imageSize, imageSize], 2),
    embedding: seededInput(`${name}_audio`, [frameCount, 128]),
    sequence: feedOf(Object.fromEntries(tensors), "encoder_in"),
    ...(config.task === "avss" && { keep }),
  };
  const input = (key: string) => inputOf(feeds, key);
  const pass = new Pass();
  const { logits, stages, gated, levels } = buildSelm(config).trace(
    { frames: input("frames"), embedding: input("embedding"), frameMask: feeds.keep && input("keep") },
    pass,
  );
  const stack = temporalEncoder(new Scope("tem_att").at("video_encoder").at(0), selm.width);
  const changes = stageDims(visual).map((channels, i) => {
    const scope = new Scope("encoder_backbone").at(`DAM_Fusion${i + 1}`);
    const fuse = fusionBlock(scope, { channels, width: selm.width });
    const [audio, tokens] = [constant(full([1, 1, selm.width])), constant(full([1, 1, channels]))];
    const added = reshape(fuse({ audio, tokens }, pass).tokens, [1, channels]);
    return concat(Array(frameCount).fill(added), 0);
  });
  /** How much each position prefers the second token, which decides if it is above 0. */
  const preferences = levels.map(({ second }) => {
    const side = Math.sqrt(sizeOf(second.shape) / frameCount);
    const [preference] = second.node.inputs[0]?.node.inputs ?? [];
    if (preference === undefined) throw new RangeError("selm: a choice without a preference");
    return reshape(preference, [frameCount, 1, side, side]);
  });
  const of = <T, K extends keyof T>(values: readonly T[], key: K): T[K][] =>
    values.map((value) => value[key]);
  return {
    files: [`selm/model_${name}.safetensors`, stagesFile],
    feeds,
    outputs: {
      logits,
      encoder_out: stack(input("sequence")),
      bidirectional_audio: gated.audio,
      ...numbered("stage", of(stages, "map")),
      ...numbered("stage", of(stages, "audio"), "_audio"),
      ...numbered("stage", changes, "_change_at_position_0"),
      ...numbered("bidirectional", gated.maps),
      ...numbered("fused", of(levels, "map")),
      ...numbered("tokens", of(levels, "tokens")),
      ...numbered("map", preferences, "_second_token"),
    },
    // A token is the mean of the positions that chose it, and the next level's queries follow from it.
    decisions: (key) =>
      levels.flatMap((_, i) =>
        Number(/^tokens(\d)$/.exec(key)?.[1]) > i ? [`map${i + 1}_second_token`] : [],
      ),
    // What a block adds is a difference of large numbers, in single precision.
    tolerance: (key) => (key.includes("_change_at_position_0") ? 1e-3 : 1e-4),
  };
}
