/**
 * `node dist/bench/zoo/keys.js FOLDER`: opens a checkpoint with exactly the keys and shapes of every variant that the
 * folder's manifests list, as `avseg segment --checkpoint` does, and checks that a file with one key less or one too many is
 * refused. The files hold zeros that take no room on the disk. For TPAVI and SelM, VGGish is a file of its own. The exit
 * code is 1 on a failure.
 */
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { AvsegError } from "../../src/errors.js";
import { openPredictor } from "../../src/inference/node/open-predictor.js";
import { vggish, vggishSchema } from "../../src/models/vggish.js";
import { Scope } from "../../src/nn/index.js";
import { type Shape, sizeOf } from "../../src/tensor.js";
import { publishedVariants } from "./cases.js";

const [zoo] = process.argv.slice(2);
if (zoo === undefined) throw new Error("usage: node dist/bench/zoo/keys.js FOLDER");
const dir = await mkdtemp(path.join(tmpdir(), "avseg-zoo-keys-"));

/** Writes a safetensors file of zeros. */
async function writeZeros(name: string, shapes: ReadonlyMap<string, Shape>): Promise<string> {
  const entries: Record<string, unknown> = {};
  let end = 0;
  for (const [key, shape] of shapes) {
    const isCounter = key.endsWith("num_batches_tracked");
    const start = end;
    end += sizeOf(shape) * (isCounter ? 8 : 4);
    entries[key] = { dtype: isCounter ? "I64" : "F32", shape, data_offsets: [start, end] };
  }
  const header = Buffer.from(JSON.stringify(entries));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const file = path.join(dir, name);
  const handle = await open(file, "w");
  try {
    await handle.write(Buffer.concat([size, header]));
    await handle.truncate(8 + header.length + end);
  } finally {
    await handle.close();
  }
  return file;
}

const audioScope = new Scope();
vggish(audioScope, vggishSchema.parse({}));
const audioFile = await writeZeros(
  "vggish.safetensors",
  new Map(audioScope.specs().map(({ key, shape }) => [key, shape])),
);

/** Opens a file; gives the system that it was recognized as, or the message of the refusal. */
async function opened(file: string, hasAudio: boolean): Promise<{ kind?: string; refusal?: string }> {
  const encoders = hasAudio ? {} : { audio: audioFile };
  try {
    const predictor = await openPredictor({
      checkpoint: file,
      encoders,
      cache: false,
      runtime: { threads: 1 },
    });
    await predictor.close();
    const { config } = predictor;
    const visual = "visual" in config ? config.visual.kind : "ViT";
    return { kind: `${config.kind}, ${config.task}, ${visual}, ${config.imageSize} pixels` };
  } catch (error) {
    if (error instanceof AvsegError) return { refusal: error.message };
    throw error;
  }
}

console.log("| variant | keys | recognized as | one missing | one left over |\n|---|---|---|---|---|");
try {
  for (const system of ["tpavi", "avsegformer", "selm", "denseav"]) {
    for (const [variant, shapes] of await publishedVariants(zoo, system)) {
      const hasAudio = system === "avsegformer" || system === "denseav";
      const attempt = async (changed: ReadonlyMap<string, Shape>) => {
        const file = await writeZeros(`${system}-${variant}.safetensors`, changed);
        return opened(file, hasAudio);
      };
      const whole = await attempt(shapes);
      const used = [...shapes.keys()].find((key) => /norm1\.bias$|bn1\.bias$/.test(key)) ?? "";
      const less = await attempt(new Map([...shapes].filter(([key]) => key !== used)));
      const more = await attempt(new Map([...shapes, ["one.too.many", [3]]]));
      const isRight =
        whole.kind !== undefined && less.refusal?.includes(used) && more.refusal?.includes("one.too.many");
      if (!isRight) process.exitCode = 1;
      const cells = [`${system}/${variant}`, shapes.size, whole.kind ?? `**${whole.refusal}**`];
      const shown = (refused: boolean | undefined) => (refused ? "refused" : "**accepted**");
      cells.push(shown(less.refusal?.includes(used)), shown(more.refusal?.includes("one.too.many")));
      console.log(`| ${cells.join(" | ").replaceAll(dir, "")} |`);
    }
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}
