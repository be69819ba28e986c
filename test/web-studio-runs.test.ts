/** The studio's page of training runs, with a log that grows while the page is open. */
import assert from "node:assert/strict";
import { appendFile, mkdir, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, before } from "node:test";
import { axeViolations, type OpenStudio, openStudio, skipStudio } from "./studio.js";
import { tempDir } from "./temp-dir.js";

const skip = skipStudio;
const dir = await tempDir({ after });
let studio: OpenStudio;

/** The line of an epoch of ten steps. */
const epochLine = (epoch: number, miou: number): string =>
  `${JSON.stringify({ kind: "epoch", step: 10 * epoch + 10, epoch, loss: 1 / (epoch + 1), validation: { miou } })}\n`;

/** A run's log with this mIoU of every epoch. */
function logText(mious: readonly number[]): string {
  return mious
    .map((miou, epoch) => {
      const steps = Array.from({ length: 10 }, (_, i) => {
        const step = 10 * epoch + i + 1;
        return `${JSON.stringify({ kind: "step", step, epoch, loss: 2 / step, learningRate: 1e-3 / step })}\n`;
      });
      return steps.join("") + epochLine(epoch, miou);
    })
    .join("");
}

before(async () => {
  if (skip) return;
  for (const [name, text] of [
    ["ms3/first", `${logText([0.2, 0.4, 0.5])}damaged\n`],
    ["s4/second", logText([0.3, 0.35])],
  ] as const) {
    await mkdir(path.join(dir, name, "eval-test"), { recursive: true });
    await writeFile(path.join(dir, name, "metrics.jsonl"), text);
  }
  // The first of the list is the newest.
  await utimes(path.join(dir, "s4/second/metrics.jsonl"), 1e9, 1e9);
  const evaluated = path.join(dir, "ms3/first/eval-test");
  const clip = (id: string, miou: number) => ({ id, category: "ring", miou, fscore: 0.5 });
  await writeFile(
    path.join(evaluated, "evaluation.json"),
    JSON.stringify({
      summary: { miou: 0.45, fscore: 0.6 },
      clips: [clip("best-clip", 0.8), clip("worst-clip", 0.125)],
      context: { split: "test" },
    }),
  );
  await writeFile(
    path.join(evaluated, "report.html"),
    "<!doctype html><title>r</title><h1>All clips</h1><script>document.querySelector('h1').textContent = 'ran'</script>",
  );
  studio = await openStudio({ runs: dir }, { query: "empty" });
  await studio.page.getByRole("button", { name: "Runs" }).click();
});
after(() => studio?.close());

test("curves of the newest run follow its log while it is written", { skip }, async () => {
  const { page } = studio;
  await page.getByRole("img", { name: /mIoU on the validation split.*ms3\/first ends at 0\.5\./ }).waitFor();
  await page.getByRole("img", { name: /^Learning rate over steps/ }).waitFor();
  await page.getByText("1 line of metrics.jsonl cannot be read").waitFor();
  await appendFile(path.join(dir, "ms3/first/metrics.jsonl"), epochLine(3, 0.625));
  await page
    .getByRole("img", { name: /mIoU on the validation split.*ms3\/first ends at 0\.625\./ })
    .waitFor();
  assert.match((await page.locator(".run-list").textContent()) ?? "", /4 epochs · mIoU 0\.625/);
});

test("a second run is compared in the same charts, with the keyboard", { skip }, async () => {
  const { page } = studio;
  await page.getByRole("checkbox", { name: /s4\/second/ }).focus();
  await page.keyboard.press("Space");
  const chart = page.getByRole("img", {
    name: /mIoU.*ms3\/first ends at 0\.625; s4\/second ends at 0\.35\./,
  });
  await chart.waitFor();
  assert.equal(await chart.locator("path").count(), 2);
  const figure = page.locator("figure", { has: chart });
  await figure.getByText("Table").focus();
  await page.keyboard.press("Enter");
  assert.deepEqual(await figure.locator("tbody tr").allTextContents(), [
    "100.20.3",
    "200.40.35",
    "300.5",
    "400.625",
  ]);
});

test("an evaluation shows its worst clips, and its report runs no script", { skip }, async () => {
  const { page } = studio;
  await page.getByText("eval-test: mIoU 0.450").click();
  assert.match((await page.locator(".worst tbody tr").first().textContent()) ?? "", /worst-clip.*0\.125/);
  await page.getByRole("button", { name: "Report of eval-test" }).click();
  const heading = page.frameLocator("iframe.report").getByRole("heading");
  assert.equal(await heading.textContent(), "All clips");
  await page.getByRole("button", { name: "Back to the curves" }).click();
  await page.getByRole("img", { name: /^Loss of steps/ }).waitFor();
});

test("axe finds no violations, and nothing is wider than a phone", { skip }, async () => {
  const { page } = studio;
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await axeViolations(page), [], colorScheme);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  assert.deepEqual(await axeViolations(page), [], "phone");
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  assert.deepEqual(studio.errors, []);
  assert.deepEqual(studio.foreign, []);
});
