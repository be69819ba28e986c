/** The public encoder weights that the published system starts from, and where their authors publish them. */
import { ConfigError } from "../../errors.js";

/** One public weight file. */
export interface PretrainedWeights {
  /** Identifies them, e.g. `pvt_v2_b5`. */
  readonly name: string;
  /** The encoder that it fits. */
  readonly model: string;
  readonly url: string;
  /** First hex digits of the SHA-256, where the publisher put them into the file's name. */
  readonly sha256Prefix?: string | undefined;
  /** Tensors by which the file is recognized whatever its keys are; needed where there are no digits. */
  readonly marks?: TensorMarks | undefined;
}

/** A number of tensors of one shape. */
export interface TensorMarks {
  readonly shape: readonly number[];
  readonly count: number;
}

/** Hidden width and number of blocks of the third stage of PVTv2: one depthwise convolution each. */
const pvtThirdStage: Readonly<Record<string, readonly [hidden: number, blocks: number]>> = {
  b0: [640, 2],
  b1: [1280, 2],
  b2: [1280, 6],
  b3: [1280, 18],
  b4: [1280, 27],
  b5: [1280, 40],
};

const pvtReleases = "https://github.com/whai362/PVT/releases/download/v2";

const all: readonly PretrainedWeights[] = [
  ...Object.entries(pvtThirdStage).map(([size, [hidden, count]]) => ({
    name: `pvt_v2_${size}`,
    model: `PVTv2-${size.toUpperCase()}, ImageNet-1k`,
    url: `${pvtReleases}/pvt_v2_${size}.pth`,
    marks: { shape: [hidden, 1, 3, 3], count },
  })),
  {
    name: "vggish",
    model: "VGGish, AudioSet",
    url: "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
    sha256Prefix: "10086976",
  },
  {
    name: "resnet50",
    model: "ResNet-50, ImageNet-1k",
    url: "https://download.pytorch.org/models/resnet50-19c8e357.pth",
    sha256Prefix: "19c8e357",
  },
];

/** All public weights by name. */
export const PRETRAINED: ReadonlyMap<string, PretrainedWeights> = new Map(all.map((w) => [w.name, w]));

/** The public weights called `name`. Throws `ConfigError` that lists the names. */
export function pretrainedWeights(name: string): PretrainedWeights {
  const found = PRETRAINED.get(name);
  if (found !== undefined) return found;
  throw new ConfigError(`unknown public weights: ${JSON.stringify(name)}`, {
    hint: `Choose one of ${[...PRETRAINED.keys()].join(", ")}.`,
  });
}
