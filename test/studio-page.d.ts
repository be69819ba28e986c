/** What the studio's page has for its tests. */
interface Window {
  /** `studio/src/state/inspect.ts` */
  readonly avsegStudio?: {
    labels(): number[][];
    liveLabels(): number[];
    seconds(): number;
    keptBytes(): number;
    status(which: "result" | "other"): string;
  };
  /** Chromium's chooser of folders. */
  showDirectoryPicker?(): Promise<FileSystemDirectoryHandle>;
  /** axe-core, where a test has put it in. */
  readonly axe: {
    run(context: Document): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
  };
}
