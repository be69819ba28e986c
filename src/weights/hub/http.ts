/** Requests of files over HTTP: the proxies of the environment, redirects that are safe, no connection left behind. */
import type { Agent, Dispatcher, ProxyAgent } from "undici";
import * as z from "zod";
import { CheckpointError } from "../../errors.js";
import { errorCode } from "../../node/system-error.js";
import { type Environment, proxyFor } from "./proxy.js";
import { withoutCredentials } from "./source.js";

const maxRedirects = 10;
/** A server that sends nothing for so long is given up. */
export const defaultStallMs = 60_000;
/** Bytes of a body that wait until it is read: more than arrive with the headers. */
const highWaterMark = 2 ** 20;

/** An answer or a break that another attempt may not meet. */
export class RetryableError extends Error {
  /** How long the server asks to wait. */
  readonly waitMs: number;

  constructor(message: string, { waitMs = 0, cause }: { waitMs?: number | undefined; cause?: unknown } = {}) {
    super(message, { cause });
    this.waitMs = waitMs;
  }
}

/** An answer, whose body is read or destroyed before `close` frees its connections. */
export interface Answer {
  readonly response: Dispatcher.ResponseData;
  /** The address that answered, after redirects. */
  readonly url: string;
  close(): Promise<void>;
}

/** How a file is requested. */
export interface RequestOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Holds the proxy variables. */
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
  /** How long a server may send nothing. Default: one minute. */
  readonly stallMs?: number | undefined;
  /** Connections that are kept for further requests. Default: connections of its own, which `close` ends. */
  readonly connections?: Connections | undefined;
}

/** Connections by proxy. */
export type Connections = Map<string | undefined, Dispatcher>;

/**
 * Requests `url`, through the proxy of each address on the way, following redirects. Throws `CheckpointError` for an
 * address or a proxy that is not valid, a redirect that leaves HTTPS, and more than ten redirects; `RetryableError` when
 * the connection breaks; the signal's reason on abort.
 */
export async function requestFile(
  url: string,
  { headers, env, signal, stallMs = defaultStallMs, connections }: RequestOptions,
): Promise<Answer> {
  const start = addressOf(url);
  // Loaded here because it takes a while, and most commands download nothing.
  const undici = await import("undici");
  const agents: Connections = connections ?? new Map();
  const agentFor = (address: URL): Dispatcher => {
    const proxy = proxyFor(address, env);
    const agent = agents.get(proxy) ?? newAgent({ proxy, undici, stallMs });
    agents.set(proxy, agent);
    return agent;
  };
  const dispatcher = new undici.Agent().compose(
    () => (options, handler) => agentFor(originOf(options)).dispatch(options, handler),
    refuseDowngrades(start, url),
    undici.interceptors.redirect({ maxRedirections: maxRedirects }),
  );
  const close = async () => {
    if (connections !== undefined) return;
    await Promise.all([...agents.values()].map((agent) => agent.destroy()));
  };
  try {
    const response = await undici.request(start, {
      headers: { ...headers },
      dispatcher,
      signal: signal ?? null,
      highWaterMark,
    });
    // A body that is destroyed reports an error, which would otherwise have no listener.
    response.body.on("error", () => undefined);
    if (response.headers.location !== undefined && Math.floor(response.statusCode / 100) === 3) {
      throw new CheckpointError(`${withoutCredentials(url)}: more than ${maxRedirects} redirects`, {
        hint: "Check the address, or download the file yourself and pass it to `avseg weights pull` with --from FILE.",
      });
    }
    return { response, url: lastAddress(response) ?? url, close };
  } catch (error) {
    await close();
    if (error instanceof CheckpointError) throw error;
    if (["ERR_INVALID_URL", "UND_ERR_INVALID_ARG"].includes(errorCode(error) ?? "")) {
      throw new CheckpointError(`${withoutCredentials(url)}: the server redirects to an invalid address`, {
        hint: "Download the file yourself and pass it to `avseg weights pull` with --from FILE.",
        cause: error,
      });
    }
    throw new RetryableError(messageOf(error), { cause: error });
  }
}

/** The address of the last request, which the redirect interceptor records. */
function lastAddress({ context }: Dispatcher.ResponseData): string | undefined {
  const { history } = z.object({ history: z.array(z.instanceof(URL)) }).safeParse(context).data ?? {};
  return history?.at(-1)?.href;
}

/** Connections through `proxy`, or direct ones. Throws `CheckpointError` for an invalid proxy. */
function newAgent({
  proxy,
  undici,
  stallMs,
}: {
  readonly proxy: string | undefined;
  readonly undici: { readonly Agent: typeof Agent; readonly ProxyAgent: typeof ProxyAgent };
  readonly stallMs: number;
}): Dispatcher {
  const timeouts = { connectTimeout: stallMs, headersTimeout: stallMs, bodyTimeout: stallMs };
  if (proxy === undefined) return new undici.Agent(timeouts);
  try {
    // Plain HTTP is requested from the proxy itself. Only HTTPS needs a tunnel, which some proxies refuse for port 80.
    return new undici.ProxyAgent({ uri: proxy, proxyTunnel: false, ...timeouts });
  } catch (cause) {
    throw new CheckpointError(`cannot use the proxy ${withoutCredentials(proxy)}: ${messageOf(cause)}`, {
      hint: "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY.",
      cause,
    });
  }
}

/** The scheme and host that a request goes to. */
function originOf({ origin }: Dispatcher.DispatchOptions): URL {
  return new URL(origin ?? "");
}

/**
 * An interceptor that refuses a request over HTTP once an address was HTTPS: anyone on the way could replace the file.
 * Throws `CheckpointError` naming `url`.
 */
export function refuseDowngrades(start: URL, url: string): Dispatcher.DispatcherComposeInterceptor {
  let previous = start.protocol;
  return (dispatch) => (options, handler) => {
    const { protocol, host } = originOf(options);
    if (previous === "https:" && protocol === "http:") {
      throw new CheckpointError(
        `${withoutCredentials(url)}: the server redirects to ${protocol}//${host}, which is not safe`,
        {
          hint: "Download the file yourself and pass it to `avseg weights pull` with --from FILE.",
        },
      );
    }
    previous = protocol;
    return dispatch(options, handler);
  };
}

function addressOf(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new CheckpointError(`invalid address: ${text}; expected one like https://host/file`, {
      hint: "Check the address, or download the file yourself and pass it to `avseg weights pull` with --from FILE.",
      cause,
    });
  }
}

/** What an error says; of several, the first. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message || errorCode(error) || error.name;
}
