/** The clip that is part of the app. */
import { segment } from "./engine";
import { addFiles } from "./library";

/** Opens the example and segments it at once. */
export async function openExample(): Promise<void> {
  const response = await fetch(new URL("example.mp4", document.baseURI));
  if (!response.ok) return;
  const file = new File([await response.blob()], "example.mp4", { type: "video/mp4" });
  const [item] = addFiles([file]);
  if (item) await segment(item, item.result, { sound: { kind: "own" } });
}
