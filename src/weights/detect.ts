/** Recognizes model files by how they begin. */
import { CheckpointError } from "../errors.js";
import type { ByteSource } from "./byte-source.js";

/** Kinds of model files. `shards` is an index of weights in several files. Legacy torch files are pickles, too. */
export type Container = "safetensors" | "zip" | "pickle" | "onnx" | "shards";

/** The container that `source` is. Throws `CheckpointError` that names what people give by mistake. */
export async function detectContainer(source: ByteSource): Promise<Container> {
  const first = await source.read(0, Math.min(64, source.size));
  const text = new TextDecoder("latin1").decode(first);
  // A header length below 2^32, then the brace of the header.
  if (first[8] === 0x7b && first.subarray(4, 8).every((b) => b === 0)) return "safetensors";
  if (text.startsWith("PK\x03\x04")) return "zip";
  if (isOnnx(first)) return "onnx";
  if (/^\s*\{/.test(text)) return "shards";
  // Pickles begin with their protocol; those of protocols 0 and 1 with a container or a name.
  if (first[0] === 0x80 || /^[c(\])}]/.test(text)) return "pickle";

  let found = `it begins with ${JSON.stringify(text.slice(0, 8))}`;
  let hint = "Give a .safetensors, .pth, .pt or .pkl file. If it is one, it is damaged.";
  if (source.size === 0) {
    found = "it is empty";
    hint = "Get the file again.";
  } else if (text.startsWith("version https://git-lfs")) {
    found = "it is a Git LFS pointer";
    hint = "Run `git lfs pull` to get the file itself.";
  } else if (/^\s*<(!doctype|html|\?xml)/i.test(text)) {
    found = "it is a web page";
    hint = "Download the file itself, not the page about it.";
  } else if (packedWith(text) !== undefined) {
    found = `it is packed (${packedWith(text)})`;
    hint = "Unpack it and give the file in it.";
  }
  throw new CheckpointError(`${source.name}: expected safetensors or a PyTorch checkpoint, but ${found}`, {
    hint,
  });
}

/** Beginnings of packed files. */
const packings: Readonly<Record<string, string>> = {
  "\x1f\x8b": "gzip",
  "\xfd7zXZ\0": "xz",
  BZh: "bzip2",
  "7z\xbc\xaf\x27\x1c": "7-Zip",
  "Rar!": "RAR",
  "\x28\xb5\x2f\xfd": "Zstandard",
};

/** What a file that begins with `text` is packed with. */
function packedWith(text: string): string | undefined {
  return Object.entries(packings).find(([beginning]) => text.startsWith(beginning))?.[1];
}

/** Whether a file begins as ONNX files do: the version of the format, then another field of the model. */
function isOnnx([tag, version, next]: Uint8Array): boolean {
  // Producer, its version, domain, model version, documentation, graph, operator sets, metadata.
  const fields = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72];
  return tag === 0x08 && version !== undefined && version < 0x40 && fields.includes(next ?? 0);
}
