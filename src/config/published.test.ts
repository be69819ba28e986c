import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { type PublishedEncoder, publishedConfig } from "../../test/published-configs.js";
import { root } from "../../test/support.js";
import { ConfigError } from "../errors.js";
import { loadConfig } from "./load.js";
import { visualSettings } from "./model-from-config.js";
import { parsePublishedConfig } from "./published.js";
import { parsePythonLiterals } from "./python-literal.js";
import { checkConfig } from "./validate.js";

const s4 = `# visual: PVTv2-B5
discribe = 'temporal fusion, ' "five queries"
model = dict(
    type='AVS_Model',
    backbone=dict(type='pvt_v2_b5', init_weights_path='pretrained/pvt_v2_b5.pth'),
    vggish=dict(
        freeze_audio_extractor=True,
        pretrained_vggish_model_path='pretrained/vggish-10086976.pth',
        preprocess_audio_to_log_mel=False,
        postprocess_log_mel_with_pca=False,
        pretrained_pca_params_path=None),
    bridger=dict(type='Fusers', nhead=8, t=5, num_queries=5, drop_out=0.2, feature_channel=[64, 128, 320, 512]),
    head=dict(type='RefFormerHead', scale_factors=[8, 4, 2, 1], d_models=[64, 128, 320, 512], nhead=8,
              pos_emb=None, dropout=.1, conv_dim=256, mask_dim=1, use_bias=False, interpolate_scale=4))
dataset = dict(
    train=dict(type='S4Dataset', split='train', anno_csv='data/Single-source/s4_meta_data.csv',
               img_size=(224, 224), batch_size=4),
    val=dict(type='S4Dataset', split='test', batch_size=4),
    test=dict(type='S4Dataset', split='test', batch_size=4))
optimizer = dict(type='AdamW', lr=6e-5)
loss = dict(weight_dict=dict(iou_loss=1.0, mask_loss=0.0), loss_type='dice')
process = dict(num_works=8, train_epochs=30, freeze_epochs=-1, unheard_of=1)
`;

test("a published S4 file translates to the published recipe", () => {
  const { source, warnings, selectsOnTest } = parsePublishedConfig(s4, "s4.py");
  const config = checkConfig(source);
  assert.equal(config.task, "s4");
  assert.equal(config.description, "temporal fusion, five queries");
  assert.equal(config.model.visual.kind, "pvt-v2-b5");
  assert.equal(config.model.visual.weights, "pretrained/pvt_v2_b5.pth");
  assert.equal(config.model.visual.freezeEpochs, -1);
  assert.equal(config.model.audio.train, false);
  assert.equal(config.model.messenger.dropout, 0.2);
  assert.equal(config.model.decoder.dropout, 0.1);
  assert.equal(config.model.decoder.project, false);
  assert.deepEqual(config.training.losses, {
    dice: 1,
    focal: 0,
    bce: 0,
    crossEntropy: 0,
    matching: 0,
    mix: 0,
    concepts: 0,
  });
  assert.equal(config.training.optimizer.learningRate, 6e-5);
  assert.equal(config.data.root, "data/Single-source");
  assert.equal(config.data.workers, 8);
  assert.equal(config.training.valSplit, "val");
  assert.equal(selectsOnTest, true);
  assert.deepEqual(warnings, ["process.unheard_of is ignored: it has no meaning here"]);
});

test("an MS3 file with ResNet-50 and channel attention", () => {
  const ms3 = s4
    .replaceAll("S4Dataset", "MS3Dataset")
    .replace("pvt_v2_b5'", "res50'")
    .replace("'RefFormerHead'", "'RefFormerHead_res50_CHA'")
    .replace("mask_loss=0.0", "mask_loss=0.5");
  const config = checkConfig(parsePublishedConfig(ms3, "ms3.py").source);
  assert.equal(config.task, "ms3");
  assert.equal(config.model.visual.kind, "resnet50");
  assert.deepEqual([config.model.decoder.project, config.model.decoder.channel], [true, true]);
  assert.equal(config.training.losses.bce, 0.5);
});

const encoderWarning =
  'the name says ResNet-50, the backbone is "pvt_v2_b5", as published; using the backbone';
for (const task of ["s4", "ms3", "avss"] as const) {
  for (const encoder of ["pvt2", "res50"] as const) {
    test(`the published file of ${task} with ${encoder} means config/${task}/${encoder}.yaml`, async () => {
      const name = `ETAVS_${encoder}_${task}.py`;
      const { source, warnings, selectsOnTest } = parsePublishedConfig(publishedConfig(task, encoder), name);
      // The AVSS file for ResNet-50 in fact builds PVTv2.
      const meant: PublishedEncoder = task === "avss" ? "pvt2" : encoder;
      const { config } = await loadConfig(path.join(root, "config", task, `${meant}.yaml`));
      // PyTorch's default decay of AdamW is written out in ours.
      delete config.training.optimizer.weightDecay;
      assert.deepEqual(checkConfig(source), {
        ...config,
        description: `ETAVS_${encoder}_${task.toUpperCase()}`,
        // Ours leaves the number of classes to the dataset.
        model: { ...config.model, classes: task === "avss" ? 71 : null },
        data: { ...config.data, workers: 8, testBatchSize: config.data.testBatchSize ?? 4 },
      });
      assert.deepEqual(warnings, meant === encoder ? [] : [encoderWarning]);
      assert.equal(selectsOnTest, task === "s4");
    });
  }
}

