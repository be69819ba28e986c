/** SelM's bidirectional gates: state-space layers over time decide, per channel, how much either stream adds to itself. */
import { add, dim, mean, mul, reshape, silu, type Value } from "../../graph/index.js";
import { layerNorm, linear, mamba, type Scope } from "../../nn/index.js";

/** The projected maps of all levels, `[N,D,H,W]`, and the audio `[N,D]`. */
export interface GatedStreams {
  readonly maps: readonly Value[];
  readonly audio: Value;
}

/** Layers of a stack. */
const depth = 3;

/** Builds the gates of `levels` maps under `scope`. Clips of T frames are sequences; they do not mix. */
export function bidirectionalGates(
  scope: Scope,
  levels: number,
  width: number,
): (streams: GatedStreams, frameCount: number) => GatedStreams {
  const parts = Array.from({ length: levels }, (_, i) => ({
    project: linear(scope.at("vis_linear").at(i), width, width),
    encodeVideo: temporalEncoder(scope.at("video_encoder").at(i), width),
    encodeAudio: temporalEncoder(scope.at("audio_encoder").at(i), width),
    audioGate: linear(scope.at("audio_gated").at(i).at(0), width, width),
    videoGate: linear(scope.at("video_gated").at(i).at(0), width, width),
  }));
  return ({ maps, audio }, frameCount) => {
    const frames = dim(audio, 0);
    const sequences = (x: Value): Value => reshape(x, [-1, frameCount, width]); // [G,T,D]
    const gated = parts.map((part, i) => {
      const map = maps[i] ?? missing(i);
      const pooled = mean(map, { axes: [2, 3] }); // [N,D]
      const videoGate = silu(part.videoGate(part.encodeVideo(sequences(part.project(pooled)))));
      const audioGate = silu(part.audioGate(part.encodeAudio(sequences(audio))));
      const perChannel = reshape(audioGate, [frames, width, 1, 1]);
      return { map: add(map, mul(map, perChannel)), videoGate };
    });
    const total = gated.map(({ videoGate }) => videoGate).reduce((a, b) => add(a, b));
    const gate = mul(reshape(total, [frames, width]), 1 / levels);
    return { maps: gated.map(({ map }) => map), audio: add(audio, mul(audio, gate)) };
  };
}

function missing(level: number): never {
  throw new RangeError(`selm: no map of level ${level}`);
}

/** Three layers y + Mamba(y), y the layer norm of their input.  `[G,T,D]` -> `[G,T,D]` */
export function temporalEncoder(scope: Scope, width: number): (x: Value) => Value {
  const layers = Array.from({ length: depth }, (_, i) => {
    const at = scope.at("layers").at(i);
    return { norm: layerNorm(at.at("layernorm"), width), mix: mamba(at.at("mamba_block"), { width }) };
  });
  return (x) =>
    layers.reduce((value, { norm, mix }) => {
      const y = norm(value);
      return add(y, mix(y));
    }, x);
}
