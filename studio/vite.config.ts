/** How the app is built: static files that any host can serve, in `dist/studio`. */
import { createReadStream, readFileSync } from "node:fs";
import path from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = import.meta.dirname;
const assets = path.join(root, "..", "assets", "soundshapes");
const modelFiles = ["demo.safetensors", "visual.safetensors", "audio.safetensors"];

/** The small model's files, under `model/`. */
function smallModel(): Plugin {
  return {
    name: "small-model",
    generateBundle() {
      for (const name of modelFiles) {
        this.emitFile({
          type: "asset",
          fileName: `model/${name}`,
          source: readFileSync(path.join(assets, name)),
        });
      }
    },
    configureServer({ middlewares }) {
      middlewares.use("/model", (request, response, next) => {
        const name = path.basename(request.url ?? "");
        if (!modelFiles.includes(name)) return next();
        response.setHeader("Content-Type", "application/octet-stream");
        createReadStream(path.join(assets, name)).pipe(response);
      });
    },
  };
}

/** Modules of the library do nothing when they are imported, but for the scripts of workers. */
const rolldownOptions = {
  treeshake: {
    moduleSideEffects: (id: string): boolean => !id.includes("/dist/src/") || id.endsWith("/worker.js"),
  },
};

const headers = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

export default defineConfig({
  root,
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  worker: { format: "es", rolldownOptions },
  plugins: [smallModel()],
  server: { headers },
  preview: { headers },
  build: {
    outDir: path.join(root, "..", "dist", "studio"),
    emptyOutDir: true,
    target: "es2023",
    rolldownOptions,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
});