test("optional settings of published files", () => {
  const read = (text: string) => checkConfig(parsePublishedConfig(text, "x.py").source);
  const s4 = publishedConfig("s4", "pvt2");
  const adapted = read(s4.replace("type='pvt_v2_b5'", "type='pvt_v2_lora'")).model.visual;
  assert.equal(adapted.kind, "pvt-v2-b5");
  assert.equal(visualSettings(adapted).settings.loraRank, 32);
  assert.equal(
    read(s4.replace("visual_backbone=True", "visual_backbone=False")).model.visual.freezeEpochs,
    0,
  );
  assert.equal(read(s4.replace("freeze_epochs=-1", "freeze_epochs=4")).model.visual.freezeEpochs, 4);
  // The weight that the files call focal is of each task's own per-pixel loss.
  const weigh = (task: "s4" | "ms3" | "avss") =>
    read(publishedConfig(task, "pvt2").replace(/focal_loss=[\d.]+/, "focal_loss=0.25")).training.losses;
  assert.deepEqual(weigh("s4"), {
    dice: 1,
    focal: 0.25,
    bce: 0,
    crossEntropy: 0,
    matching: 0,
    mix: 0,
    concepts: 0,
  });
  assert.deepEqual(weigh("ms3"), {
    dice: 1,
    focal: 0,
    bce: 0.25,
    crossEntropy: 0,
    matching: 0,
    mix: 0,
    concepts: 0,
  });
  assert.deepEqual(weigh("avss"), {
    dice: 0,
    focal: 0,
    bce: 0,
    crossEntropy: 0.25,
    matching: 0,
    mix: 0,
    concepts: 0,
  });
});

test("a wrong value is reported on its line", () => {
  assert.throws(
    () => checkConfig(parsePublishedConfig(s4.replace("lr=6e-5", "lr='fast'"), "s4.py").source),
    new ConfigError(
      'training.optimizer.learningRate: expected a positive number, found "fast" (s4.py line 20)',
    ),
  );
});

test("only literals are read; everything else is refused with its line", () => {
  const hostile: [string, RegExp][] = [
    ["a = 1\nimport os", /x\.py line 2: expected NAME = VALUE, found import/],
    ["a = __import__('os').system('id')", /line 1: expected a literal or dict\(\.\.\.\), found __import__/],
    ["a = dict(b=open('/etc/passwd'))", /line 1: .* found open/],
    ["a = 2 ** 9999999999", /line 1: expected the end of the line, found \*/],
    ["a = [x for x in y]", /line 1: .* found x/],
    ["a = f'{1}'", /line 1: .* found f/],
    ["a = dict(**b)", /line 1: expected key=value inside dict\(\.\.\.\), found \*/],
    ["a.b = 1", /line 1: expected NAME = VALUE/],
    ["a = dict(\n  b=1,\n  b=2)", /line 3: expected each key once, found b/],
    ["a = 'open", /line 1: the string is not closed/],
    ["a = (1, 2", /found the end of the file/],
    [`a = ${"[".repeat(60)}`, /nested deeper than 50 levels/],
    ["a = 1; b = 2", /line 1: expected the end of the line/],
    ["a = 'x' % 3", /line 1: expected the end of the line/],
    ["a = 1x", /line 1: expected a value, found 1x/],
    ["a = 1.2.3", /line 1: expected a value, found 1\.2\.3/],
  ];
  for (const [text, expected] of hostile)
    assert.throws(() => parsePythonLiterals(text, "x.py"), expected, text);
});

test("malformed numbers of any length are refused quickly", () => {
  const expected = /x\.py line 1: expected a value, found 1{40}$/;
  assert.throws(() => parsePythonLiterals(`x = ${"1".repeat(900_000)}a`, "x.py"), expected);
  assert.throws(() => parsePythonLiterals(`x = ${"1e+".repeat(300_000)}`, "x.py"), ConfigError);
  assert.throws(() => parsePythonLiterals(`x = ${"a".repeat(900_000)}`, "x.py"), ConfigError);
});

test("the data's root is the table's folder, however long its path", () => {
  const rootOf = (csv: string): string =>
    checkConfig(parsePublishedConfig(withTable(csv), "s4.py").source).data.root;
  const withTable = (csv: string): string => s4.replace("data/Single-source/s4_meta_data.csv", csv);
  assert.equal(rootOf("a//b///c.csv"), "a//b");
  assert.equal(rootOf("c.csv"), ".");
  assert.equal(rootOf("a/"), "a");
  assert.equal(rootOf(`${"/".repeat(900_000)}.csv`), ".");
  assert.equal(rootOf(`${"/".repeat(900_000)}a/b.csv`).length, 900_001);
});

test("literals keep their values", () => {
  const text = `"""A docstring
over two lines."""
a = {'b': [1, -2.5e-3, 0x10, 1_000,], "c": (True, None), 'd': (5), 'e': ('x' 'y',)}  # comment
f = r'\\d' \\
    '\\n\\'q'
`;
  const { entries } = parsePythonLiterals(text, "x.py");
  const plain = JSON.stringify([...entries], (_key, value: unknown) =>
    value instanceof Map ? [...value] : value,
  );
  const scalars = [...plain.matchAll(/"value":("(?:[^"\\]|\\.)*"|[^}]*)\}/g)].map((m) =>
    JSON.parse(m[1] ?? ""),
  );
  assert.deepEqual(scalars, [1, -0.0025, 16, 1000, true, null, 5, "xy", "\\d\n'q"]);
  assert.equal(entries.get("f")?.line, 4);
});
