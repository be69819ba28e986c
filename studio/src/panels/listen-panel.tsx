/** "Does it listen?": the same pictures with another sound, side by side. */
import { signal } from "@preact/signals";
import type { SoundChoice } from "../engine/messages";
import { Choice, FileButton, Problem } from "../parts/controls";
import { segment } from "../state/engine";
import type { Item } from "../state/library";

/** What the right picture's model listens to; `undefined` while there is one picture only. */
export const otherSound = signal<SoundChoice | undefined>(undefined);

/** The sound in words. */
export function soundName(sound: SoundChoice): string {
  if (sound.kind === "own") return "own sound";
  return sound.kind === "silence" ? "silence" : sound.name;
}

const choices = [
  { id: "own", label: "Own sound only" },
  { id: "silence", label: "Silence" },
] as const;

/** The panel "Listen". */
export function ListenPanel({ item }: { item: Item }) {
  const sound = otherSound.value;
  const failure = item.other.failure.value;
  const listen = (choice: SoundChoice | undefined): void => {
    otherSound.value = choice;
    item.other.cancel();
    const ran = item.result.doneSeconds.value;
    if (choice) segment(item, item.other, { sound: choice, endSeconds: ran > 0 ? ran : undefined });
  };
  return (
    <>
      <p class="lead">
        A model that listens marks something else when it hears something else. Give it another sound with the
        same pictures, and compare.
      </p>
      <Choice
        label="The right picture hears"
        options={choices}
        value={sound?.kind === "silence" ? "silence" : sound === undefined ? "own" : "file"}
        onChange={(id) => listen(id === "silence" ? { kind: "silence" } : undefined)}
      />
      <FileButton
        accept="video/*,audio/*"
        onFiles={([file]) => file && listen({ kind: "file", file, name: file.name })}
      >
        Sound of another file …
      </FileButton>
      {sound?.kind === "file" && <p class="note">Hears {sound.name}, repeated where it is shorter.</p>}
      {sound?.kind === "silence" && (
        <p class="note">
          Shown is what the model predicts for silence. With its own sound, silent seconds have no mask.
        </p>
      )}
      {failure && <Problem {...failure} />}
    </>
  );
}
