/**
 * DenseAV (Hamilton et al., "Separating the 'Chirp' from the 'Chat': self-supervised visual grounding of sound and
 * language", CVPR 2024; code and weights `mhamilton723/DenseAV-sound`, MIT). State-dict keys as published.
 *
 * A frame becomes a grid of vectors, a sound a sequence of vectors in the same space; their inner products are a heat map of
 * rows, columns and time. Nothing was labeled in training: any sound in any video gives one.
 *
 * B sounds, N frames, D channels of the common space.
 */
import type * as z from "zod";
import { count, integer, section } from "../../fields.js";
import { dim, type Value } from "../../graph/index.js";
import { ones, type ParameterSpec, type Pass, Scope, type TokenGrid } from "../../nn/index.js";
import { classVectorOf, frameAligner, type SoundAligner, soundAligner } from "./aligners.js";
import { type Hubert, hubert } from "./hubert.js";
import { type Vit, vit } from "./vit.js";

/** Settings of DenseAV, with the published values as defaults. */
export const denseavSettingsSchema = section({
  /** Channels of the common space, a multiple of `heads`. */
  width: count(4096).default(384),
  /** Similarity heads; a heat map is their maximum. */
  heads: count(64).default(1),
  /** Heads of the attention in the sound aligner. */
  alignerHeads: count(256).default(6),
  /** DINO: ViT-S/8. */
  frames: section({
    width: count(4096).default(384),
    depth: count(256).default(12),
    heads: count(256).default(6),
    patch: count(64).default(8),
    /** Side of the position table in patches. */
    side: count(1024).default(28),
    /** Rank of the low-rank adapters; 0 where the encoder was trained as a whole. */
    loraRank: integer(0, 1024).default(0),
  }).prefault({}),
  /** HuBERT-large. */
  sound: section({
    convWidth: count(4096).default(512),
    width: count(4096).default(1024),
    depth: count(256).default(24),
    heads: count(256).default(16),
    hidden: count(16384).default(4096),
    positionKernel: count(1024).default(128),
    positionGroups: count(1024).default(16),
    loraRank: integer(0, 1024).default(0),
  }).prefault({}),
});
/** Settings of DenseAV. */
export type DenseavSettings = Readonly<z.infer<typeof denseavSettingsSchema>>;

/** The parts of the model, which tests compare one by one, and the paths through them. */
export interface Denseav {
  readonly specs: readonly ParameterSpec[];
  /** The symbolic parameters by key. */
  readonly values: ReadonlyMap<string, Value>;
  readonly vit: Vit;
  readonly hubert: Hubert;
  readonly soundAligner: SoundAligner;
  /** Patches `[N,L,C]` -> `[N,L,D]` */
  alignFrames(patches: Value): Value;
  /** The class vector of each of `batch` sounds, before the aligner. */
  classVector(batch: number): Value;
  /** Normalized frames `[N,3,H,W]`, both sides multiples of the patch -> `[N,L,D]` */
  encodeFrames(frames: Value, pass: Pass): TokenGrid;
  /** Waves `[B,S]`, 16 kHz, in [-1, 1] -> `[B,T,D]`, a step for every 2,880 samples */
  encodeSound(waves: Value, pass: Pass): Value;
}

/** peft puts itself between a wrapper and its model. */
function adapted(root: Scope, name: string, rank: number): Scope {
  const inner = rank > 0 ? root.at(name).at("base_model").at("model") : root.at(name);
  return inner.at("model");
}

/** Builds the encoders and aligners. */
export function buildDenseavEncoders({ width, alignerHeads, frames, sound }: DenseavSettings): Denseav {
  const root = new Scope();
  const frameEncoder = vit(adapted(root, "image_model", frames.loraRank), frames);
  const soundEncoder = hubert(adapted(root, "audio_model", sound.loraRank), sound);
  const alignFrames = frameAligner(root.at("image_aligner"), frames.width, width);
  const sizes = { inputs: sound.width, width, heads: alignerHeads };
  const alignSound = soundAligner(root.at("audio_aligner"), sizes);
  const classVector = classVectorOf(root, sound.width);
  root.unused().at("sim_cal").param("w", [1], ones); // scales scores of whole sounds and frames, not heat maps
  return {
    specs: root.specs(),
    values: root.values(),
    vit: frameEncoder,
    hubert: soundEncoder,
    soundAligner: alignSound,
    alignFrames,
    classVector,
    encodeFrames(x, pass) {
      const { patches } = frameEncoder.encode(x, pass);
      return { ...patches, tokens: alignFrames(patches.tokens) };
    },
    encodeSound(waves, pass) {
      const steps = soundEncoder.encode(waves, pass);
      const start = { steps, classVector: classVector(dim(waves, 0)) };
      return alignSound.reduce((sounds, apply) => apply(sounds, pass), start).steps;
    },
  };
}
