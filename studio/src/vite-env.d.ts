/// <reference types="vite/client" />

/** What TypeScript's DOM types do not know. */
interface Window {
  showDirectoryPicker?(options: {
    readonly id: string;
    readonly mode: "readwrite";
  }): Promise<FileSystemDirectoryHandle>;
}
