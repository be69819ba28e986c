/**
 * An HTTP endpoint that streams results: POST a video, get one JSON object per line and second.
 *
 *     node examples/http-server.mjs [CHECKPOINT] [PORT]
 *     curl --data-binary @street.mp4 -N http://localhost:8080/segment
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { AvsegError, openModel } from "avseg";

const maxBytes = 500e6;

/** Fails when more than `limit` bytes pass. */
function limited(limit) {
  let seen = 0;
  return new Transform({
    transform(piece, _encoding, done) {
      seen += piece.length;
      done(seen > limit ? new AvsegError(`the video is larger than ${limit} bytes`) : null, piece);
    },
  });
}

/** A frame as a line of JSON. Masks are large: send them as PNG if the client needs them. */
function lineOf({ timeSeconds, mask }) {
  const objects = mask.regions.map(({ label, area, box, confidence }) => ({ label, area, box, confidence }));
  return `${JSON.stringify({ timeSeconds, width: mask.width, height: mask.height, objects })}\n`;
}

async function segment(request, response, model) {
  const stop = new AbortController();
  response.on("close", () => stop.abort()); // the client is gone: so is the work
  const dir = await mkdtemp(path.join(tmpdir(), "avseg-http-"));
  try {
    const file = path.join(dir, "video");
    await pipeline(request, limited(maxBytes), createWriteStream(file));
    for await (const frame of model.segment(file, { signal: stop.signal })) {
      if (!response.headersSent) response.writeHead(200, { "Content-Type": "application/x-ndjson" });
      response.write(lineOf(frame));
    }
    response.end();
  } catch (error) {
    if (stop.signal.aborted) return;
    const known = error instanceof AvsegError;
    if (!known) console.error(error);
    const text = known
      ? { error: error.message.replaceAll(dir, ""), hint: error.hint }
      : { error: "internal error" };
    if (!response.headersSent) response.writeHead(known ? 422 : 500, { "Content-Type": "application/json" });
    response.end(`${JSON.stringify(text)}\n`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Starts the server over an open model; several requests share it. */
export async function startServer(model, port = 0) {
  const server = createServer((request, response) => {
    if (request.method === "POST" && request.url === "/segment") void segment(request, response, model);
    else response.writeHead(404).end("POST a video to /segment\n");
  });
  await once(server.listen(port, "localhost"), "listening");
  return server;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [checkpoint, port = "8080"] = process.argv.slice(2);
  let model;
  try {
    model = await openModel(checkpoint ? { checkpoint } : {});
    await startServer(model, Number(port));
    console.log(`POST a video to http://localhost:${port}/segment`);
  } catch (error) {
    const busy = error.code === "EADDRINUSE";
    if (!busy && !(error instanceof AvsegError)) throw error;
    console.error(
      busy ? `port ${port} is in use: give another one` : `${error.message}\n${error.hint ?? ""}`,
    );
    process.exitCode = 1;
    await model?.close();
  }
}
