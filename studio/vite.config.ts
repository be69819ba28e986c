/** How the app is built: static files that any host can serve, in `dist/studio`. */
import { createReadStream, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { defineConfig, type Plugin } from "vite";

const root = import.meta.dirname;
const assets = path.join(root, "..", "assets");
/** The files of the app's models: their names under `model/`, and where they lie. */
const modelFiles = new Map(
  Object.entries({ "": "soundshapes", "natural/": "natural" }).flatMap(([prefix, folder]) =>
    readdirSync(path.join(assets, folder))
      .filter((name) => name.endsWith(".safetensors"))
      .map((name): [string, string] => [prefix + name, path.join(assets, folder, name)]),
  ),
);

/** The files of the app's models, under `model/`. */
function shippedModels(): Plugin {
  return {
    name: "shipped-models",
    generateBundle() {
      for (const [name, file] of modelFiles) {
        this.emitFile({ type: "asset", fileName: `model/${name}`, source: readFileSync(file) });
      }
    },
    configureServer({ middlewares }) {
      middlewares.use("/model", (request, response, next) => {
        const file = modelFiles.get((request.url ?? "").slice(1));
        if (file === undefined) return next();
        response.setHeader("Content-Type", "application/octet-stream");
        createReadStream(file).pipe(response);
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
  plugins: [shippedModels()],
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
