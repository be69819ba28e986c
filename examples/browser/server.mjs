/**
 * Serves the browser example: bundles `avseg/web` and its worker, and sends the headers that WASM threads need.
 *
 *     node examples/browser/server.mjs MODEL [PORT]
 *
 * MODEL is a checkpoint that holds the whole model, or one made by `avseg export` (.onnx).
 */
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = import.meta.dirname;
const types = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/** Bundles the library and its worker side by side: the library starts the worker by its relative address. */
async function bundle() {
  const library = fileURLToPath(import.meta.resolve("avseg/web"));
  const { outputFiles } = await build({
    entryPoints: {
      "avseg-web": library,
      worker: path.join(path.dirname(library), "..", "runtime", "web", "worker.js"),
    },
    bundle: true,
    format: "esm",
    write: false,
    outdir: "/",
    logLevel: "error",
    // onnxruntime-web finds its .wasm files by `wasmFolder` below; other files need no loader.
    external: ["*.wasm"],
  });
  return new Map(outputFiles.map(({ path: file, contents }) => [`/${path.basename(file)}`, contents]));
}

/** Starts the server; `close()` the result to stop it. */
export async function startServer({ model, port = 0, files = {} }) {
  const bundles = await bundle();
  const runtime = path.dirname(fileURLToPath(import.meta.resolve("onnxruntime-web")));
  const named = {
    "/": path.join(here, "index.html"),
    "/page.js": path.join(here, "page.js"),
    "/model": model,
    ...files,
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const file =
      named[pathname] ?? (pathname.startsWith("/ort/") ? path.join(runtime, path.basename(pathname)) : "");
    const type = types[path.extname(file || pathname)] ?? "application/octet-stream";
    const headers = {
      "Content-Type": type,
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    };
    const code = bundles.get(pathname);
    const found = code ?? (await stat(file).catch(() => undefined));
    if (!found) return response.writeHead(404, headers).end();
    response.writeHead(200, { ...headers, "Content-Length": code ? code.length : found.size });
    return code ? response.end(code) : createReadStream(file).pipe(response);
  });
  await once(server.listen(port, "localhost"), "listening");
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [model, port = "8080"] = process.argv.slice(2);
  if (!model) {
    console.error("usage: node examples/browser/server.mjs MODEL [PORT]");
    process.exit(2);
  }
  try {
    await stat(model);
    await startServer({ model, port: Number(port) });
    console.log(`http://localhost:${port}`);
  } catch (error) {
    const known = {
      ENOENT: `${model}: there is no such file`,
      EADDRINUSE: `port ${port} is in use: give another one`,
    };
    if (!known[error.code]) throw error;
    console.error(known[error.code]);
    process.exitCode = 1;
  }
}
