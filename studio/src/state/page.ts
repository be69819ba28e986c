/** Which page is shown. */
import { signal } from "@preact/signals";

/** The pages, in the order of the bar. */
export const pages = [
  { id: "videos", label: "Videos" },
  { id: "live", label: "Live" },
  { id: "runs", label: "Runs" },
] as const;

/** The name of a page. */
export type PageId = (typeof pages)[number]["id"];

/** The page that is shown. */
export const page = signal<PageId>("videos");
