/**
 * `node dist/bench/zoo/main.js FOLDER [CASE...]`: compares the other published systems with a folder of reference numbers of
 * their own code, in Node and in WASM (onnxruntime-web), and prints a table for docs/log.md. The folder has a folder for each
 * system, with `manifest.json` (keys and shapes) and safetensors files. Each case runs in a process of its own, as WASM never
 * gives memory back. The exit code is 1 if an output is outside of its tolerance.
 */
import { execFileSync } from "node:child_process";
import path from "node:path";
import * as z from "zod";
import { emitOnnx } from "../../src/graph/index.js";
import { nodeRuntime } from "../../src/runtime/node/node-runtime.js";
import type { Tensor } from "../../src/tensor.js";
import { loadSafetensors } from "../../src/weights/node/safetensors-file.js";
import { seededParameter } from "../../test/support.js";
import { wasmRuntime } from "../../test/wasm.js";
import { baselineCase } from "./baselines.js";
import type { ZooCase } from "./cases.js";
import { type Agreement, compare, framesOf, isDecision, outputNameOf } from "./compare.js";
import { denseavCase } from "./denseav.js";
import { selmCase } from "./selm.js";

const cases = [
  ...["s4_pvt2", "s4_res50", "s4_res50_vv", "avss_pvt2", "avss_res50"].map((name) => `tpavi/${name}`),
  ...["s4_pvt2", "s4_res50", "s4_pvt2_512", "avss_pvt2", "avss_res50"].map((name) => `avsegformer/${name}`),
  ...["s4_pvt", "ms3_pvt", "avss_pvt"].map((name) => `selm/${name}`),
  ...["sound", "frames", "plain"].map((name) => `denseav/${name}`),
];
/** Pixels or positions in ten thousand that may fall on the other side of a near tie. */
const maxTies = 3;

function caseOf(zoo: string, name: string): Promise<ZooCase> {
  const [system = "", variant = ""] = name.split("/");
  if (system === "selm") return selmCase(zoo, variant);
  if (system === "denseav") return denseavCase(zoo, variant);
  return baselineCase(zoo, system, variant);
}

/** What a process of one case and one runtime finds. */
const resultSchema = z.object({
  agreements: z.array(
    z.object({
      key: z.string(),
      error: z.number(),
      differing: z.number(),
      frames: z.array(z.number()),
      /** Frames that were left out, as a tie decided them otherwise. */
      without: z.array(z.number()),
      count: z.number(),
      allowed: z.number(),
    }),
  ),
  /** Keys of the files that the model has no output for. */
  others: z.number(),
});
type Result = z.infer<typeof resultSchema>;

async function measure(zoo: string, name: string, kind: string): Promise<Result> {
  const { files, feeds, outputs, tolerance, decisions } = await caseOf(zoo, name);
  const references = await Promise.all(files.map((file) => loadSafetensors(path.join(zoo, file))));
  const wanted = new Set(references.flatMap(({ tensors }) => [...tensors.keys()]).map(outputNameOf));
  const runtime = kind === "wasm" ? wasmRuntime() : nodeRuntime({ threads: 1 });
  try {
    // An output must not have the name of a parameter.
    const named = Object.entries(outputs).flatMap(([key, value]) =>
      wanted.has(key) ? [[`output:${key}`, value] as const] : [],
    );
    const graph = emitOnnx(Object.fromEntries(named), { target: runtime.supports });
    const weights = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
    const session = await runtime.createSession({ graph, weights });
    const used = new Set(graph.inputs.map((input) => input.name));
    const found = await session.run(
      Object.fromEntries(Object.entries(feeds).filter(([key]) => used.has(key))),
    );
    const result: Result = { agreements: [], others: 0 };
    const pairs: { key: string; actual: Tensor; expected: Tensor; steps: readonly number[] | undefined }[] =
      [];
    /** Decisions come first. */
    const rank = (key: string): number => (isDecision(key) ? 0 : 1);
    for (const { tensors, metadata } of references) {
      const strides = z.record(z.string(), z.array(z.number())).parse(JSON.parse(metadata.strides ?? "{}"));
      for (const [key, expected] of tensors) {
        const actual = found[`output:${outputNameOf(key)}`];
        if (actual === undefined) {
          result.others++;
          continue;
        }
        pairs.push({ key, actual, expected, steps: strides[key] });
      }
    }
    for (const { key, actual, expected, steps } of pairs.sort((a, b) => rank(a.key) - rank(b.key))) {
      const needed = decisions?.(key) ?? [];
      const without = result.agreements.flatMap((a) => (needed.includes(a.key) ? a.frames : []));
      const isKept = (frame: number) => !without.includes(frame);
      const held = key === "mask_feature" && feeds.keep ? flagged(expected, feeds.keep) : expected;
      const agreement: Agreement =
        without.length === 0
          ? compare(actual, held, { key, steps })
          : compare(framesOf(actual, isKept), framesOf(held, isKept), { key, steps });
      result.agreements.push({
        ...agreement,
        frames: [...agreement.frames],
        without,
        // Where a choice fell otherwise, others are near ties too: the references allow ten times as much.
        allowed: (isDecision(key) ? 2 : without.length > 0 ? 10 : 1) * tolerance(key),
      });
    }
    return result;
  } finally {
    await runtime.close();
  }
}

