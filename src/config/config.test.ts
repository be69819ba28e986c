import assert from "node:assert/strict";
import test from "node:test";
import { ConfigError } from "../errors.js";
import { checkConfig, configFromObject } from "./validate.js";
import { parseYamlConfig, withAssignments } from "./yaml.js";

const read = (text: string, ...set: string[]) =>
  checkConfig(withAssignments(parseYamlConfig(text, "x.yaml"), set));

function message(text: string, ...set: string[]): string {
  try {
    read(text, ...set);
  } catch (error) {
    if (error instanceof ConfigError) return error.hint ? `${error.message} | ${error.hint}` : error.message;
    throw error;
  }
  return "accepted";
}

test("the task alone gives the published recipe", () => {
  const s4 = read("task: s4");
  assert.equal(s4.training.epochs, 30);
  assert.deepEqual(s4.training.losses, {
    dice: 1,
    focal: 0,
    bce: 0,
    crossEntropy: 0,
    matching: 0,
    mix: 0,
    concepts: 0,
  });
  assert.equal(s4.training.optimizer.learningRate, 6e-5);
  assert.equal(s4.training.valSplit, "val");
  assert.equal(s4.model.decoder.project, false);
  assert.equal(read("task: ms3").training.losses.bce, 1);
  assert.equal(read("task: ms3\nmodel: {visual: {kind: resnet50}}").training.losses.bce, 0);
  const avss = read("task: avss\nmodel: {visual: {kind: resnet50}}");
  assert.equal(avss.training.evaluateFrom, 10);
  assert.equal(avss.data.frameCount, 10);
  assert.equal(avss.model.decoder.project, true);
});

test("given losses replace those of the task", () => {
  assert.equal(read("task: ms3\ntraining: {losses: {dice: 2}}").training.losses.bce, 0);
});

test("errors name the key, what was found and the line", () => {
  assert.equal(
    message("task: s4\ntraining:\n  optimizer:\n    learningRate: abc"),
    'training.optimizer.learningRate: expected a positive number, found "abc" (x.yaml line 4)',
  );
  assert.equal(message("training: {}"), "task: expected one of s4, ms3, avss, found nothing (x.yaml)");
  assert.equal(
    message("task: s4\ndata:\n  imageSize: 225"),
    "data.imageSize: expected a multiple of 32, 32 to 4096, found 225 (x.yaml line 3)",
  );
  assert.equal(
    message("task: s4\ntraining: 3"),
    "training: expected a section of keys, found 3 (x.yaml line 2)",
  );
  assert.equal(
    message("task: s4\nmodel:\n  visual:\n    kind: pvt-v2-b9"),
    'model.visual.kind: expected one of pvt-v2-b0, pvt-v2-b1, pvt-v2-b2, pvt-v2-b3, pvt-v2-b4, pvt-v2-b5, pvt-v2, resnet50, efficientnet-lite, efficientnet-lite0, efficientnet-lite1, efficientnet-lite2, efficientnet-lite3, efficientnet-lite4, found "pvt-v2-b9" (x.yaml line 4) | Did you mean pvt-v2-b0?',
  );
});

test("unknown keys are refused with the nearest known one", () => {
  assert.equal(
    message("task: s4\ndata:\n  batchsize: 3"),
    "unknown key data.batchsize (x.yaml line 3) | Did you mean data.batchSize?",
  );
  assert.match(message("task: s4\nruntime: {zzzzzzzz: 1}"), /Known keys here: provider, threads\./);
});

test("a complete configuration, with the sections of all kinds, is read again as it is", () => {
  for (const text of [
    "task: s4",
    "task: ms3\nmodel: {kind: tpavi, visual: {kind: resnet50}}",
    "task: ms3\nmodel: {kind: selm}",
  ]) {
    const complete = read(text);
    assert.deepEqual(configFromObject(JSON.parse(JSON.stringify(complete))), complete);
  }
});

test("the complete model of a run is read in every other setting, as fine-tuning takes it", () => {
  for (const text of [
    "task: s4",
    "task: ms3\nmodel: {kind: tpavi}",
    "task: avss\nmodel: {visual: {kind: resnet50}}",
  ]) {
    const { model } = read(text);
    for (const task of ["s4", "ms3", "avss"]) {
      assert.equal(configFromObject({ task, model }).model.kind, model.kind, `${text} as ${task}`);
    }
  }
});

test("SelM has the published sizes of its task and encoder, and its section belongs to it", () => {
  const sizes = (task: string, kind: string) => {
    const { model, data } = read(`task: ${task}\nmodel: {kind: selm, visual: {kind: ${kind}}}`);
    return [data.imageSize, model.selm.enlargements, data.batchSize];
  };
  assert.deepEqual(sizes("s4", "pvt-v2-b5"), [448, 1, 2]);
  assert.deepEqual(sizes("s4", "resnet50"), [224, 2, 2]);
  assert.deepEqual(sizes("ms3", "pvt-v2-b5"), [448, 2, 2]);
  assert.deepEqual(sizes("ms3", "resnet50"), [448, 1, 2]);
  assert.deepEqual(sizes("avss", "pvt-v2-b5"), [224, 2, 2]);
  assert.match(
    message("task: s4\nmodel: {selm: {width: 64}}"),
    /model\.selm: belongs to models of kind selm, this one is of kind seavs/,
  );
  assert.match(
    message("task: s4\nmodel: {kind: selm, selm: {width: 40}}"),
    /model\.selm\.width: 40 is not a multiple of 32 groups/,
  );
});

