/** Private Redis servers for tests, on free ports of this machine. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { tempDir } from "./temp-dir.js";

/** Why tests that need a server are skipped; `false` where it is installed. */
export const noRedis: string | false =
  spawnSync("redis-server", ["--version"]).status === 0 ? false : "redis-server is not installed";

interface Scope {
  after(work: () => Promise<void>): void;
}

/** What kind of server to start. */
export interface TestRedisOptions {
  readonly password?: string | undefined;
  /** Only TLS, with a self-signed certificate for `localhost`. */
  readonly tls?: boolean | undefined;
  /** Further arguments of `redis-server`. */
  readonly args?: readonly string[] | undefined;
}

/** A running server with an append-only file, which is synced at every write. */
export interface TestRedis {
  readonly port: number;
  /** Its address, with the password. */
  readonly url: string;
  /** Its certificate, where it has one. */
  readonly certificate: string;
  /** Ends the server, with a signal or by asking it to, and starts it again with what it kept. */
  restart(signal: "SIGTERM" | "SIGKILL", downMs?: number): Promise<void>;
}

/** Starts a server, which ends with the scope. */
export async function startRedis(
  scope: Scope,
  { password, tls = false, args = [] }: TestRedisOptions = {},
): Promise<TestRedis> {
  const dir = await tempDir(scope);
  const data = path.join(dir, "data");
  await mkdir(data);
  const certificate = path.join(dir, "server.crt");
  const key = path.join(dir, "server.key");
  const port = await freePort();
  if (tls) makeCertificate(certificate, key);
  const listen = tls
    ? ["--port", "0", "--tls-port", `${port}`, "--tls-cert-file", certificate, "--tls-key-file", key]
    : ["--port", `${port}`];
  const command = [
    ...[...listen, "--bind", "127.0.0.1", "--dir", data, "--save", ""],
    ...["--appendonly", "yes", "--appendfsync", "always"],
    ...(tls ? ["--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"] : []),
    ...(password === undefined ? [] : ["--requirepass", password]),
    ...args,
  ];
  const scheme = tls ? "rediss" : "redis";
  const host = tls ? "localhost" : "127.0.0.1";
  const url = `${scheme}://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}${host}:${port}`;
  const start = async (): Promise<ChildProcess> => {
    const child = spawn("redis-server", command, { stdio: ["ignore", "pipe", "inherit"] });
    let log = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    for (let waits = 0; !log.includes("Ready to accept connections"); waits++) {
      assert.ok(waits < 600 && child.exitCode === null, `redis-server does not start:\n${log}`);
      await sleep(50);
    }
    return child;
  };
  const end = async (child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  };
  let server = await start();
  scope.after(() => end(server, "SIGKILL"));
  return {
    port,
    url,
    certificate,
    restart: async (signal, downMs = 0) => {
      await end(server, signal);
      await sleep(downMs);
      server = await start();
    },
  };
}

/** A client of a test's own. */
export function testClient(scope: Scope, { url }: TestRedis): Redis {
  const client = new Redis(url, { maxRetriesPerRequest: null });
  client.on("error", () => undefined);
  scope.after(async () => client.disconnect());
  return client;
}

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject).listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

function makeCertificate(certificate: string, key: string): void {
  const made = spawnSync(
    "openssl",
    [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
      ],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
      ...["-keyout", key, "-out", certificate],
    ],
    { encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr ?? "openssl does not start");
}
