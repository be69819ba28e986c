/** What entries of the library bring into a browser. */
import assert from "node:assert/strict";
import path from "node:path";
import { build } from "esbuild";
import { root } from "./support.js";

/**
 * Bundles entries, given below `dist/src`, and fails if they reach code for Node. Returns the modules that the bundles
 * import from outside, sorted, and the bytes of each.
 */
export async function bundleForBrowsers(
  entries: readonly string[],
  external: readonly string[],
): Promise<{ readonly imports: readonly string[]; readonly bytes: readonly number[] }> {
  const { metafile } = await build({
    entryPoints: entries.map((entry) => path.join(root, "dist/src", entry)),
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
    outdir: "/out",
    metafile: true,
    minify: true,
    external: [...external],
  });
  const forNode = /[/\\\\]node[/\\\\](?!.*node_modules)|^node:|onnxruntime-node|sharp/;
  assert.deepEqual(
    Object.keys(metafile.inputs).filter((file) => forNode.test(file)),
    [],
  );
  const outputs = Object.values(metafile.outputs);
  const imports = new Set(outputs.flatMap((output) => output.imports.map(({ path: name }) => name)));
  return { imports: [...imports].sort(), bytes: outputs.map(({ bytes }) => bytes) };
}
