import assert from "node:assert/strict";
import test from "node:test";
import type { EvaluationResult } from "../evaluation/result.js";
import { f32, full } from "../tensor.js";
import { clipPictures, loudness, waveform } from "./clip-pictures.js";
import { evaluationReport, trainingCharts } from "./evaluation-report.js";
import { html } from "./html.js";
import { renderReport } from "./render-report.js";
import type { Report } from "./report.js";
import { pickShowcase } from "./showcase.js";

const evil = `<img src=x onerror="alert('1')">&`;
const pixel = "data:image/png;base64,iVBORw0KGgo=";

const result: EvaluationResult = {
  task: "s4",
  batchSize: 4,
  summary: { miou: 0.5, fscore: 0.6 },
  metrics: {
    miouPublishedPerBatch: 0.5,
    fscorePublishedPerBatch: 0.6,
    jAndFPublished: 0.55,
    miouPerFrame: 0.51,
    fscorePerFrame: 0.61,
    jAndFPerFrame: 0.56,
    fscoreThreshold: 0.4,
    fscoreAtHalf: 0.59,
    regionJ: 0.5,
    contourF: 0.4,
    regionJAndContourF: 0.45,
    fprPublishedPerBatch: 0.3,
    fprOutside: 0.2,
    frames: 10,
    framesWithObject: 9,
  },
  categories: [
    { category: evil, clips: 1, frames: 5, miou: 0.2, fscore: null },
    { category: "dog", clips: 1, frames: 5, miou: 0.8, fscore: 0.9 },
  ],
  clips: Array.from({ length: 7 }, (_, i) => ({
    id: `${evil}${i}`,
    category: "dog",
    frames: 5,
    miou: [0.3, 0.9, 0.1, 0.5, 0.7, 0.2, 0.6][i] ?? 0,
    fscore: 0.5,
  })),
};

function makeReport(parts: Partial<Report> = {}): Report {
  const report = evaluationReport(result, {
    title: evil,
    lead: "lead",
    sounds: [
      { sound: "own", miou: 0.8, fscore: 0.9, fpr: 0.25, fprOutside: 0.01, miouCorrected: 0.8 },
      { sound: "swapped", miou: 0.2, fscore: 0.3, fpr: 0.125, fprOutside: 0.1, miouCorrected: 0.2 },
    ],
    charts: [
      ...trainingCharts({
        epochs: [
          { epoch: 0, loss: Number.NaN },
          { epoch: 1, loss: 0.5, validation: { miou: 0.4, fscore: 0.5 } },
        ],
      }),
    ],
    galleries: [
      {
        title: "Worst",
        clips: [
          {
            id: evil,
            category: evil,
            metrics: [["mIoU", "0.100"]],
            frames: [{ seconds: 1 }],
            predictions: [{ name: evil, note: evil, pictures: [pixel] }],
            sound: { envelope: [0, 0, 0], source: evil },
            legend: [{ name: evil, color: "#ff0000" }],
          },
        ],
      },
    ],
    environment: [["Command", evil]],
  });
  return { ...report, ...parts };
}

test("nothing that comes from outside is read as HTML", () => {
  const page = renderReport(makeReport());
  assert.ok(!page.includes("<img src=x"));
  assert.ok(!page.includes('onerror="alert'));
  assert.ok(page.includes("&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;"));
  assert.equal(html`<p title="${evil}">${["a", 1, false, undefined]}</p>`.text.match(/[<>]/g)?.length, 4);
});

