/** What a video is, and the buttons that segment it. */
import { signal } from "@preact/signals";
import { bytes, clock, duration } from "../format";
import { Problem } from "../parts/controls";
import { model, segment, speed } from "../state/engine";
import { type Copying, type Item, remove } from "../state/library";
import { queue } from "../state/queue";

/** Lengths of the slice that is tried before a longer file, in seconds. */
const sliceLengths = [5, 10, 15] as const;
/** The chosen one. */
const sliceSeconds = signal<number>(10);
/** Above this length the whole file is not started at once. */
const longSeconds = 20;

/** Facts, limits, start, cancel and progress. */
export function RunBar({ item }: { item: Item }) {
  const facts = item.facts.value;
  const { result } = item;
  const status = result.status.value;
  const ready = model.facts.value !== undefined && facts !== undefined && facts.obstacle === undefined;
  const run = (endSeconds?: number): void => {
    segment(item, result, { sound: { kind: "own" }, endSeconds });
  };
  const copying = item.copying.value;
  if (copying) return <CopyProgress item={item} {...copying} />;
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
        {status === "running" || status === "waiting" ? (
          <>
            <button type="button" class="button" onClick={() => result.cancel()}>
              Stop
            </button>
            {status === "running" ? <Progress item={item} /> : <Waiting item={item} />}
          </>
        ) : (
          <>
            <button
              type="button"
              class="button primary"
              disabled={!ready}
              onClick={() => run(isLong ? sliceSeconds.value : undefined)}
            >
              {isLong
                ? `Try ${sliceSeconds.value} s`
                : status === "idle"
                  ? "Find what sounds"
                  : "Find it again"}
            </button>
            {isLong && <SliceLength />}
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

/** How much of a long video is tried first. */
function SliceLength() {
  return (
    <label>
      <span class="visually-hidden">Seconds to try</span>
      <select
        value={sliceSeconds.value}
        onChange={(event) => {
          sliceSeconds.value = Number(event.currentTarget.value);
        }}
      >
        {sliceLengths.map((seconds) => (
          <option key={seconds} value={seconds}>
            {seconds} s
          </option>
        ))}
      </select>
    </label>
  );
}

function CopyProgress({ item, done, total }: { item: Item } & Copying) {
  return (
    <section class="run-bar" aria-label="Decoding">
      <p class="note">
        This browser cannot decode {item.name}. This computer makes a copy of it that the browser plays.
      </p>
      <div class="run">
        <button type="button" class="button" onClick={() => remove(item)}>
          Stop
        </button>
        <div class="progress">
          <progress max={total ?? 1} value={total && done} aria-label="Seconds decoded" />
          <span>
            {done.toFixed(0)} of {total?.toFixed(0) ?? "?"} s
          </span>
        </div>
      </div>
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

function Waiting({ item: { result } }: { item: Item }) {
  const before = queue.value.indexOf(result);
  return (
    <p class="note" role="status">
      {before > 0
        ? `Waits for ${before} other ${before === 1 ? "video" : "videos"}.`
        : "Waits for the model."}
    </p>
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
