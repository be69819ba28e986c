/** A chart of one number over steps, for one or several runs. */
import { useState } from "preact/hooks";

/** A run's line. */
export interface Line {
  readonly name: string;
  /** Index of its color. */
  readonly color: number;
  readonly points: readonly (readonly [step: number, value: number])[];
}

/** What a chart shows. */
interface ChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly smooth?: boolean | undefined;
}

const size = { width: 480, height: 220, left: 52, right: 12, top: 12, bottom: 30 };
/** Rows of the table that stands in for a chart. */
const maxRows = 12;

/** The thick line of a smoothed chart: means of this fraction of the points. */
const smoothedFraction = 1 / 30;

/**
 * The chart with its values under the pointer, and the same as a table. With `smooth` these are means of consecutive
 * points, and the points themselves are a faint line.
 */
export function Chart({ title, lines: raw, smooth = false }: ChartProps) {
  const lines = smooth ? raw.map((line) => ({ ...line, points: meansOf(line.points) })) : raw;
  const [at, setAt] = useState<number | undefined>(undefined);
  const all = raw.flatMap(({ points }) => points);
  const steps = all.map(([step]) => step);
  const [x0, x1] = [least(steps), largest(steps)];
  const yTicks = ticks(least(all.map(([, value]) => value)), largest(all.map(([, value]) => value)));
  const [y0, y1] = [yTicks[0] ?? 0, yTicks.at(-1) ?? 1];
  const innerWidth = size.width - size.left - size.right;
  const px = (step: number): number => size.left + ((step - x0) / (x1 - x0 || 1)) * innerWidth;
  const py = (value: number): number =>
    size.height - size.bottom - ((value - y0) / (y1 - y0 || 1)) * (size.height - size.top - size.bottom);
  const onPointer = ({ currentTarget, clientX }: PointerEvent & { currentTarget: Element }): void => {
    const { left, width } = currentTarget.getBoundingClientRect();
    const x = ((clientX - left) / width) * size.width;
    setAt(x0 + Math.min(1, Math.max(0, (x - size.left) / innerWidth)) * (x1 - x0));
  };
  const spoken = lines.map(({ name, points }) => `${name} ends at ${shortNumber(points.at(-1)?.[1] ?? 0)}`);
  return (
    <figure class="chart">
      <figcaption>
        <span>
          {title}
          {smooth && <small>, running mean</small>}
        </span>
        <span class="chart-values" aria-hidden="true">
          {lines.map(({ name, color, points }) => {
            const [step, value] = (at === undefined ? points.at(-1) : nearest(points, at)) ?? [0, 0];
            return (
              <span key={name} class={`series-${color}`}>
                {shortNumber(value)}
                {at !== undefined && <small> at {step}</small>}
              </span>
            );
          })}
        </span>
      </figcaption>
      <svg
        viewBox={`0 0 ${size.width} ${size.height}`}
        role="img"
        aria-label={`${title} over steps. ${spoken.join("; ")}.`}
        onPointerMove={onPointer}
        onPointerLeave={() => setAt(undefined)}
      >
        {yTicks.map((value) => (
          <g key={value}>
            <line class="grid" x1={size.left} x2={size.width - size.right} y1={py(value)} y2={py(value)} />
            <text x={size.left - 8} y={py(value) + 4} text-anchor="end">
              {shortNumber(value)}
            </text>
          </g>
        ))}
        {stepTicks(x0, x1).map((step) => (
          <text key={step} x={px(step)} y={size.height - 9} text-anchor={step === x1 ? "end" : "middle"}>
            {step.toLocaleString("en")}
          </text>
        ))}
        {smooth &&
          raw.map(({ name, color, points }) => (
            <g key={name} class={`faint series-${color}`}>
              <path d={pathOf(points.map(([step, value]) => [px(step), py(value)]))} />
            </g>
          ))}
        {at !== undefined && (
          <line class="cursor" x1={px(at)} x2={px(at)} y1={size.top} y2={size.height - size.bottom} />
        )}
        {lines.map(({ name, color, points }) => {
          const shown = at === undefined ? points.at(-1) : nearest(points, at);
          return (
            <g key={name} class={`series-${color}`}>
              <path d={pathOf(points.map(([step, value]) => [px(step), py(value)]))} />
              {shown && <circle cx={px(shown[0])} cy={py(shown[1])} r={3.5} />}
            </g>
          );
        })}
      </svg>
      <details>
        <summary>
          Table<span class="visually-hidden"> of {title}</span>
        </summary>
        <Table title={title} lines={lines} />
      </details>
    </figure>
  );
}

function Table({ title, lines }: { title: string; lines: readonly Line[] }) {
  const longest = lines.reduce<Line["points"]>(
    (a, { points }) => (points.length > a.length ? points : a),
    [],
  );
  const stride = Math.max(1, Math.ceil((longest.length - 1) / (maxRows - 1)));
  const rows = longest.filter((_, i) => i % stride === 0 || i === longest.length - 1);
  return (
    <table>
      <caption class="visually-hidden">{title}</caption>
      <thead>
        <tr>
          <th scope="col">Step</th>
          {lines.map(({ name }) => (
            <th key={name} scope="col">
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([step]) => (
          <tr key={step}>
            <th scope="row">{step}</th>
            {lines.map(({ name, points }) => {
              const found = nearest(points, step);
              const isThere = step <= (points.at(-1)?.[0] ?? 0);
              return <td key={name}>{found && isThere ? shortNumber(found[1]) : ""}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Every point as the mean of itself and those before it. */
function meansOf(points: Line["points"]): Line["points"] {
  const count = Math.max(1, Math.round(points.length * smoothedFraction));
  let sum = 0;
  return points.map(([step, value], i) => {
    sum += value - (i >= count ? (points[i - count]?.[1] ?? 0) : 0);
    return [step, sum / Math.min(count, i + 1)] as const;
  });
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}

function largest(values: readonly number[]): number {
  return values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
}

function nearest(points: Line["points"], step: number): Line["points"][number] | undefined {
  return points.reduce<Line["points"][number] | undefined>(
    (best, point) => (best && Math.abs(best[0] - step) <= Math.abs(point[0] - step) ? best : point),
    undefined,
  );
}

function pathOf(points: readonly (readonly [number, number])[]): string {
  return points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/** Round values that enclose the range. */
function ticks(from: number, to: number): number[] {
  const range = to - from || Math.abs(to) || 1;
  const power = 10 ** Math.floor(Math.log10(range / 4));
  const step = power * ([1, 2, 5, 10].find((factor) => range / (factor * power) <= 5) ?? 10);
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** Round steps within the range, and its end. */
function stepTicks(from: number, to: number): number[] {
  const distance = (to - from) / 5;
  return [
    ...ticks(from, to).filter((step) => Number.isInteger(step) && step >= from && to - step > distance),
    to,
  ];
}

/** A number in few characters: `0.731`, `3.0e-5`, `1,200`. */
export function shortNumber(value: number): string {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3) return value.toExponential(1);
  return size < 100 ? String(Number(value.toPrecision(3))) : Math.round(value).toLocaleString("en");
}
