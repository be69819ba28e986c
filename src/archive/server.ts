/** The connection to Redis or Valkey, which hold an archive's jobs. Credentials never leave this file in a message. */
import { readFileSync } from "node:fs";
import { Redis } from "ioredis";
import { ArchiveError } from "../errors.js";
import { readFailure } from "../node/system-error.js";

/** The environment variable with the address, credentials included. */
export const REDIS_URL_VARIABLE = "AVSEG_REDIS_URL";

/** Where the server is, and how its certificate is checked. */
export interface ServerOptions {
  /**
   * `redis://[[user]:password@]host[:port][/database]`, or `rediss://` for TLS. Default: the variable
   * `AVSEG_REDIS_URL`, else `redis://127.0.0.1:6379`.
   */
  readonly url?: string | undefined;
  /** A PEM file of the authority that signed the server's certificate. Default: the authorities that Node knows. */
  readonly tlsCa?: string | undefined;
}

/** How to connect, credentials included. */
interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly ca?: Buffer };
}

/** How to connect, and a name for messages that holds no credentials. */
export interface ServerAddress {
  readonly endpoint: Endpoint;
  readonly label: string;
}

/** Reads an address. Throws `ArchiveError`, whose message does not quote it: a password may stand anywhere in it. */
export function parseServer({
  url = process.env[REDIS_URL_VARIABLE],
  tlsCa,
}: ServerOptions = {}): ServerAddress {
  const parsed = url === undefined || url === "" ? new URL("redis://127.0.0.1") : parseUrl(url);
  const tls = parsed.protocol === "rediss:";
  const host = parsed.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1";
  const port = Number(parsed.port) || 6379;
  const db = Number(parsed.pathname.replace(/^\//, "") || "0");
  if (!Number.isInteger(db) || db < 0) {
    throw new ArchiveError("the path of the server's address is not the number of a database", {
      hint: "Write e.g. redis://host:6379/0 with --redis.",
    });
  }
  if (tlsCa !== undefined && !tls) {
    throw new ArchiveError("a certificate authority is given, but the address is not one of TLS", {
      hint: "Write rediss:// instead of redis:// with --redis, or leave --tls-ca out.",
    });
  }
  return {
    label: `${parsed.protocol}//${parsed.hostname}:${port}/${db}`,
    endpoint: {
      host,
      port,
      db,
      ...(parsed.username && { username: decodeURIComponent(parsed.username) }),
      ...(parsed.password && { password: decodeURIComponent(parsed.password) }),
      ...(tls && { tls: tlsCa === undefined ? {} : { ca: readAuthority(tlsCa) } }),
    },
  };
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && ["redis:", "rediss:"].includes(parsed.protocol)) return parsed;
  throw new ArchiveError("the server's address is not one of Redis", {
    hint: `Write redis://[user:password@]host[:port][/database], or rediss:// for TLS, with --redis or in ${REDIS_URL_VARIABLE}. Characters such as @ and / of a password are written as %40 and %2F.`,
  });
}

function readAuthority(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new ArchiveError(`${file}: cannot read the certificate: ${readFailure(error) ?? String(error)}`, {
      hint: "Give a PEM file with --tls-ca.",
    });
  }
}

/** How `connect` behaves when the server is away. */
export interface ConnectOptions {
  /** `true`: commands wait until the server is back. `false`: they fail after some seconds. */
  readonly patient: boolean;
  /** Called when the connection is lost and when it is back. */
  readonly onChange?: ((connected: boolean) => void) | undefined;
}

/** A connection, and how to end it. */
export interface Connection {
  readonly client: Redis;
  disconnect(): void;
}

/**
 * Connects to the server, and reconnects whenever it was away. Throws `ArchiveError` when it cannot be reached at first,
 * refuses the credentials, or may evict jobs.
 */
export async function connect(
  { endpoint, label }: ServerAddress,
  { patient, onChange }: ConnectOptions,
): Promise<Connection> {
  const state = { connected: false, lost: false, ended: false, reason: "" };
  const client = new Redis({
    ...endpoint,
    lazyConnect: true,
    connectTimeout: 10_000,
    maxRetriesPerRequest: patient ? null : 5,
    retryStrategy: (times: number) => (state.connected ? Math.min(100 * times, 2000) : null),
  });
  client.on("error", (error: Error) => {
    state.reason = error.message;
  });
  client.on("close", () => {
    if (state.connected && !state.lost && !state.ended) onChange?.(false);
    state.lost = true;
  });
  client.on("ready", () => {
    if (state.connected && state.lost) onChange?.(true);
    state.lost = false;
  });
  try {
    await client.connect();
    state.connected = true;
    requireLasting(await client.info("memory"), label);
    return {
      client,
      disconnect: () => {
        state.ended = true;
        client.disconnect();
      },
    };
  } catch (error) {
    client.disconnect();
    if (error instanceof ArchiveError) throw error;
    throw connectionFailure(state.reason || (error instanceof Error ? error.message : ""), label);
  }
}

/** The error for a reason that the client or the server gave. Its wording is ours: theirs may quote the credentials. */
function connectionFailure(reason: string, label: string): ArchiveError {
  if (/NOAUTH|WRONGPASS|invalid password|NOPERM/i.test(reason)) {
    return new ArchiveError(`${label}: the server refuses the user or the password`, {
      hint: `Put both into the address, in ${REDIS_URL_VARIABLE} or with --redis: redis://user:password@host.`,
    });
  }
  if (/certificate|self.signed|altname|CERT_/i.test(reason)) {
    return new ArchiveError(
      `${label}: the server's certificate is not trusted (${certificateReason(reason)})`,
      {
        hint: "Give the certificate of its authority with --tls-ca FILE, and the name in the certificate as the host.",
      },
    );
  }
  const why = /ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ECONNRESET|EAI_AGAIN|EPROTO/.exec(reason)?.[0];
  return new ArchiveError(`${label}: no Redis server can be reached${why ? ` (${why})` : ""}`, {
    hint: `Start one (apt-get install redis-server), or give its address with --redis or in ${REDIS_URL_VARIABLE}. A server with TLS needs rediss://.`,
  });
}

function certificateReason(reason: string): string {
  if (/altname/i.test(reason)) return "it is for another host";
  if (/expired/i.test(reason)) return "it has expired";
  return /self.signed/i.test(reason) ? "it is self-signed" : "its authority is unknown";
}

/** A server that evicts keys when its memory is full would lose jobs without a word. */
function requireLasting(info: string, label: string): void {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  if (policy === undefined || !policy.startsWith("allkeys")) return;
  throw new ArchiveError(`${label}: the server may discard jobs when its memory is full (${policy})`, {
    hint: "Set `maxmemory-policy noeviction` in the server's configuration, e.g. with `redis-cli config set maxmemory-policy noeviction`.",
  });
}

/** Whether the server keeps jobs on disk; `undefined` where it does not say. */
export async function keepsOnDisk(client: Redis): Promise<boolean | undefined> {
  const info = await client.info("persistence").catch(() => "");
  const append = /^aof_enabled:(\d)/m.exec(info)?.[1];
  return append === undefined ? undefined : append === "1";
}