test("a key of an earlier version is read under its present name", () => {
  const { schedule } = read("task: s4\ntraining: {schedule: {kind: cosine, finalShare: 0.25}}").training;
  assert.deepEqual(schedule, { kind: "cosine", warmupSteps: 0, finalFraction: 0.25 });
});

test("keys that do not go together are refused", () => {
  assert.match(
    message("task: s4\nmodel: {visual: {kind: pvt-v2}}"),
    /model\.visual\.dims: expected four integers from 1 to 4096, found nothing/,
  );
  assert.match(
    message("task: s4\nmodel: {visual: {dims: [8, 8, 8, 8]}}"),
    /model\.visual\.dims: does not apply to pvt-v2-b5/,
  );
  assert.match(
    message("task: s4\ntraining: {losses: {crossEntropy: 1}}"),
    /expected 0, as this loss does not apply to s4/,
  );
  assert.match(
    message("task: s4\ntraining: {losses: {dice: 0}}"),
    /expected at least one loss with a weight above 0/,
  );
  assert.match(message("task: s4\nmodel: {messenger: {frames: 4}}"), /not a multiple/);
});

test("--set overrides the file, reads YAML and is named in errors", () => {
  const config = read("task: s4\ndata: {batchSize: 2}", "data.batchSize=8", "model.visual.weights=null");
  assert.equal(config.data.batchSize, 8);
  assert.equal(config.model.visual.weights, null);
  assert.equal(
    message("task: s4", "training.epochs=0"),
    "training.epochs: expected an integer from 1 to 1000000000, found 0 (--set training.epochs=0)",
  );
  assert.match(message("task: s4", "training.epochs"), /expected KEY=VALUE/);
});

test("syntax errors have a line, and hostile files are harmless", () => {
  assert.match(message("task: s4\ndata: [1, 2\nx: }"), /\(x\.yaml line \d\)/);
  assert.match(message("task: s4\n__proto__: {polluted: 1}"), /unknown key __proto__/);
  assert.equal(Reflect.get({}, "polluted"), undefined);
  let laughs = "a0: &a0 [x, x]\n";
  for (let i = 1; i < 30; i++) laughs += `a${i}: &a${i} [*a${i - 1}, *a${i - 1}]\n`;
  assert.match(message(laughs), /x\.yaml: Excessive alias count/);
  assert.match(message("task: &a [*a]"), /x\.yaml: an alias refers to a value that contains it/);
  assert.match(
    message("task: s4", "data.root=&a [*a]"),
    /--set .*: an alias refers to a value that contains it/,
  );
  assert.match(message(`a: ${"[".repeat(100_000)}`), /nested too deeply \(x\.yaml line 1\)/);
  // Found by fuzzing: here the parser itself runs out of stack.
  assert.match(message(`a:\n  b: ${"4: ".repeat(10_000)}4\nx 6`), /nested too deeply \(x\.yaml\)/);
  assert.match(message("- task: s4"), /x\.yaml: expected lines of key: value, found a list/);
  assert.match(message("s4"), /x\.yaml: expected lines of key: value, found "s4"/);
});

test("other systems have their own published recipes and settings", () => {
  const tpavi = read("task: ms3\nmodel: {kind: tpavi}");
  assert.equal(tpavi.training.epochs, 30);
  assert.deepEqual(pickLosses(tpavi), { bce: 1, matching: 0.5 });
  assert.equal(tpavi.training.optimizer.kind, "adam");
  assert.equal(tpavi.model.visual.freezeEpochs, 0);
  const avsegformer = read("task: s4\nmodel: {kind: avsegformer}");
  assert.deepEqual(pickLosses(avsegformer), { dice: 1, mix: 0.1 });
  assert.equal(avsegformer.data.imageSize, 512);
  assert.equal(avsegformer.data.batchSize, 2);
  assert.equal(avsegformer.training.optimizer.learningRate, 2e-5);
  assert.equal(avsegformer.model.visual.freezeEpochs, 5);
  assert.equal(read("task: avss\nmodel: {kind: avsegformer}").data.imageSize, 224);
  // A part of the optimizer that is given leaves the rest as published.
  const slow = read("task: s4\nmodel: {kind: tpavi}\ntraining: {optimizer: {learningRate: 0.1}}");
  assert.equal(slow.training.optimizer.kind, "adam");
  assert.equal(
    message("task: s4\nmodel:\n  kind: tpavi\n  messenger: {queries: 3}"),
    "model.messenger: belongs to models of kind seavs, this one is of kind tpavi (x.yaml line 4)",
  );
  assert.match(message("task: s4\nmodel: {tpavi: {channels: 8}}"), /belongs to models of kind tpavi/);
  assert.match(message("task: s4\nmodel: {kind: tpavi, tpavi: {channels: 7}}"), /channels: 7 is an odd/);
  assert.match(message("task: s4\ntraining: {losses: {mix: 1}}"), /applies to models of kind avsegformer/);
  const matching = "training: {losses: {bce: 1, matching: 1}}";
  assert.match(message(`task: s4\nmodel: {kind: tpavi}\n${matching}`), /in the tasks ms3 and avss/);
});

function pickLosses({ training }: ReturnType<typeof read>): object {
  return Object.fromEntries(Object.entries(training.losses).filter(([, weight]) => weight > 0));
}
