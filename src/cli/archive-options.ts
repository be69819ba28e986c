/** What the subcommands of `avseg archive` have in common. */
import type { Command } from "commander";
import type { Archive, OpenArchiveOptions } from "../archive/archive.js";

/** What `archiveOptions` adds. */
export interface ArchiveCommandOptions {
  readonly redis?: string | undefined;
  readonly tlsCa?: string | undefined;
  readonly queue: string;
}

/** Adds the options that say which archive is meant. */
export function archiveOptions(command: Command): Command {
  return command
    .option(
      "--redis <url>",
      "redis://[user:password@]host[:port][/database], or rediss:// for TLS (default: AVSEG_REDIS_URL, else redis://127.0.0.1)",
    )
    .option("--tls-ca <file>", "certificate (PEM) of the authority that signed the server's")
    .option("--queue <name>", "name of the archive on the server", "archive");
}

/** Names the process anew, so that lists of processes do not show an address with a password. */
export function titleWithoutAddress(_: Command, command: Command): void {
  process.title = `avseg archive ${command.name()}`;
}

/** Opens an archive, acts on it and closes it. */
export async function withArchive(
  options: ArchiveCommandOptions & Pick<OpenArchiveOptions, "patient" | "onConnection">,
  act: (archive: Archive) => Promise<void>,
): Promise<void> {
  const { openArchive } = await import("../archive/archive.js");
  const archive = await openArchive({ ...options, url: options.redis });
  try {
    await act(archive);
  } finally {
    await archive.close();
  }
}
