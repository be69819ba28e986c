/** Charts as inline SVG; colors come from the page's style, so that they follow its light or dark theme. */
import { at } from "../arrays.js";
import { type Html, html } from "./html.js";
import {
  formatFraction,
  type ReportBars,
  type ReportCurves,
  type ReportSeries,
  type ReportSound,
} from "./report.js";

const WIDTH = 520;
const HEIGHT = 250;
const LEFT = 44;
const right = 104;
const top = 14;
const bottom = 36;
/** Points drawn per line: more cannot be distinguished. */
const maxPoints = 260;
const seriesColors = 5;

type Point = readonly [x: number, y: number];

/** A line chart with the lines' names at their ends. */
export function curvesChart({ title, xLabel, series, marks = [] }: ReportCurves): Html {
  const lines = series.map((line) => ({
    ...line,
    points: thin(line.points.filter((p) => p.every(Number.isFinite))),
  }));
  const all = lines.flatMap((line) => line.points);
  if (all.length === 0) return figure(title, html`<p class="empty">Nothing was recorded.</p>`);
  const xs = all.map(([x]) => x);
  const ys = all.map(([, y]) => y);
  const xTicks = ticks(Math.min(...xs), Math.max(...xs), 8);
  const yTicks = ticks(Math.min(0, ...ys), Math.max(...ys), 5);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const [y0 = 0] = yTicks;
  const y1 = yTicks.at(-1) ?? 1;
  const px = (x: number): number => LEFT + ((x - x0) / (x1 - x0 || 1)) * (WIDTH - LEFT - right);
  const py = (y: number): number => HEIGHT - bottom - ((y - y0) / (y1 - y0 || 1)) * (HEIGHT - top - bottom);
  const drawn = lines.map((line) => ({
    ...line,
    shown: line.smooth ? movingAverage(line.points) : line.points,
  }));
  const labels = spread(drawn.map(({ shown }) => py(shown.at(-1)?.[1] ?? 0)));
  const svg = html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${title}">
${yTicks.map(
  (y) => html`<line class="grid" x1="${LEFT}" x2="${WIDTH - right}" y1="${r(py(y))}" y2="${r(py(y))}"/>
<text class="tick" x="${LEFT - 8}" y="${r(py(y) + 4)}" text-anchor="end">${tickText(y, yTicks)}</text>`,
)}
${xTicks
  .filter((x) => x >= x0 && x <= x1)
  .map(
    (x) =>
      html`<text class="tick" x="${r(px(x))}" y="${HEIGHT - bottom + 18}" text-anchor="middle">${tickText(x, xTicks)}</text>`,
  )}
<text class="axis" x="${(LEFT + WIDTH - right) / 2}" y="${HEIGHT - 3}" text-anchor="middle">${xLabel}</text>
${marks.map(
  ({
    x,
    label,
  }) => html`<line class="mark" x1="${r(px(x))}" x2="${r(px(x))}" y1="${top}" y2="${HEIGHT - bottom}"/>
<text class="tick" x="${r(px(x) - 5)}" y="${HEIGHT - bottom - 6}" text-anchor="end">${label}</text>`,
)}
${drawn.map(({ name, points, shown, smooth }, i) => {
  const color = `s${i % seriesColors}`;
  const [x, y] = shown.at(-1) ?? [x0, y0];
  return html`${smooth && html`<path class="line faint ${color}" d="${path(points, px, py)}"/>`}
<path class="line ${color}" d="${path(shown, px, py)}"/>
<circle class="dot ${color}" cx="${r(px(x))}" cy="${r(py(y))}" r="3"/>
<text class="name ${color}" x="${r(px(x) + 9)}" y="${r(at(labels, i) + 4)}">${name} <tspan class="last">${shortNumber(y)}</tspan></text>`;
})}
</svg>`;
  return figure(title, svg);
}

/** Horizontal bars with their values. */
export function barsChart({ title, bars, caption }: ReportBars): Html {
  const rows = bars.map(({ label, value, note, series }, i) => {
    const share = Math.round(Math.max(0, Math.min(1, value)) * 1000) / 10;
    return html`<div class="bar"><span class="bar-label">${label}${note !== undefined && html`<small>${note}</small>`}</span>
<span class="bar-track"><span class="bar-fill f${(series ?? i) % seriesColors}" style="width:${share}%"></span></span>
<span class="bar-value">${formatFraction(value)}</span></div>`;
  });
  return figure(title, html`<div class="bars">${rows}</div>`, caption);
}

/** A clip's loudness as a mirrored outline, as wide as its frames, with a line at every second. */
export function soundChart({ envelope, source }: ReportSound, seconds: number): Html {
  const height = 44;
  const width = Math.max(1, envelope.length - 1);
  const middle = height / 2;
  const loudest = Math.max(...envelope, 0);
  const side = (sign: number): string[] =>
    envelope.map((v, i) => `${i},${r(middle + sign * Math.max(0.4, v * (middle - 2)))}`);
  const outline = `M${side(-1).join("L")}L${side(1).reverse().join("L")}Z`;
  const borders = Array.from({ length: Math.max(0, seconds - 1) }, (_, k) => r(((k + 1) / seconds) * width));
  return html`<div class="sound" title="${source}"><svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${source}">
${borders.map((x) => html`<line class="second" x1="${x}" x2="${x}" y1="0" y2="${height}" vector-effect="non-scaling-stroke"/>`)}
<path class="wave" d="${outline}"/></svg>${loudest === 0 && html`<span class="silent">silent</span>`}</div>`;
}

function figure(title: string, content: Html, caption?: string): Html {
  return html`<figure class="chart"><figcaption>${title}</figcaption>${content}${caption !== undefined && html`<p class="caption">${caption}</p>`}</figure>`;
}

function path(points: readonly Point[], px: (x: number) => number, py: (y: number) => number): string {
  return points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${r(px(x))},${r(py(y))}`).join("");
}

