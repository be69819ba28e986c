/** Names of exported files. */

/** A file's name without its extension. */
export function stemOf(name: string): string {
  return name.replace(/\.[^.]*$/, "");
}

/** The same in characters that are plain in file systems and tables. */
export function plainStem(name: string): string {
  const plain = stemOf(name).replace(/[^\w-]+/g, "_");
  return plain.replace(/^_+$/, "") || "video";
}

/** The name of a folder or zip with the corrections of a video. */
export function datasetName(name: string): string {
  return `${plainStem(name)}-corrected`;
}

/** The number of a picture in the name of its file. */
export function numbered(index: number): string {
  return String(index).padStart(6, "0");
}
