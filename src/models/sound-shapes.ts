/** The small frozen encoders that are shipped for SoundShapes; `scripts/train-encoders.ts` trains them. */
import type { PvtConfig, VggishConfig } from "./model-config.js";
import { pvtPreset } from "./presets.js";

/** A PVTv2-B0; shallow enough to train from scratch with little drop path. */
export const soundShapesVisual: PvtConfig = pvtPreset("pvt-v2-b0", { dropPath: 0.05 });

/** A VGGish a quarter as wide. */
export const soundShapesAudio: VggishConfig = {
  widths: [16, 32, 64, 64, 128, 128],
  hidden: 256,
  pca: false,
};
