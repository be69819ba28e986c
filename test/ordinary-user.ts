/** Child processes of a user to whom permissions apply: root may write anywhere. */
import { spawnSync } from "node:child_process";
import { chmod, chown } from "node:fs/promises";
import path from "node:path";
import { root } from "./support.js";

/** The uid and gid of "nobody" on most systems. */
const NOBODY = 65534;

/** How to start Node as an ordinary user: the program, what comes before Node's own arguments, and options of `spawn`. */
export interface OrdinaryNode {
  readonly command: string;
  readonly prefix: readonly string[];
  readonly options: { readonly uid?: number | undefined; readonly gid?: number | undefined };
}

/**
 * Node as this user, or, where this user is root, as another one. Where another user cannot read Node or the checkout
 * (they may lie in root's home), as root without the right to pass over permissions. Throws where neither is possible.
 */
export function ordinaryNode(): OrdinaryNode {
  const node = process.execPath;
  if (process.getuid?.() !== 0) return { command: node, prefix: [], options: {} };
  const drop = "-dac_override,-dac_read_search";
  const ways: OrdinaryNode[] = [
    { command: node, prefix: [], options: { uid: NOBODY, gid: NOBODY } },
    { command: "setpriv", prefix: [`--inh-caps=${drop}`, `--bounding-set=${drop}`, node], options: {} },
  ];
  const main = path.join(root, "dist", "src", "cli", "main.js");
  const works = ({ command, prefix, options }: OrdinaryNode) =>
    spawnSync(command, [...prefix, main, "--version"], options).status === 0;
  const way = ways.find(works);
  if (way === undefined) throw new Error("root can start no process here that lacks root's rights");
  return way;
}

/** Takes the right to write away from everyone but root; gives the folder to the user of `ordinaryNode`. */
export async function closeFolder(folder: string): Promise<void> {
  if (process.getuid?.() === 0) await chown(folder, NOBODY, NOBODY);
  await chmod(folder, 0o500);
}
