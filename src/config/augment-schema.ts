/** The schema of `training.augment`. Everything is off by default, as in the published recipes. */
import * as z from "zod";
import { expecting, fraction, section } from "../fields.js";

const probability = expecting("a number from 0 to 1", (e) => z.number(e).min(0, e).max(1, e)).default(0);

/** How clips are changed in training. 0 leaves them as they are. */
export const augmentSchema = section({
  /** Probability that the frames are mirrored left to right. */
  flip: probability,
  /** Largest fraction that is cut off the sides of the frames. */
  crop: fraction.default(0),
  /** Largest relative change of brightness, contrast and saturation. */
  color: fraction.default(0),
  /** Largest change of the sound's level in dB. */
  gain: expecting("a number from 0 to 60", (e) => z.number(e).min(0, e).max(60, e)).default(0),
  /** Largest standard deviation of white noise; full scale is 1. */
  noise: fraction.default(0),
  /** Probability that the sound of another clip, 6 to 18 dB lower, is added. */
  mixSound: probability,
  /** Probability that half of the picture is another clip's, silent. */
  mixPicture: probability,
  /** Probability that the sound is that of another clip of the same category. */
  swapSound: probability,
});
/** Settings of the augmentation. */
export type AugmentSettings = Readonly<z.infer<typeof augmentSchema>>;
