/** What sounds when: a lane per class, as high as the area that it covers and as strong as the model is sure. */
import { useEffect, useRef } from "preact/hooks";
import { percent } from "../format";
import { player } from "../state/player";
import type { Result } from "../state/result";
import { theme } from "../state/settings";
import { contextOf, themeColor } from "./draw";

const laneHeight = 30;
/** More classes than these are not drawn; the most frequent ones are. */
const maxLanes = 6;

/** The lanes of one result. */
export function Lanes({
  name,
  result,
  width,
  duration,
}: {
  name: string;
  result: Result;
  width: number;
  duration: number;
}) {
  const count = result.count.value;
  const labels = result.labels().slice(0, maxLanes);
  const shown = labels.length > 0 ? labels : ["sounding"];
  return (
    <>
      {shown.map((label) => (
        <Lane
          key={label}
          label={label}
          title={name}
          result={result}
          count={count}
          width={width}
          duration={duration}
        />
      ))}
    </>
  );
}

interface LaneProps {
  label: string;
  title: string;
  result: Result;
  /** Steps so far: the lane is drawn again when there are more. */
  count: number;
  width: number;
  duration: number;
}

function Lane({ label, title, result, count, width, duration }: LaneProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const now = regionAt(result, label, player.time.value);
  useEffect(() => {
    if (canvas.current) draw(canvas.current, { label, result, width, duration });
  }, [label, result, count, width, duration, theme.value]);
  return (
    <div class="lane">
      <canvas ref={canvas} style={{ height: `${laneHeight}px` }} />
      <span class="lane-label">
        {title ? `${title}: ${label}` : label}
        {now && (
          <em>
            {percent(now.area)} of the picture, {percent(now.confidence)} sure
          </em>
        )}
      </span>
    </div>
  );
}

function regionAt(
  result: Result,
  label: string,
  time: number,
): { area: number; confidence: number } | undefined {
  const step = result.steps[Math.floor(time)];
  const region = step?.mask.regions.find((r) => r.label === label);
  return (
    step &&
    region && { area: region.area / (step.mask.width * step.mask.height), confidence: region.confidence }
  );
}

function draw(
  canvas: HTMLCanvasElement,
  { label, result, width, duration }: Pick<LaneProps, "label" | "result" | "width" | "duration">,
): void {
  const context = contextOf(canvas, { width, height: laneHeight });
  if (!context || duration === 0) return;
  const second = width / duration;
  const color = themeColor("--mark");
  const quiet = themeColor("--line");
  const areas = result.steps.flatMap(({ mask }) =>
    mask.regions.filter((r) => r.label === label).map((r) => r.area / (mask.width * mask.height)),
  );
  const largest = areas.reduce((a, b) => Math.max(a, b), 1e-6);
  for (const { index, silent, mask } of result.steps) {
    const region = mask.regions.find((r) => r.label === label);
    const x = index * second;
    const w = Math.max(1, Math.min(second, width - x) - (second > 4 ? 1 : 0));
    if (!region) {
      context.globalAlpha = silent ? 0.35 : 1;
      context.fillStyle = quiet;
      context.fillRect(x, laneHeight - 2, w, 2);
      continue;
    }
    const area = region.area / (mask.width * mask.height);
    const h = Math.max(3, Math.sqrt(area / largest) * (laneHeight - 4));
    context.globalAlpha = 0.25 + 0.75 * Math.max(0, Math.min(1, 2 * region.confidence - 1));
    context.fillStyle = color;
    context.fillRect(x, laneHeight - h, w, h);
  }
}
