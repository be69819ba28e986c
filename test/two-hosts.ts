/** Two hosts as network namespaces of this machine, each with an address of its own. Needs root and Open MPI. */
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { MpiLauncher } from "./mpi.js";

/** Two hosts that can reach each other, and nothing else. */
export interface TwoHosts {
  /** Starts one process on each. */
  readonly launcher: MpiLauncher;
  /** Bytes that the second has received. */
  receivedBytes(): number;
}

/** Options of `openTwoHosts`. */
export interface TwoHostsOptions {
  /** Open MPI. */
  readonly launcher: MpiLauncher;
  /** For a script that takes the place of ssh. */
  readonly folder: string;
  /** Bits per second of the link, as `tc` writes them, e.g. `1gbit`. Default: no limit. */
  readonly rate?: string | undefined;
}

/** Makes the hosts; `undefined` where this user may not. */
export function openTwoHosts(
  scope: { after(work: () => void): void },
  { launcher, folder, rate }: TwoHostsOptions,
): TwoHosts | undefined {
  const id = `av${process.pid % 10_000}`;
  const [a, b] = [`${id}a`, `${id}b`];
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: "pipe" });
  if (spawnSync("ip", ["netns", "add", a]).status !== 0) return undefined;
  scope.after(() => {
    for (const name of [a, b]) spawnSync("ip", ["netns", "del", name]);
  });
  run("ip", "netns", "add", b);
  run("ip", "link", "add", `${id}x`, "netns", a, "type", "veth", "peer", "name", `${id}y`, "netns", b);
  for (const [name, link, address] of [
    [a, `${id}x`, "10.77.0.1/24"],
    [b, `${id}y`, "10.77.0.2/24"],
  ] as const) {
    run("ip", "-n", name, "addr", "add", address, "dev", link);
    run("ip", "-n", name, "link", "set", link, "up");
    run("ip", "-n", name, "link", "set", "lo", "up");
    const shaping = ["tbf", "rate", rate ?? "", "burst", "1mb", "latency", "50ms"];
    if (rate !== undefined) run("tc", "-n", name, "qdisc", "add", "dev", link, "root", ...shaping);
  }
  // In place of ssh: the host is the first argument, the command the rest.
  const agent = path.join(folder, "agent.sh");
  writeFileSync(agent, `#!/bin/sh\nshift\nexec ip netns exec ${b} unshare --uts sh -c "hostname ${b}; $*"\n`);
  chmodSync(agent, 0o755);
  const mca = Object.entries({
    plm_rsh_agent: agent,
    btl: "tcp,self",
    btl_tcp_if_include: "10.77.0.0/24",
    oob_tcp_if_include: "10.77.0.0/24",
  }).flatMap(([name, value]) => ["--mca", name, value]);
  const hosts = ["--host", "10.77.0.1:1,10.77.0.2:1"];
  return {
    launcher: {
      ...launcher,
      command: "ip",
      args: ["netns", "exec", a, launcher.command, ...launcher.args, ...mca, ...hosts],
      env: { ...launcher.env, OMPI_MCA_plm_rsh_agent: agent },
    },
    receivedBytes: () =>
      Number(run("ip", "netns", "exec", b, "cat", `/sys/class/net/${id}y/statistics/rx_bytes`)),
  };
}
