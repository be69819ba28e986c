/** All readers of files that a user did not make. */
import type { Reader } from "../reader.js";
import { mediaReaders } from "./media.js";
import { textReaders } from "./text.js";
import { videoReaders } from "./video.js";
import { weightReaders } from "./weights.js";

/** The readers, those in other processes last. */
export const readers: readonly Reader[] = [
  ...weightReaders,
  ...mediaReaders,
  ...textReaders,
  ...videoReaders,
];
