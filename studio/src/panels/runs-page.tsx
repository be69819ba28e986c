/** The training runs of a folder: live curves side by side, evaluations with their worst clips, and reports. */
import { signal } from "@preact/signals";
import type { RunEvaluation, RunSummary } from "avseg/studio";
import { useEffect } from "preact/hooks";
import { hasServer, runReport } from "../engine/local-server";
import { type Failure, failureOf } from "../engine/messages";
import { ago } from "../format";
import { Problem } from "../parts/controls";
import { openModel } from "../state/engine";
import { show } from "../state/fine-tuning";
import { page } from "../state/page";
import { chosen, details, failure, maxChosen, runs, toggle, watchRuns } from "../state/runs";
import { Chart, type Line } from "./runs-chart";
import "../style/runs.css";

/** An opened report. */
const report = signal<{ readonly title: string; readonly html: string } | undefined>(undefined);
const reportFailure = signal<Failure | undefined>(undefined);

/** The page. */
export function RunsPage() {
  useEffect(() => (hasServer ? watchRuns() : undefined), []);
  const list = runs.value;
  if (!hasServer || list?.length === 0) return <NoRuns />;
  return (
    <div class="runs-page">
      <RunList list={list ?? []} />
      <main class="center" aria-busy={list === undefined}>
        {report.value ? <Report {...report.value} /> : <Curves list={list ?? []} />}
        {failure.value && <Problem {...failure.value} />}
      </main>
    </div>
  );
}

function NoRuns() {
  return (
    <main class="center empty">
      <h1>No training run yet</h1>
      <p>
        {hasServer ? (
          <>
            Start one with <code>avseg train</code>; it appears here at once. The studio reads{" "}
            <code>work_dir</code>, or the folder of <code>avseg studio --runs DIR</code>.
          </>
        ) : (
          <>
            Training runs are read by the local server. Start it with <code>avseg studio</code>.
          </>
        )}
      </p>
      {failure.value && <Problem {...failure.value} />}
    </main>
  );
}

function RunList({ list }: { list: readonly RunSummary[] }) {
  const isFull = chosen.value.length >= maxChosen;
  return (
    <nav class="run-list" aria-label="Training runs">
      <h2 class="group">Training runs</h2>
      <ul>
        {list.map((run) => {
          const color = chosen.value.indexOf(run.id);
          return (
            <li key={run.id}>
              <label class={color >= 0 ? `run-entry series-${color}` : "run-entry"}>
                <input
                  type="checkbox"
                  checked={color >= 0}
                  disabled={isFull && color < 0}
                  onChange={() => toggle(run.id)}
                />
                <span class="run-name">{run.name}</span>
                <span class="run-facts">{factsOf(run)}</span>
              </label>
            </li>
          );
        })}
      </ul>
      <p class="note">Up to {maxChosen} runs are compared.</p>
    </nav>
  );
}

function factsOf({ isTraining, modified, epochs, best }: RunSummary): string {
  const parts = [
    isTraining ? "training now" : ago(modified),
    `${epochs} ${epochs === 1 ? "epoch" : "epochs"}`,
  ];
  return [...parts, ...(best === undefined ? [] : [`mIoU ${best.toFixed(3)}`])].join(" · ");
}

/** Charts in this order; other numbers of the logs follow. */
const titles: ReadonlyMap<string, string> = new Map([
  ["step.loss", "Loss of steps"],
  ["epoch.loss", "Loss of epochs"],
  ["epoch.validation.miou", "mIoU on the validation split"],
  ["epoch.validation.fscore", "F-score on the validation split"],
  ["step.learningRate", "Learning rate"],
]);

function titleOf(name: string): string {
  const [kind, ...rest] = name.split(".");
  return titles.get(name) ?? `${rest.join(" ")} of ${kind}s`;
}

