import assert from "node:assert/strict";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { findRun, listRuns, reportOf } from "./runs.js";

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

  const runs = (await listRuns(root)).sort((a, b) => a.name.localeCompare(b.name));
  assert.deepEqual(
    runs.map(({ name, hasReport, hasCheckpoint }) => ({ name, hasReport, hasCheckpoint })),
    [
      { name: "honest", hasReport: true, hasCheckpoint: false },
      { name: "linked", hasReport: false, hasCheckpoint: false },
      { name: "within", hasReport: true, hasCheckpoint: false },
    ],
  );
  const [honest, linked] = runs;
  assert.ok(honest && linked);
  assert.equal(await reportOf(await findRun(root, honest.id)), "report");
  await assert.rejects(reportOf(linked), /has no report/);
  await assert.rejects(findRun(root, Buffer.from("../..").toString("base64url")), /there is no such run/);
});
