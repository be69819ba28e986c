import assert from "node:assert/strict";
import test from "node:test";
import { type PvtName, pvtSizes, pvtV2, pvtV2Config } from "../../models/pvt-v2.js";
import { Scope } from "../../nn/scope.js";
import { pretrainedWeights } from "./registry.js";

test("every size of PVTv2 has the tensors by which its file is recognised, and no other size has them", () => {
  const names = Object.keys(pvtSizes) as PvtName[];
  const shapes = names.map((name) => {
    const scope = new Scope();
    pvtV2(scope, pvtV2Config(name));
    return scope.specs().map(({ shape }) => shape.join());
  });
  assert.equal(names.length, 6);
  for (const [i, name] of names.entries()) {
    const { marks } = pretrainedWeights(name.replaceAll("-", "_"));
    assert.ok(marks);
    const counts = shapes.map((all) => all.filter((shape) => shape === marks.shape.join()).length);
    assert.deepEqual(
      counts.map((count) => count === marks.count),
      names.map((_, j) => j === i),
      `${name}: ${counts}`,
    );
  }
});
