/** Which files of a folder are videos, by their names. */

/** Extensions of video files, lower case, with the dot. */
export const videoExtensions: readonly string[] = [
  ...[".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv"],
  ...[".wmv", ".asf", ".3gp", ".ogv", ".mxf", ".vob"],
];

/** Whether a file's name has the extension of a video, in upper or lower case. */
export function isVideoName(name: string): boolean {
  const lower = name.toLowerCase();
  return videoExtensions.some((extension) => lower.endsWith(extension));
}
