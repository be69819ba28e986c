import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { curvesOf } from "./curves.js";
import { RunsFolder } from "./runs.js";

test("files of a run that are links to the outside of the folder are not served", async (t) => {
  const dir = await tempDir(t);
  const [root, secret] = [path.join(dir, "runs"), path.join(dir, "secret.html")];
  await writeFile(secret, "secret");
  for (const name of ["honest", "linked", "within"]) {
    await mkdir(path.join(root, name), { recursive: true });
    await writeFile(path.join(root, name, "metrics.jsonl"), "");
  }
  await writeFile(path.join(root, "honest", "report.html"), "report");
  await symlink(secret, path.join(root, "linked", "report.html"));
  await symlink(secret, path.join(root, "linked", "best.safetensors"));
  await symlink(path.join(root, "honest", "report.html"), path.join(root, "within", "report.html"));
  await symlink(dir, path.join(root, "up"));

  const folder = new RunsFolder(root);
  const runs = (await folder.list()).sort((a, b) => a.name.localeCompare(b.name));
  assert.deepEqual(
    runs.map(({ name, reports, hasCheckpoint }) => ({ name, reports, hasCheckpoint })),
    [
      { name: "honest", reports: ["report.html"], hasCheckpoint: false },
      { name: "linked", reports: [], hasCheckpoint: false },
      { name: "within", reports: ["report.html"], hasCheckpoint: false },
    ],
  );
  const [honest, linked] = runs;
  assert.ok(honest && linked);
  assert.equal(await folder.report(await folder.find(honest.id), "report.html"), "report");
  await assert.rejects(folder.report(linked, "report.html"), /has no such report/);
  await assert.rejects(folder.report(honest, "../../secret.html"), /has no such report/);
  await assert.rejects(folder.find(Buffer.from("../..").toString("base64url")), /there is no such run/);
});

test("a damaged log gives the curves of its readable lines", async (t) => {
  const root = await tempDir(t);
  await writeFile(
    path.join(root, "metrics.jsonl"),
    [
      '{"kind":"step","step":1,"epoch":0,"loss":2}',
      "\u0000\u0000\u0000",
      '{"kind":"step","step":2,"epoch":0,"loss":null}',
      '{"kind":"epoch","step":2,"epoch":0,"loss":1.5,"validation":{"miou":0.25}}',
      "[1]",
      '{"kind":"epoch","step":4,"epoch":1,"loss":1,"validation":{"miou":0.125}}',
      '{"kind":"step","step":5,"lo',
    ].join("\n"),
  );
  const folder = new RunsFolder(root);
  const [run] = await folder.list();
  assert.ok(run);
  assert.deepEqual(
    { epochs: run.epochs, best: run.best, last: run.last },
    { epochs: 2, best: 0.25, last: 0.125 },
  );
  assert.deepEqual(await folder.log(run), {
    damaged: 2,
    curves: [
      { name: "step.loss", points: [[1, 2]], each: 1 },
      {
        name: "epoch.loss",
        points: [
          [2, 1.5],
          [4, 1],
        ],
        each: 1,
      },
      {
        name: "epoch.validation.miou",
        points: [
          [2, 0.25],
          [4, 0.125],
        ],
        each: 1,
      },
    ],
  });
});

test("a long log is thinned to means, and keeps its last step", () => {
  const lines = Array.from({ length: 5000 }, (_, i) => ({ kind: "step" as const, step: i + 1, loss: i % 2 }));
  const [curve] = curvesOf(lines);
  assert.ok(curve && curve.points.length <= 600 && curve.each === 9);
  assert.equal(curve.points.at(-1)?.[0], 5000);
  assert.ok(curve.points.every(([, value]) => Math.abs(value - 0.5) <= 0.1 + 1e-9));
});

test("evaluations list their worst clips first", async (t) => {
  const root = await tempDir(t);
  await mkdir(path.join(root, "run", "eval-test"), { recursive: true });
  await writeFile(path.join(root, "run", "metrics.jsonl"), "");
  const clip = (id: string, miou: number) => ({ id, category: "ring", miou, fscore: null });
  await writeFile(
    path.join(root, "run", "eval-test", "evaluation.json"),
    JSON.stringify({
      summary: { miou: 0.5, fscore: 0.75 },
      clips: [clip("good", 0.9), clip("bad", 0.1)],
      context: { split: "test" },
    }),
  );
  const folder = new RunsFolder(root);
  const [run] = await folder.list();
  assert.ok(run);
  assert.deepEqual(await folder.evaluations(run), [
    {
      ...{ name: "eval-test", split: "test", clips: 2, miou: 0.5, fscore: 0.75 },
      worst: [clip("bad", 0.1), clip("good", 0.9)],
    },
  ]);
});
