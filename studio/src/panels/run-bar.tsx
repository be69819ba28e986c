/** What a video is, and the buttons that segment it. */
import { bytes, clock, duration } from "../format";
import { Problem } from "../parts/controls";
import { model, segment, speed } from "../state/engine";
import type { Item } from "../state/library";

/** Seconds of the slice that is tried before a longer file. */
const sliceSeconds = 10;
/** Above this length the whole file is not begun at once. */
const longSeconds = 30;

/** Facts, limits, start, cancel and progress. */
export function RunBar({ item }: { item: Item }) {
  const facts = item.facts.value;
  const { result } = item;
  const status = result.status.value;
  const ready = model.facts.value !== undefined && facts !== undefined && facts.obstacle === undefined;
  const run = (endSeconds?: number): void => {
    segment(item, result, { sound: { kind: "own" }, endSeconds });
  };
  if (item.problem.value) return <Problem message={item.problem.value} />;
  const estimate = facts && speed.value > 0 ? `, about ${duration(facts.durationSeconds / speed.value)}` : "";
  const isLong = (facts?.durationSeconds ?? 0) > longSeconds;
  return (
    <section class="run-bar" aria-label="Segmenting">
      {facts && (
        <dl class="facts">
          <Fact name="Length" value={clock(facts.durationSeconds)} />
          <Fact
            name="Picture"
            value={`${facts.width} × ${facts.height}, ${facts.frameRate.toFixed(0)} fps, ${facts.videoCodec}`}
          />
          <Fact name="Sound" value={facts.audioCodec ?? "none"} />
          <Fact name="File" value={bytes(facts.bytes)} />
        </dl>
      )}
      {facts?.obstacle && (
        <Problem
          message={facts.obstacle}
          hint="Convert it to MP4 (H.264 and AAC), or start the app with `avseg studio`, whose native engine decodes it."
        />
      )}
      {facts && facts.audioCodec === undefined && (
        <p class="note">This video has no sound, so that nothing can be sounding: all masks are empty.</p>
      )}
      <div class="run">
        {status === "running" ? (
          <>
            <button type="button" class="button" onClick={() => result.cancel()}>
              Stop
            </button>
            <Progress item={item} />
          </>
        ) : (
          <>
            <button
              type="button"
              class="button primary"
              disabled={!ready}
              onClick={() => run(isLong ? sliceSeconds : undefined)}
            >
              {isLong ? `Try ${sliceSeconds} s` : status === "idle" ? "Find what sounds" : "Find it again"}
            </button>
            {isLong && (
              <button type="button" class="button" disabled={!ready} onClick={() => run()}>
                Whole video{estimate}
              </button>
            )}
            <Outcome item={item} />
          </>
        )}
      </div>
      {result.failure.value && <Problem {...result.failure.value} />}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Progress({ item: { result } }: { item: Item }) {
  const total = result.totalSeconds.value;
  const left = result.remainingSeconds.value;
  return (
    <div class="progress">
      <progress
        max={total ?? 1}
        value={total ? result.doneSeconds.value : undefined}
        aria-label="Seconds segmented"
      />
      <span>
        {result.doneSeconds.value.toFixed(0)} of {total?.toFixed(0) ?? "?"} s
        {left !== undefined && left > 1 ? `, ${duration(left)} left` : ""}
      </span>
    </div>
  );
}

function Outcome({ item: { result } }: { item: Item }) {
  const count = result.count.value;
  if (result.status.value === "idle" || count === 0) return null;
  const sounding = result.steps.filter(({ mask }) => mask.regions.length > 0).length;
  const silent = result.steps.filter((step) => step.silent).length;
  return (
    <p class="note" role="status">
      Something sounds in {sounding} of {count} seconds
      {silent > 0 ? `; ${silent} ${silent === 1 ? "is" : "are"} silent and have no mask` : ""}. Found by{" "}
      {result.madeBy}.
    </p>
  );
}
