/** The opened videos, and the one that is shown. */
import { computed, signal } from "@preact/signals";
import { hasServer, playableCopy } from "../engine/local-server";
import { idOf } from "../engine/native-engine";
import type { VideoFacts } from "../media/probe";
import { factsOf, picturesOf } from "../media/reader";
import { Result } from "./result";

/** How far a copy is, in seconds of the video. */
export interface Copying {
  readonly done: number;
  readonly total: number | undefined;
}

/** One opened video. */
export class Item {
  readonly id = crypto.randomUUID();
  readonly name: string;
  /** What the browser plays. */
  readonly file: File;
  /** The file that was opened, where `file` is a copy of it that the browser can decode. */
  readonly source: File;
  /** Address of the file for players. */
  readonly url: string;
  readonly facts = signal<VideoFacts | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);
  /** How far this computer is with a copy that the browser plays. */
  readonly copying = signal<Copying | undefined>(undefined);
  readonly thumbnail = signal<ImageBitmap | undefined>(undefined);
  readonly result = new Result();
  /** The same with another sound. */
  readonly other = new Result();

  /** The video once it is read: itself, or the copy that stands in for it. */
  readonly opened: Promise<Item>;
  /** Says what `opened` is. */
  settle: (item: Item) => void = () => undefined;
  readonly #closed = new AbortController();

  constructor(file: File, source = file) {
    this.file = file;
    this.source = source;
    this.name = source.name;
    this.url = URL.createObjectURL(file);
    this.opened = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** Reads the headers; a picture for the strip follows. */
  async read(): Promise<void> {
    try {
      const facts = await factsOf(this.file);
      this.facts.value = facts;
      this.#readPicture(facts).catch(() => undefined); // segmenting says why it cannot be decoded
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }

  async #readPicture({ durationSeconds }: VideoFacts): Promise<void> {
    const times = [Math.min(1, durationSeconds / 2)];
    for await (const { picture } of picturesOf({ file: this.file, times, height: 96 })) {
      this.thumbnail.value = picture;
    }
  }

  /** Whether this browser cannot decode it. */
  get isUndecodable(): boolean {
    return this.problem.value !== undefined || this.facts.value?.obstacle !== undefined;
  }

  /** Lets this computer make a copy that the browser plays; `undefined` when the video was closed, or it cannot. */
  async copy(): Promise<Item | undefined> {
    const { signal: closed } = this.#closed;
    this.copying.value = { done: 0, total: undefined };
    try {
      const id = await idOf(this.source, this.name);
      const onProgress = (done: number, total: number | undefined): void => {
        this.copying.value = { done, total };
      };
      return new Item(await playableCopy(id, { signal: closed, onProgress }), this.source);
    } catch {
      const obstacle = this.facts.value?.obstacle;
      if (obstacle && !closed.aborted) {
        this.problem.value = `${obstacle} This computer cannot decode it either: convert it to MP4 (H.264 and AAC).`;
      }
      return undefined;
    } finally {
      this.copying.value = undefined;
    }
  }

  /** Frees what the page holds of it. */
  close(): void {
    this.#closed.abort(new DOMException("closed", "AbortError"));
    this.result.cancel();
    this.other.cancel();
    URL.revokeObjectURL(this.url);
  }
}

/** All opened videos. */
export const items = signal<readonly Item[]>([]);
const selectedId = signal<string | undefined>(undefined);

/** The video that is shown. */
export const selected = computed(
  () => items.value.find(({ id }) => id === selectedId.value) ?? items.value[0],
);

/** Shows a video. */
export function select(item: Item): void {
  selectedId.value = item.id;
}

/** Opens files and shows the first of them. What they hold is read afterwards. */
export function addFiles(files: Iterable<File>): Item[] {
  const added = [...files].map((file) => new Item(file));
  items.value = [...items.value, ...added];
  const [first] = added;
  if (first) select(first);
  void readAll(added);
  return added;
}

async function readAll(added: readonly Item[]): Promise<void> {
  const toBeCopied: Item[] = [];
  for (const item of added) {
    await item.read();
    if (item.isUndecodable && hasServer) toBeCopied.push(item);
    else item.settle(item);
  }
  // Copies take long: all others are there before.
  for (const item of toBeCopied) item.settle(await replaceByCopy(item));
}

/** Shows the copy that this computer makes of a video in its place, where it can; returns the one that is shown. */
async function replaceByCopy(item: Item): Promise<Item> {
  const copy = await item.copy();
  if (!copy) return item;
  await copy.read();
  copy.settle(copy);
  if (!items.value.includes(item)) {
    copy.close();
    return item;
  }
  const isShown = selected.value === item;
  items.value = items.value.map((other) => (other === item ? copy : other));
  if (isShown) select(copy);
  item.close();
  return copy;
}

/** Closes a video. */
export function remove(item: Item): void {
  item.close();
  items.value = items.value.filter((other) => other !== item);
}
