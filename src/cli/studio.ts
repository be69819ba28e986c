/** `avseg studio`: the app in a browser, with this computer's engine behind it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { Command, Option } from "commander";
import { type NodeProvider, nodeProviders } from "../runtime/providers.js";
import { startStudio } from "../studio/node/server.js";
import { warnOfCache } from "./configured-model.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { interruptSignal } from "./run.js";

interface Options {
  readonly open: boolean;
  readonly port?: number | undefined;
  readonly runs: string;
  readonly provider: NodeProvider;
}

/** The `studio` command. */
export function studioCommand(): Command {
  return new Command("studio")
    .description("open an app in the browser: watch what sounds in videos, compare, correct and export it")
    .argument("[files...]", "videos to open")
    .option("--no-open", "print the address only")
    .option("--port <number>", "port on 127.0.0.1 (default: a free one)", integer(1, 65535))
    .option("--runs <dir>", "folder of training runs", "work_dir")
    .addOption(
      new Option("--provider <name>", "what runs models on this computer")
        .choices(nodeProviders)
        .default("cpu"),
    )
    .addHelpText(
      "after",
      `
The app runs in the browser; nothing leaves this computer. The server listens on 127.0.0.1 only and answers no page but
its own. Ctrl-C ends it.

Examples:
  avseg studio
  avseg studio holiday.mp4 street.mp4
  avseg studio --no-open --port 8080`,
    )
    .action(studio);
}

async function studio(files: string[], { open, ...options }: Options): Promise<void> {
  const signal = interruptSignal();
  await warnOfCache();
  const server = await startStudio({ files, ...options });
  print(["The studio is at this address (Ctrl-C ends it):", server.address]);
  if (open) openBrowser(server.address);
  if (!signal.aborted) await once(signal, "abort");
  await server.close();
}

/** Opens the system's browser; without one, the printed address remains. */
function openBrowser(address: string): void {
  const [program, ...args] = {
    darwin: ["open"],
    win32: ["cmd", "/c", "start", ""],
  }[process.platform as string] ?? ["xdg-open"];
  const child = spawn(program ?? "xdg-open", [...args, address], { stdio: "ignore", detached: true });
  child.on("error", () => undefined);
  child.unref();
}
