/** What every request to the local server must fulfil, and how it is answered. */
import { timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import * as z from "zod";
import { AvsegError } from "../../errors.js";
import { TOKEN_HEADER } from "../protocol.js";

/** A refusal: an HTTP status with a reason and what to do. */
export class RequestError extends AvsegError {
  override readonly name: string = "RequestError";
  readonly status: number;

  constructor(status: number, message: string, hint?: string) {
    super(message, { hint });
    this.status = status;
  }
}

/** One request for data. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly pathname: string;
  readonly searchParams: URLSearchParams;
}

/** Headers of every answer: no other site may frame, embed or read it, and WASM may use threads. */
export const commonHeaders = {
  "Cache-Control": "no-store",
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; " +
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' blob: data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
} as const;

/** Throws `RequestError` unless the request names this server and comes from its own page. */
export function checkOrigin({ headers }: IncomingMessage, port: number): void {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (!hosts.includes(headers.host ?? "")) {
    throw new RequestError(403, "the Host header is not this server's", `Open http://127.0.0.1:${port}/.`);
  }
  const { origin } = headers;
  const site = headers["sec-fetch-site"];
  const isForeign = origin !== undefined && origin !== `http://${headers.host}`;
  if (isForeign || site === "cross-site" || site === "same-site") {
    throw new RequestError(
      403,
      "requests from other pages are refused",
      "Use the app that this server serves.",
    );
  }
}

/** Throws `RequestError` unless the request carries the token of the app's address. */
export function checkToken({ headers }: IncomingMessage, token: string): void {
  const given = Buffer.from(String(headers[TOKEN_HEADER] ?? ""));
  const expected = Buffer.from(token);
  if (given.length === expected.length && timingSafeEqual(given, expected)) return;
  throw new RequestError(
    401,
    "the token of the address is missing or wrong",
    "Open the address that `avseg studio` printed.",
  );
}

/** Answers with one line of JSON. */
export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { ...commonHeaders, "Content-Type": "application/json" });
  response.end(`${JSON.stringify(value)}\n`);
}

/** Requests are small; files have a path of their own. */
const maxJsonBytes = 64 * 1024;

/** The JSON of a request. Throws `RequestError` where it is too long or not as `schema` says. */
export async function readJson<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > maxJsonBytes) throw new RequestError(413, `a request of more than ${maxJsonBytes} bytes`);
    pieces.push(piece);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(pieces).toString("utf8"));
  } catch {
    throw new RequestError(400, "the request is not JSON");
  }
  return checked(value, schema);
}

/** A part of a request. Throws `RequestError` where it is not as `schema` says. */
export function checked<T>(value: unknown, schema: z.ZodType<T>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new RequestError(400, `the request is malformed: ${z.prettifyError(parsed.error)}`);
}