function Curves({ list }: { list: readonly RunSummary[] }) {
  const shown = chosen.value.flatMap((id, color) => {
    const run = list.find((r) => r.id === id);
    return run ? [{ run, color, details: details.value.get(id) }] : [];
  });
  const names = new Set([
    ...titles.keys(),
    ...shown.flatMap(({ details: d }) => d?.log.curves.map(({ name }) => name) ?? []),
  ]);
  names.delete("epoch.learningRate");
  const charts = [...names].flatMap((name) => {
    const lines = shown.flatMap(({ run, color, details: d }): Line[] => {
      const points = d?.log.curves.find((curve) => curve.name === name)?.points ?? [];
      return points.length > 0 ? [{ name: run.name, color, points }] : [];
    });
    return lines.length > 0 ? [{ name, lines }] : [];
  });
  return (
    <>
      <h1 class="visually-hidden">Training runs</h1>
      {shown.length === 0 && <p class="note">Choose a run.</p>}
      <div class="charts">
        {charts.map(({ name, lines }) => (
          <Chart
            key={name}
            title={titleOf(name)}
            lines={lines}
            smooth={name.startsWith("step.") && name !== "step.learningRate"}
          />
        ))}
      </div>
      {shown.map(({ run, color, details: d }) => (
        <RunDetail
          key={run.id}
          run={run}
          color={color}
          damaged={d?.log.damaged ?? 0}
          isEmpty={d?.log.curves.length === 0}
          evaluations={d?.evaluations ?? []}
        />
      ))}
      {reportFailure.value && <Problem {...reportFailure.value} />}
    </>
  );
}

function RunDetail({
  run,
  color,
  damaged,
  isEmpty,
  evaluations,
}: {
  run: RunSummary;
  color: number;
  damaged: number;
  isEmpty: boolean;
  evaluations: readonly RunEvaluation[];
}) {
  const { id, name, best, last, epochs, isTraining, hasCheckpoint, reports } = run;
  const facts: [string, string][] = [
    ["State", isTraining ? "training now" : "not running"],
    ["Epochs", String(epochs)],
    ["Best mIoU", best?.toFixed(3) ?? "not validated"],
    ["Last mIoU", last?.toFixed(3) ?? "not validated"],
  ];
  return (
    <section class={`run-detail series-${color}`} aria-label={name}>
      <h2>{name}</h2>
      <dl class="facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {isEmpty && <p class="note">The log has no line yet.</p>}
      {damaged > 0 && (
        <p class="note">
          {damaged === 1 ? "1 line" : `${damaged} lines`} of metrics.jsonl cannot be read and are left out.
        </p>
      )}
      <div class="run">
        {hasCheckpoint && (
          <button type="button" class="button" onClick={() => useModel(id, name)}>
            Use this model
          </button>
        )}
        {name.startsWith("studio/") && (
          <button type="button" class="button" onClick={() => show(id)}>
            Fine-tuning …
          </button>
        )}
        {reports.map((file) => (
          <button key={file} type="button" class="button" onClick={() => openReport(run, file)}>
            Report{file === "report.html" ? "" : ` of ${file.replace(/\/report\.html$/, "")}`}
          </button>
        ))}
      </div>
      {evaluations.map((evaluation) => (
        <Worst key={evaluation.name} {...evaluation} />
      ))}
    </section>
  );
}

function Worst({ name, split, clips, miou, fscore, worst }: RunEvaluation) {
  return (
    <details class="worst">
      <summary>
        {name || "evaluation"}: mIoU {miou.toFixed(3)}, F-score {fscore.toFixed(3)} on {clips} clips ({split}
        ). Worst clips
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Clip</th>
            <th scope="col">Category</th>
            <th scope="col">mIoU</th>
            <th scope="col">F-score</th>
          </tr>
        </thead>
        <tbody>
          {worst.map((clip) => (
            <tr key={`${clip.category}/${clip.id}`}>
              <th scope="row">{clip.id}</th>
              <td>{clip.category}</td>
              <td>{clip.miou.toFixed(3)}</td>
              <td>{clip.fscore?.toFixed(3) ?? "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

async function useModel(run: string, name: string): Promise<void> {
  page.value = "videos";
  await openModel({ kind: "run", run }, name);
}

async function openReport({ id, name }: RunSummary, file: string): Promise<void> {
  try {
    report.value = { title: `${name}, ${file}`, html: await runReport(id, file) };
    reportFailure.value = undefined;
  } catch (error) {
    reportFailure.value = failureOf(error);
  }
}

/** A report in a frame without scripts and without this page's origin. */
function Report({ title, html }: { title: string; html: string }) {
  return (
    <>
      <div class="row">
        <h1 class="report-title">{title}</h1>
        <button type="button" class="button" onClick={() => (report.value = undefined)}>
          Back to the curves
        </button>
      </div>
      <iframe class="report" title={title} sandbox="" srcdoc={html} />
    </>
  );
}
