/** A report as one self-contained HTML file: no scripts, no addresses outside it. */
import { barsChart, curvesChart, soundChart } from "./charts.js";
import { Html, type HtmlPart, html } from "./html.js";
import {
  formatFraction,
  type Report,
  type ReportClip,
  type ReportGallery,
  type ReportTable,
} from "./report.js";
import { STYLE } from "./style.js";

/** Pictures are taken over only as base64 of these kinds: no other address gets into the page. */
const IMAGE = /^data:image\/(?:png|jpeg|webp);base64,[A-Za-z0-9+/=]*$/;

/** Renders a report as HTML text. Throws `RangeError` for a picture that is not a base64 `data:` address. */
export function renderReport(report: Report): string {
  const { title, lead, tiles, charts, environment } = report;
  const galleries = report.galleries.filter(({ clips }) => clips.length > 0).map(gallery);
  const tables = report.tables.map(table);
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>${title}</title>
<style>${new Html(STYLE)}</style>
</head>
<body>
<main>
<header><h1>${title}</h1><p class="lead">${lead}</p></header>
<section class="tiles">${tiles.map(
    ({ label, value, note }) =>
      html`<div class="tile"><div class="label">${label}</div><div class="value">${value}</div>${note !== undefined && html`<div class="under">${note}</div>`}</div>`,
  )}</section>
<section class="charts">${charts.map((chart) => (chart.kind === "curves" ? curvesChart(chart) : barsChart(chart)))}</section>
${report.tablesFirst ? [tables, galleries] : [galleries, tables]}
<section><h2>Environment</h2><dl class="environment">${environment.map(
    ([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`,
  )}</dl></section>
</main>
</body>
</html>
`;
  return page.text;
}

function gallery({ title, note, clips }: ReportGallery): Html {
  return html`<section><h2>${title}</h2>${note !== undefined && html`<p class="note">${note}</p>`}
<div class="clips">${clips.map(clipCard)}</div></section>`;
}

function clipCard({ id, category, metrics, frames, predictions, sound, legend = [] }: ReportClip): Html {
  const hasTruth = frames.some(({ truth }) => truth !== undefined);
  const row = (name: HtmlPart, content: HtmlPart): Html =>
    html`<div class="row-name">${name}</div><div>${content}</div>`;
  return html`<article class="clip">
<div class="clip-head"><b>${id}</b><span class="category">${category}</span>
<span class="metrics">${metrics.map(([label, value]) => html` &nbsp; ${label}<strong>${value}</strong>`)}</span></div>
<div class="film">
${hasTruth && row(html`${legend.length === 0 && html`<i class="truth"></i>`}truth`, html`<div class="frames">${frames.map(({ truth, seconds }) => picture(truth, `truth at ${seconds} s`))}</div>`)}
${predictions.map(({ name, note, pictures }) =>
  row(
    html`${legend.length === 0 && html`<i class="prediction"></i>`}${name}${note !== undefined && html`<small>${note}</small>`}`,
    html`<div class="frames">${pictures.map((address, i) => picture(address, `${name} at ${frames[i]?.seconds ?? i + 1} s`))}</div>`,
  ),
)}
${sound && row("sound", soundChart(sound, frames.length))}
${row("", html`<div class="frames times">${frames.map(({ seconds }) => html`<span>${seconds} s</span>`)}</div>`)}
</div>
${legend.length > 0 && html`<div class="legend">${legend.map(({ name, color }) => html`<span><i style="background:${hexColor(color)}"></i>${name}</span>`)}</div>`}
</article>`;
}

function picture(address: string | undefined, alt: string): Html {
  if (address === undefined) return html`<span class="none">no truth</span>`;
  if (!IMAGE.test(address)) {
    throw new RangeError(`report: expected a picture as data:image/...;base64, got ${address.slice(0, 40)}`);
  }
  return html`<img src="${address}" alt="${alt}" loading="lazy">`;
}

function hexColor(color: string): string {
  if (!/^#[0-9a-f]{6}$/i.test(color)) throw new RangeError(`report: expected a color #rrggbb, got ${color}`);
  return color;
}

function table({ title, note, columns, rows, meters = [], collapsed = false }: ReportTable): Html {
  const numeric = columns.map((_, c) => rows.some((row) => typeof row[c] === "number"));
  const body = html`<div class="table-wrap"><table>
<thead><tr>${columns.map((name, c) => html`<th${classOf(numeric[c] === true && !meters.includes(c) ? "number" : "")}>${name}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((value, c) => cell(value, numeric[c] === true, meters.includes(c)))}</tr>`)}</tbody>
</table></div>`;
  const heading = html`<h2>${title}</h2>${note !== undefined && html`<p class="note">${note}</p>`}`;
  return collapsed
    ? html`<details><summary>${heading}</summary>${body}</details>`
    : html`<section>${heading}${body}</section>`;
}

function classOf(name: string): Html | undefined {
  return name === "" ? undefined : html` class="${name}"`;
}

function cell(value: string | number | null, numeric: boolean, meter: boolean): Html {
  if (meter && (typeof value === "number" || value === null)) {
    const share = Math.round(Math.max(0, Math.min(1, value ?? 0)) * 1000) / 10;
    return html`<td class="meter"><div class="meter-in"><span class="rail"><span style="width:${share}%"></span></span><span>${formatFraction(value)}</span></div></td>`;
  }
  if (value === "published" || value === "corrected") {
    return html`<td><span class="tag ${value}">${value}</span></td>`;
  }
  const text = typeof value === "number" && !Number.isInteger(value) ? formatFraction(value) : (value ?? "–");
  return html`<td${classOf(numeric ? "number" : "")}>${text}</td>`;
}
