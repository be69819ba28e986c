/** The rows of an evaluation's categories and clips, from running tallies. */
import * as z from "zod";
import { type CategoryRow, type ClipRow, clipRowSchema } from "./result.js";

/** What a saved scorer holds of its categories, each with a tally of this kind, and of its clips. */
export function rowsSchema<T extends z.ZodType>(tally: T) {
  return {
    categories: z.array(z.object({ category: z.string(), clips: z.number(), tally })).readonly(),
    clips: z.array(clipRowSchema).readonly(),
  };
}

/** The saved form of `ScoreRows`. */
interface SavedRows<State> {
  readonly categories: readonly {
    readonly category: string;
    readonly clips: number;
    readonly tally: State;
  }[];
  readonly clips: readonly ClipRow[];
}

/** How the tallies of a task are made and read. */
export interface TallyKind<Tally, State> {
  /** An empty tally, or one that continues from a saved state. */
  readonly create: (state?: State) => Tally;
  /** What a tally says of its frames. */
  readonly row: (tally: Tally) => Pick<ClipRow, "frames" | "miou" | "fscore">;
}

/** The running rows of categories and clips. */
export class ScoreRows<Tally extends { toJSON(): State }, State> {
  readonly #kind: TallyKind<Tally, State>;
  readonly #categories = new Map<string, { clips: number; readonly tally: Tally }>();
  readonly #clips: ClipRow[];

  /** Continues from a saved state, or starts empty. */
  constructor(kind: TallyKind<Tally, State>, saved?: SavedRows<State>) {
    this.#kind = kind;
    this.#clips = [...(saved?.clips ?? [])];
    for (const { category, clips, tally } of saved?.categories ?? []) {
      this.#categories.set(category, { clips, tally: kind.create(tally) });
    }
  }

  /** Adds a clip. `score` fills the tallies that it is given: the clip's own, and that of its category. */
  addClip(
    { id, category }: Pick<ClipRow, "id" | "category">,
    score: (tallies: readonly Tally[]) => void,
  ): void {
    const own = this.#kind.create();
    const shared = this.#categories.get(category) ?? { clips: 0, tally: this.#kind.create() };
    this.#categories.set(category, shared);
    shared.clips++;
    score([own, shared.tally]);
    this.#clips.push({ id, category, ...this.#kind.row(own) });
  }

  /** The rows so far: categories by name, clips as they were added. */
  get rows(): { readonly categories: readonly CategoryRow[]; readonly clips: readonly ClipRow[] } {
    return {
      categories: [...this.#categories]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([category, { clips, tally }]) => ({ category, clips, ...this.#kind.row(tally) })),
      clips: [...this.#clips],
    };
  }

  /** Everything as JSON. */
  toJSON(): SavedRows<State> {
    return {
      categories: [...this.#categories].map(([category, { clips, tally }]) => ({
        category,
        clips,
        tally: tally.toJSON(),
      })),
      clips: [...this.#clips],
    };
  }
}
