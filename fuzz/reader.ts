/** What the fuzzer knows of a reader: valid inputs, how they are changed, and how one is read. */
import { AvsegError } from "../src/errors.js";
import type { Random } from "../src/random.js";

/** A reader of avseg and its inputs. */
export interface Reader {
  readonly name: string;
  /** The name of the file that an input is written to. */
  readonly fileName: string;
  /** Reads in other processes, too: slower, and their memory counts. Default: false. */
  readonly external?: boolean | undefined;
  /** Valid inputs, made in `folder`. Each is read once before any is changed. */
  seeds(folder: string): Promise<readonly Uint8Array[]>;
  /** Changes `input`; `other` is another of the seeds. Every draw comes from `random`. */
  mutate(input: Uint8Array, random: Random, other: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** Reads the input at `file`. It is alone in its folder; only that folder may be written to. */
  read(file: string): Promise<void>;
}

/** Reads in several ways, of which a valid input fits one or more. Throws what is no refusal, or when all refuse. */
export async function readAnyOf(ways: readonly (() => Promise<unknown>)[]): Promise<void> {
  const errors: unknown[] = [];
  for (const read of ways) await read().catch((error: unknown) => errors.push(error));
  const [first] = errors;
  const unexpected = errors.find((error) => !(error instanceof AvsegError));
  if (unexpected !== undefined || errors.length === ways.length) throw unexpected ?? first;
}
