/** The page on which videos are segmented and watched. */
import { FileButton } from "../parts/controls";
import { Editor } from "../player/editor";
import { Stage } from "../player/stage";
import { Timeline } from "../player/timeline";
import { Transport } from "../player/transport";
import { openExample } from "../state/example";
import { addFiles, type Item, selected } from "../state/library";
import { Inspector, tab } from "./inspector";
import { LibraryStrip, videoFiles } from "./library-strip";
import { otherSound, soundName } from "./listen-panel";
import { RunBar } from "./run-bar";

/** The page. */
export function SegmentPage() {
  const item = selected.value;
  return (
    <div class="segment-page">
      <LibraryStrip />
      {item ? <Opened key={item.id} item={item} /> : <Empty />}
      {item && !item.problem.value && <Inspector item={item} />}
    </div>
  );
}

function Opened({ item }: { item: Item }) {
  const sound = otherSound.value;
  const { result, other } = item;
  const correcting = tab.value === "correct";
  const results = sound
    ? [
        { name: "own sound", result },
        { name: soundName(sound), result: other },
      ]
    : [{ name: "", result }];
  return (
    <main class="center">
      <h1 class="visually-hidden">{item.name}</h1>
      {!item.problem.value && (
        <>
          <div class={correcting ? "stages correcting" : sound ? "stages two" : "stages"}>
            {correcting && <Editor item={item} />}
            {sound ? (
              <>
                <Stage key="own-of-two" item={item} result={result} caption="own sound" />
                <Stage key="other" item={item} result={other} caption={soundName(sound)} />
              </>
            ) : (
              <Stage key="own" item={item} result={result} />
            )}
          </div>
          <Transport />
          <Timeline item={item} results={results} />
        </>
      )}
      <RunBar item={item} />
    </main>
  );
}

function Empty() {
  return (
    <main class="center empty">
      <h1>What sounds in your video?</h1>
      <p>Drop a video here. What is making the sound is marked in every second of it, on this computer.</p>
      <div class="row">
        <FileButton accept={videoFiles} multiple primary onFiles={addFiles}>
          Choose videos
        </FileButton>
        <button type="button" class="button" onClick={openExample}>
          Open the example
        </button>
      </div>
    </main>
  );
}
