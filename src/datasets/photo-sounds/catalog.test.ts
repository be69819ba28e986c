import assert from "node:assert/strict";
import test from "node:test";
import {
  classNames,
  type Origin,
  packagesOf,
  readCatalog,
  type Source,
  soundingClasses,
  sourceId,
} from "./catalog.js";
import { readOutlines } from "./pictures.js";

const catalog = await readCatalog();
const of = (sources: readonly Source[], side: string, name: string): string[] =>
  sources.filter((source) => source.side === side && source.class === name).map((source) => source.package);

test("no file is on two sides", () => {
  const all: readonly Origin[] = [
    ...catalog.pictures,
    ...catalog.recordings,
    ...catalog.ambiences,
    ...catalog.backgrounds,
  ];
  const ids = all.map(sourceId);
  assert.deepEqual(
    ids.filter((id, i) => ids.indexOf(id) !== i),
    [],
  );
});

test("nothing that is marked non-free is used", () => {
  const files = [...catalog.recordings, ...catalog.ambiences].map((sound) => sound.file);
  assert.deepEqual(
    files.filter((file) => /firetruck|drum_kit/.test(file)),
    [],
  );
});

test("test classes are trained on, with pictures and recordings of other packages", () => {
  const trained = soundingClasses(catalog, "train");
  const tested = soundingClasses(catalog, "test");
  assert.ok(tested.length >= 15, `${tested.length} classes`);
  // The exceptions that docs/guides/photo-sounds.md names: other photographs, people and authors of one package.
  const samePictures = new Set(["cat", "guitar", "person"]);
  const sameRecordings = new Set(["airplane", "bus"]);
  for (const name of tested) {
    assert.ok(trained.includes(name), name);
    const shared = (sources: readonly Source[]): string[] =>
      of(sources, "test", name).filter((from) => of(sources, "train", name).includes(from));
    if (!samePictures.has(name)) assert.deepEqual(shared(catalog.pictures), [], `pictures of ${name}`);
    if (!sameRecordings.has(name)) assert.deepEqual(shared(catalog.recordings), [], `recordings of ${name}`);
  }
});

test("unseen classes are neither seen nor heard in training", () => {
  for (const name of soundingClasses(catalog, "unseen")) {
    assert.deepEqual(of(catalog.pictures, "train", name), [], name);
    assert.deepEqual(of(catalog.recordings, "train", name), [], name);
  }
});

test("class names are unique and start with the background", () => {
  const names = classNames(catalog);
  assert.equal(names[0], "background");
  assert.equal(new Set(names).size, names.length);
});

test("test clips need fewer packages than training clips", () => {
  assert.deepEqual(packagesOf(catalog, ["test", "unseen"]).sort(), [
    "gcompris",
    "opensfx",
    "scratch",
    "tuxpaint",
  ]);
  assert.ok(packagesOf(catalog, ["train"]).includes("qabcs"));
});

test("photographs without transparency have outlines", async () => {
  const outlines = await readOutlines();
  for (const { package: name, file } of catalog.pictures) {
    assert.equal(file in outlines, ["gcompris", "plasma", "gnome"].includes(name), file);
  }
});
