/** Telling weight files apart by how they begin. */
import { CheckpointError } from "../errors.js";
import type { ByteSource } from "./byte-source.js";

/** What kinds of file can hold weights: safetensors, torch's zip archives, pickles (legacy torch files too), ONNX. */
export type Container = "safetensors" | "zip" | "pickle" | "onnx";

/** The container that `source` is. Throws `CheckpointError` that names what people give by mistake. */
export async function detectContainer(source: ByteSource): Promise<Container> {
  const first = await source.read(0, Math.min(64, source.size));
  const text = new TextDecoder("latin1").decode(first);
  // A header length below 2^32, then the brace of the header.
  if (first[8] === 0x7b && first.subarray(4, 8).every((b) => b === 0)) return "safetensors";
  if (text.startsWith("PK\x03\x04")) return "zip";
  // As ONNX files begin here: an IR version, then the producer's name.
  if (first[0] === 0x08 && first[2] === 0x12) return "onnx";
  // Pickles begin with their protocol; those of protocols 0 and 1 with a container or a name.
  if (first[0] === 0x80 || /^[c(\])}]/.test(text)) return "pickle";

  let found = `it begins with ${JSON.stringify(text.slice(0, 8))}`;
  let hint = "give a .safetensors, .pth, .pt or .pkl file; if it is one, it is damaged";
  if (source.size === 0) {
    found = "it is empty";
    hint = "get the file again";
  } else if (text.startsWith("version https://git-lfs")) {
    found = "it is a Git LFS pointer";
    hint = "run `git lfs pull` to get the file itself";
  } else if (/^\s*<(!doctype|html|\?xml)/i.test(text)) {
    found = "it is a web page";
    hint = "download the file itself, not the page about it";
  }
  throw new CheckpointError(`${source.name}: expected safetensors or a PyTorch checkpoint, but ${found}`, {
    hint,
  });
}
