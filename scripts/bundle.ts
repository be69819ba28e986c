/**
 * Part of `npm run build`: the command line as a few files in `dist/bin`, because its modules take longer to load one by one
 * than ffmpeg takes to start. Threads and processes of their own still load modules of `dist/src`.
 */
import { copyFileSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const dist = path.join(import.meta.dirname, "..");
const bin = path.join(dist, "bin");
/** Other packages stay outside; this one alone has a quarter of the modules. */
const zod = fileURLToPath(import.meta.resolve("zod"));

rmSync(bin, { recursive: true, force: true });
await build({
  entryPoints: { avseg: path.join(dist, "src", "cli", "main.js") },
  outdir: bin,
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node20.12",
  packages: "external",
  alias: { zod },
  sourcemap: true,
  logLevel: "warning",
});
copyFileSync(path.join(path.dirname(zod), "LICENSE"), path.join(bin, "LICENSE-zod"));
