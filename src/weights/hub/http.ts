/** Requests of files over HTTP: the proxies of the environment, redirects that are safe, no connection left behind. */
import type { Agent, Dispatcher, ProxyAgent } from "undici";
import { CheckpointError } from "../../errors.js";
import { errorCode } from "../../node/system-error.js";
import { type Environment, proxyFor } from "./proxy.js";

const maxRedirects = 10;
/** A server that says nothing for so long is given up. */
const stallMs = 60_000;

/** An answer or a break that another attempt may not meet. */
export class RetryableError extends Error {}

/** An answer, whose body is read or destroyed before `close` frees its connections. */
export interface Answer {
  readonly response: Dispatcher.ResponseData;
  close(): Promise<void>;
}

/** How a file is requested. */
export interface RequestOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Holds the proxy variables. */
  readonly env: Environment;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Requests `url`, through the proxy of each address on the way, following redirects. Throws `CheckpointError` for an
 * address or a proxy that is not valid, a redirect that leaves HTTPS, and more than ten redirects; `RetryableError` when
 * the connection breaks; the signal's reason on abort.
 */
export async function requestFile(url: string, { headers, env, signal }: RequestOptions): Promise<Answer> {
  const start = addressOf(url);
  // Loaded here because it takes a while, and most commands download nothing.
  const undici = await import("undici");
  const agents = new Map<string | undefined, Dispatcher>();
  const agentFor = (address: URL): Dispatcher => {
    const proxy = proxyFor(address, env);
    const agent = agents.get(proxy) ?? newAgent(proxy, undici);
    agents.set(proxy, agent);
    return agent;
  };
  const dispatcher = new undici.Agent().compose(
    () => (options, handler) => agentFor(originOf(options)).dispatch(options, handler),
    refuseDowngrades(start, url),
    undici.interceptors.redirect({ maxRedirections: maxRedirects }),
  );
  const close = async () => {
    await Promise.all([...agents.values()].map((agent) => agent.destroy()));
  };
  try {
    const response = await undici.request(start, {
      headers: { ...headers },
      dispatcher,
      signal: signal ?? null,
    });
    // A body that is destroyed reports an error, which would otherwise have no listener.
    response.body.on("error", () => undefined);
    if (response.headers.location !== undefined && Math.floor(response.statusCode / 100) === 3) {
      throw new CheckpointError(`${url}: more than ${maxRedirects} redirects`, {
        hint: "Check the address, or download the file yourself and pass --from FILE.",
      });
    }
    return { response, close };
  } catch (error) {
    await close();
    if (error instanceof CheckpointError) throw error;
    if (["ERR_INVALID_URL", "UND_ERR_INVALID_ARG"].includes(errorCode(error) ?? "")) {
      throw new CheckpointError(`${url}: the server redirects to an invalid address`, {
        hint: "Download the file yourself and pass --from FILE.",
        cause: error,
      });
    }
    throw new RetryableError(messageOf(error), { cause: error });
  }
}

/** Connections through `proxy`, or direct ones. Throws `CheckpointError` for an invalid proxy. */
function newAgent(
  proxy: string | undefined,
  undici: { readonly Agent: typeof Agent; readonly ProxyAgent: typeof ProxyAgent },
): Dispatcher {
  const timeouts = { headersTimeout: stallMs, bodyTimeout: stallMs };
  if (proxy === undefined) return new undici.Agent(timeouts);
  try {
    // Plain HTTP is requested from the proxy itself. Only HTTPS needs a tunnel, which some proxies refuse for port 80.
    return new undici.ProxyAgent({ uri: proxy, proxyTunnel: false, ...timeouts });
  } catch (cause) {
    throw new CheckpointError(`cannot use the proxy ${proxy}: ${messageOf(cause)}`, {
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
      throw new CheckpointError(`${url}: the server redirects to ${protocol}//${host}, which is not safe`, {
        hint: "Download the file yourself and pass --from FILE.",
      });
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
      hint: "Check the address, or download the file yourself and pass --from FILE.",
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