/** A reference of all frames with zeros for the padded ones: AVSegFormer's mask feature is stored before the flag. */
function flagged({ shape, data }: Tensor, { data: keep }: Tensor): Tensor {
  const perFrame = data.length / (shape[0] ?? 1);
  const values = Float32Array.from<number | bigint>(
    data,
    (x, i) => Number(x) * Number(keep[Math.floor(i / perFrame)]),
  );
  return { dtype: "f32", shape, data: values };
}

const [zoo, ...rest] = process.argv.slice(2);
if (zoo === undefined) throw new Error("usage: node dist/bench/zoo/main.js FOLDER [CASE...]");
if (rest[0] === "--measure") {
  process.stdout.write(JSON.stringify(await measure(zoo, rest[1] ?? "", rest[2] ?? "")));
} else {
  console.log(
    "| case | runtime | logits | worst other value | decided otherwise | compared, without an output |",
  );
  console.log("|---|---|---|---|---|---|");
  for (const name of rest.length > 0 ? rest : cases) for (const kind of ["node", "wasm"]) report(name, kind);
}

function report(name: string, kind: string): void {
  const command = [import.meta.filename, zoo ?? "", "--measure", name, kind];
  const text = execFileSync(process.execPath, command, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { agreements, others } = resultSchema.parse(JSON.parse(text));
  const decisions = agreements.filter(({ key }) => isDecision(key));
  const values = agreements.filter((agreement) => !decisions.includes(agreement));
  const worst = (of: typeof values) =>
    of.reduce((a, b) => (b.error / b.allowed > a.error / a.allowed ? b : a));
  const logits = values.filter(({ key }) => key.startsWith("logits"));
  const inner = values.filter(({ key }) => !key.startsWith("logits"));
  const shown = ({ error }: { error: number }) => error.toExponential(1);
  const cells = [
    name,
    kind === "node" ? "Node" : "WASM",
    logits.length > 0 ? shown(worst(logits)) : "",
    inner.length > 0 ? `${shown(worst(inner))} (${worst(inner).key})` : "",
    [...decisions.map(describe), ...values.flatMap(leftOut)].join(", "),
    `${agreements.length}, ${others}`,
  ];
  console.log(`| ${cells.join(" | ")} |`);
  for (const { key, error, allowed, differing, count } of agreements) {
    if (error <= allowed && differing <= (maxTies * count) / 10_000) continue;
    process.exitCode = 1;
    const decided = differing > 0 ? `, ${differing} of ${count} are decided otherwise` : "";
    console.error(`${name} (${kind}): ${key}: ${error}, allowed ${allowed}${decided}`);
  }
}

/** Names a decision, how many pixels or positions differ, and by which margin. */
function describe({ key, differing, count, error }: Agreement): string {
  const margin = differing > 0 ? ` by ${error.toExponential(1)} at most` : "";
  return `${key}: ${differing} of ${count}${margin}`;
}

/** Names the frames that were left out of a comparison, if any. */
function leftOut({ key, without }: Result["agreements"][number]): string[] {
  return without.length === 0 ? [] : [`${key} without frame ${without.join(", ")}`];
}
