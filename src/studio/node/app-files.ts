/** The built app: a fixed list of files, so that no address reaches any other. */
import { createReadStream, existsSync, readdirSync, statSync } from "node:fs";
import type { ServerResponse } from "node:http";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { AvsegError } from "../../errors.js";
import { packagePath } from "../../node/paths.js";
import { commonHeaders } from "./requests.js";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mp4": "video/mp4",
  ".wasm": "application/wasm",
};

/** Where the package keeps the models of the app, and their addresses. */
const modelFolders = [
  { folder: ["assets", "soundshapes"], address: "/model" },
  { folder: ["assets", "natural"], address: "/model/natural" },
] as const;

/** Files of the app by address. Throws `AvsegError` where it was not built. */
export function appFiles(): ReadonlyMap<string, string> {
  const folder = packagePath("dist", "studio");
  if (!existsSync(path.join(folder, "index.html"))) {
    throw new AvsegError(`${folder}: the app is not there`, { hint: "Build it: npm run studio:build" });
  }
  const files = new Map<string, string>();
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = path.join(folder, name);
    if (statSync(file).isFile()) files.set(`/${name.split(path.sep).join("/")}`, file);
  }
  files.set("/", path.join(folder, "index.html"));
  // The package keeps its models once.
  for (const { folder: from, address } of modelFolders) {
    for (const name of readdirSync(packagePath(...from))) {
      if (name.endsWith(".safetensors")) files.set(`${address}/${name}`, packagePath(...from, name));
    }
  }
  return files;
}

/** Answers with a file. */
export async function answerFile(response: ServerResponse, file: string): Promise<void> {
  response.writeHead(200, {
    ...commonHeaders,
    "Content-Type": types[path.extname(file)] ?? "application/octet-stream",
    "Content-Length": statSync(file).size,
  });
  await pipeline(createReadStream(file), response);
}
