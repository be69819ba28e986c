/** The opened videos, and the one that is shown. */
import { computed, signal } from "@preact/signals";
import type { VideoFacts } from "../media/probe";
import { factsOf, picturesOf } from "../media/reader";
import { Result } from "./result";

/** One opened video. */
export class Item {
  readonly id = crypto.randomUUID();
  readonly name: string;
  readonly file: File;
  /** Address of the file for players. */
  readonly url: string;
  readonly facts = signal<VideoFacts | undefined>(undefined);
  readonly problem = signal<string | undefined>(undefined);
  readonly thumbnail = signal<ImageBitmap | undefined>(undefined);
  readonly result = new Result();
  /** The same with another sound. */
  readonly other = new Result();

  constructor(file: File) {
    this.file = file;
    this.name = file.name;
    this.url = URL.createObjectURL(file);
  }

  /** Reads the headers and the first picture. */
  async read(): Promise<void> {
    try {
      const facts = await factsOf(this.file);
      this.facts.value = facts;
      const times = [Math.min(1, facts.durationSeconds / 2)];
      for await (const { picture } of picturesOf({ file: this.file, times, height: 96 })) {
        this.thumbnail.value = picture;
      }
    } catch (error) {
      if (!this.facts.value) this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }

  /** Frees what the page holds of it. */
  close(): void {
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

/** Opens files and shows the first of them. */
export async function addFiles(files: Iterable<File>): Promise<Item[]> {
  const added = [...files].map((file) => new Item(file));
  items.value = [...items.value, ...added];
  const [first] = added;
  if (first) select(first);
  for (const item of added) await item.read();
  return added;
}

/** Closes a video. */
export function remove(item: Item): void {
  item.close();
  items.value = items.value.filter((other) => other !== item);
}
