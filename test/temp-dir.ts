/** Temporary folders of tests. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

/** What runs work at the end: the context of a test, or `{ after }` of `node:test` for a folder of all tests of a file. */
interface Scope {
  after(work: () => Promise<void>): void;
}

/** Path of a new, empty folder, which is removed with what it holds at the end of the scope. */
export async function tempDir(scope: Scope): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), "avseg-test-"));
  scope.after(() => rm(dir, { recursive: true, force: true, maxRetries: 3 }));
  return dir;
}