test("the page refers to nothing outside itself and has no scripts", () => {
  const page = renderReport(makeReport());
  assert.ok(!/<script|<link|@import|url\(|https?:/i.test(page));
  assert.match(page, /Content-Security-Policy/);
});

test("pictures and colors that are not what they should be are refused", () => {
  const clip = {
    id: "c",
    category: "",
    metrics: [],
    frames: [{ seconds: 1 }],
    predictions: [{ name: "predicted", pictures: ["https://example.org/a.png"] }],
  };
  const gallery = (c: Report["galleries"][number]["clips"][number]) =>
    makeReport({ galleries: [{ title: "g", clips: [c] }] });
  assert.throws(() => renderReport(gallery(clip)), /expected a picture/);
  const colored = {
    ...clip,
    frames: [],
    predictions: [],
    legend: [{ name: "n", color: "red;background:url(x)" }],
  };
  assert.throws(() => renderReport(gallery(colored)), /expected a color/);
});

test("curves without a finite point say so; others have no broken coordinates", () => {
  const page = renderReport(makeReport());
  assert.ok(!/NaN|Infinity|undefined/.test(page));
  const empty = renderReport(makeReport({ charts: trainingCharts({ epochs: [] }) }));
  assert.equal(empty.match(/Nothing was recorded/g)?.length, 2);
});

test("every metric is listed with its protocol, and a missing one as a dash", () => {
  const page = renderReport(makeReport());
  assert.match(page, />best clip <tspan/);
  assert.match(page, /mIoU, per batch<\/td><td class="number">0\.500<\/td><td><span class="tag published">/);
  assert.match(page, /mIoU, per frame<\/td><td class="number">0\.510<\/td><td><span class="tag corrected">/);
  assert.match(page, /<span>–<\/span>/); // the category without a frame with an object
  assert.match(page, /falls by 75%/);
  assert.match(page, /<h2>By sound<\/h2>/);
});

test("best, typical and worst clips do not overlap", () => {
  assert.deepEqual(pickShowcase(result, 2), { best: [1, 4], typical: [0, 3], worst: [2, 5] });
  const one = pickShowcase({ ...result, clips: result.clips.slice(0, 1) }, 2);
  assert.deepEqual(one, { best: [], typical: [], worst: [0] });
});

test("loudness is silent for silence, and peaks where the sound does", () => {
  const silent = full([2, 1, 96, 64], Math.log(0.01));
  assert.ok(loudness(silent, [0, 1]).envelope.every((v) => v === 0));
  const loud = f32(silent.data.slice(), [2, 1, 96, 64]);
  loud.data.fill(1, (96 + 10) * 64, (96 + 11) * 64);
  const { envelope } = loudness(loud, [0, 1]);
  assert.equal(envelope.length, 192);
  assert.deepEqual(
    [...envelope.keys()].filter((i) => envelope[i] === 1),
    [106],
  );
  const samples = new Float32Array(16_000);
  samples[8_000] = -0.5;
  assert.equal(waveform(samples).envelope[250], 1);
});

test("a clip's pictures leave out padded frames and name the classes seen", async () => {
  const frames = { dtype: "u8" as const, shape: [3, 16, 16, 3], data: new Uint8Array(3 * 16 * 16 * 3) };
  const masks = {
    dtype: "u8" as const,
    shape: [3, 16, 16],
    data: new Uint8Array(3 * 16 * 16).fill(2, 0, 16),
  };
  const clip = {
    id: "c",
    category: "v1s",
    frames,
    masks: { dtype: "u8" as const, shape: [1, 16, 16], data: new Uint8Array(256).fill(1) },
    labeled: [0],
    logMel: full([3, 1, 96, 64]),
    frameMask: f32([1, 1, 0], [3]),
  };
  const pictures = await clipPictures(clip, masks, { metrics: [], classes: ["background", "dog", "cat"] });
  assert.equal(pictures.frames.length, 2);
  assert.ok(pictures.frames[0]?.truth?.startsWith("data:image/jpeg;base64,"));
  assert.equal(pictures.frames[1]?.truth, undefined);
  assert.deepEqual(
    pictures.legend?.map(({ name }) => name),
    ["dog", "cat"],
  );
  assert.equal(pictures.sound?.envelope.length, 192);
  renderReport(makeReport({ galleries: [{ title: "g", clips: [pictures] }] }));
});
