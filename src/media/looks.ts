/**
 * How what sounds is shown: one definition for overlay videos, which ffmpeg draws, and for pictures on a canvas in the studio.
 */

/** The looks: the default first. */
export const looks = ["overlay", "outline", "spotlight", "blur", "gray"] as const;

/** The name of a look. */
export type Look = (typeof looks)[number];

/** The looks in words. */
export const lookLabels: Readonly<Record<Look, string>> = {
  overlay: "Overlay",
  outline: "Outline",
  spotlight: "Spotlight",
  blur: "Blurred background",
  gray: "Gray background",
};

/** The strength of a look where none is chosen. */
export const defaultStrength = 0.42;

/** Opacity of the outline of a mask. */
export const outlineOpacity = 0.92;

/** What looks do to a frame. */
export interface LookEffects {
  /** `overlay`: opacity of the color over what sounds. */
  readonly fill: number;
  /** `spotlight`: opacity of the black over the rest. */
  readonly shade: number;
  /** `blur`: standard deviation of the rest's blur, as a fraction of the frame's longer side. */
  readonly blur: number;
  /** `gray`: brightness of the rest, which has no color. */
  readonly brightness: number;
}

/** The effects of a strength of 0 to 1. Default: `defaultStrength`. */
export function lookEffects(strength: number = defaultStrength): LookEffects {
  return {
    fill: strength,
    shade: Math.min(1, 1.6 * strength),
    blur: 0.004 + 0.03 * strength,
    brightness: 1 - 0.6 * strength,
  };
}