/** Averages runs of neighboring points so that at most `maxPoints` are left; the last one is kept. */
function thin(points: readonly Point[]): readonly Point[] {
  if (points.length <= maxPoints) return points;
  const run = Math.ceil(points.length / maxPoints);
  const thinned: Point[] = [];
  for (let i = 0; i < points.length; i += run) {
    const group = points.slice(i, i + run);
    thinned.push([mean(group.map(([x]) => x)), mean(group.map(([, y]) => y))]);
  }
  return thinned;
}

/** Mean over a window of a tenth of the points, centered, smaller at the ends. */
function movingAverage(points: ReportSeries["points"]): readonly Point[] {
  const reach = Math.max(1, Math.round(points.length / 20));
  return points.map(([x], i) => {
    const own = Math.min(reach, i, points.length - 1 - i);
    return [x, mean(points.slice(i - own, i + own + 1).map(([, y]) => y))];
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, v) => sum + v, 0) / Math.max(1, values.length);
}

/** Round numbers that cover `low..high` with about `count` steps of 1, 2 or 5 times a power of ten. */
function ticks(low: number, high: number, count: number): number[] {
  const span = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => span / s <= count) ?? span;
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(2, last - first + 1) }, (_, i) => (first + i) * step);
}

function tickText(value: number, all: readonly number[]): string {
  const [first = 0, second = 1] = all;
  const step = Math.abs(second - first);
  return value.toFixed(Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9))));
}

function shortNumber(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(3);
}

/** Moves labels at heights `ys` apart, so that none covers another. */
function spread(ys: readonly number[]): number[] {
  const gap = 15;
  const moved = [...ys];
  const order = ys.map((_, i) => i).sort((a, b) => at(ys, a) - at(ys, b));
  for (const [k, i] of order.entries()) {
    const above = order[k - 1];
    if (above !== undefined) moved[i] = Math.max(at(moved, i), at(moved, above) + gap);
  }
  const overflow = Math.max(0, ...moved.map((y) => y - (HEIGHT - bottom)));
  return moved.map((y) => y - overflow);
}

/** Rounds a coordinate: a hundredth of a unit is finer than any screen. */
function r(value: number): number {
  return Math.round(value * 100) / 100;
}
