/** What the local server has: files of the command line and training runs. */

import { signal } from "@preact/signals";
import type { Session } from "avseg/studio";
import { fetchFile, hasServer, session } from "../engine/local-server";
import { type Failure, failureOf } from "../engine/messages";
import { markSent } from "../engine/native-engine";
import { addFiles } from "./library";

/** What the server has; `undefined` without one. */
export const server = signal<Session | undefined>(undefined);

/** Why the server did not answer. */
export const serverFailure = signal<Failure | undefined>(undefined);

/** Asks the server what it has. */
export async function refresh(): Promise<void> {
  if (!hasServer) return;
  try {
    server.value = await session();
    serverFailure.value = undefined;
  } catch (error) {
    serverFailure.value = failureOf(error);
  }
}

/** Opens the files of the command line; false if it named no file. */
export async function openServerFiles(): Promise<boolean> {
  await refresh();
  const files = server.value?.files ?? [];
  for (const known of files) {
    const file = await fetchFile(known);
    markSent(file, known.id);
    addFiles([file]);
  }
  return files.length > 0;
}
