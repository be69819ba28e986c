/** Names of exported files. */

/** A file's name without its extension. */
export function stemOf(name: string): string {
  return name.replace(/\.[^.]*$/, "");
}

/** The number of a picture in the name of its file. */
export function numbered(index: number): string {
  return String(index).padStart(6, "0");
}
