/** Filmstrip, waveform and what sounds when, over one time axis. Click, drag or use the arrow keys to seek. */
import { useEffect, useRef, useState } from "preact/hooks";
import { clock } from "../format";
import { peaksOf, picturesOf } from "../media/reader";
import type { Peaks } from "../media/waveform";
import type { Item } from "../state/library";
import { player, seek, seekBy } from "../state/player";
import { queue } from "../state/queue";
import type { Result } from "../state/result";
import { drawFilmstrip, drawWaveform } from "./draw";
import { Lanes } from "./lanes";

const stripHeight = 44;
const waveHeight = 40;

/** The timeline of a video and its results. */
export function Timeline({
  item,
  results,
}: {
  item: Item;
  results: readonly { name: string; result: Result }[];
}) {
  const axis = useRef<HTMLDivElement>(null);
  const width = useWidth(axis);
  const duration = player.duration.value || item.facts.value?.durationSeconds || 0;
  // What decodes for decoration waits for the first mask.
  const isBusy = queue.value[0] === item.result && item.result.count.value === 0;
  const isFree = useRef(false);
  isFree.current ||= !isBusy;
  const strip = useFilmstrip(item, width, isFree.current ? duration : 0);
  const peaks = usePeaks(item, isFree.current ? duration : 0);
  const wave = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (wave.current) drawWaveform(wave.current, peaks, { width, height: waveHeight, duration });
  }, [peaks, width, duration]);
  const toTime = (event: PointerEvent): number => {
    const box = axis.current?.getBoundingClientRect();
    return box && box.width > 0 ? ((event.clientX - box.left) / box.width) * duration : 0;
  };
  const at = duration > 0 ? Math.min(1, player.time.value / duration) : 0;
  return (
    <div class="timeline">
      <div
        ref={axis}
        class="axis"
        role="slider"
        tabIndex={0}
        aria-label="Position"
        aria-valuemin={0}
        aria-valuemax={Number(duration.toFixed(1))}
        aria-valuenow={Number(player.time.value.toFixed(1))}
        aria-valuetext={`${clock(player.time.value)} of ${clock(duration)}`}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          seek(toTime(event));
        }}
        onPointerMove={(event) => {
          if (event.currentTarget.hasPointerCapture(event.pointerId)) seek(toTime(event));
        }}
        onKeyDown={(event) => {
          const steps: Readonly<Record<string, number>> = {
            ArrowLeft: -1,
            ArrowRight: 1,
            PageDown: -10,
            PageUp: 10,
          };
          const step = steps[event.key];
          if (step === undefined) return;
          seekBy(step);
          event.preventDefault();
          event.stopPropagation();
        }}
      >
        <canvas ref={strip} style={{ height: `${stripHeight}px` }} />
        <canvas ref={wave} class="wave" style={{ height: `${waveHeight}px` }} />
        {results.map(({ name, result }) => (
          <Lanes key={name} name={name} result={result} width={width} duration={duration} />
        ))}
        <span class="playhead" style={{ left: `${100 * at}%` }} />
      </div>
    </div>
  );
}

/** The width of an element in pixels, also after it changed. */
function useWidth(element: { readonly current: HTMLElement | null }): number {
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const { current } = element;
    if (!current) return;
    const observer = new ResizeObserver(() => setWidth(Math.max(1, Math.round(current.clientWidth))));
    observer.observe(current);
    return () => observer.disconnect();
  }, [element]);
  return width;
}

function useFilmstrip(item: Item, width: number, duration: number) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const facts = item.facts.value;
  useEffect(() => {
    if (!facts || duration === 0) return;
    const stop = new AbortController();
    const pictureWidth = (stripHeight * facts.width) / facts.height;
    const count = Math.min(40, Math.max(1, Math.ceil(width / pictureWidth)));
    const times = Array.from({ length: count }, (_, i) => ((i + 0.5) / count) * duration);
    const pictures: (ImageBitmap | undefined)[] = [];
    const read = async (): Promise<void> => {
      const request = { file: item.file, times, height: 2 * stripHeight };
      for await (const { index, picture } of picturesOf(request, stop.signal)) {
        pictures[index] = picture;
        if (canvas.current) drawFilmstrip(canvas.current, pictures, { width, height: stripHeight, count });
      }
    };
    read().catch(() => undefined); // the strip is decoration: why a file cannot be read is said elsewhere
    return () => {
      stop.abort();
      for (const picture of pictures) picture?.close();
    };
  }, [item, facts, width, duration]);
  return canvas;
}

function usePeaks(item: Item, duration: number): Peaks | undefined {
  const [peaks, setPeaks] = useState<Peaks>();
  useEffect(() => {
    setPeaks(undefined);
    if (duration === 0) return;
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      for await (const part of peaksOf(item.file, duration, stop.signal)) setPeaks(part);
    };
    read().catch(() => undefined); // as for the filmstrip
    return () => stop.abort();
  }, [item, duration]);
  return peaks;
}
