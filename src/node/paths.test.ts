import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { OutputError } from "../errors.js";
import { ownOrShipped, packagePath, safeJoin } from "./paths.js";

test("files of the package are found from any folder, and own files come first", () => {
  const shipped = path.join("config", "s4", "pvt2.yaml");
  assert.ok(existsSync(packagePath(shipped)));
  const found = ownOrShipped(shipped);
  assert.ok(found === shipped || found === packagePath(shipped));
  assert.equal(ownOrShipped(import.meta.filename), import.meta.filename);
  assert.equal(ownOrShipped("config/absent.yaml"), undefined);
});

test("safeJoin keeps names inside the folder", () => {
  assert.equal(safeJoin("out", "cat", "v1", "v1_0.png"), path.join("out", "cat", "v1", "v1_0.png"));
  assert.equal(safeJoin("out", "..name"), path.join("out", "..name"));
  // A leading slash is taken as a name below the folder.
  assert.equal(safeJoin("out", "/etc/passwd"), path.join("out", "etc", "passwd"));
  for (const bad of [["..", "x"], ["a/../../x"], [".."], ["."], ["a\0b"]]) {
    assert.throws(() => safeJoin("out", ...bad), OutputError, bad.join("/"));
  }
});
