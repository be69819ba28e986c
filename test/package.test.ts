/** The package as users get it: packed from a fresh copy of the repository, installed into an empty folder, and run. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import { z } from "zod";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { publishedWeights } from "../src/weights/public/registry.js";
import { folderView, imitateHosts } from "./hosts.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";
import { seededWeights, tinyS4 } from "./tiny-models.js";
import { torchFile } from "./torch-file.js";

const manifest = z.object({
  bin: z.record(z.string(), z.string()),
  types: z.string(),
  exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
});

const dir = await tempDir({ after });
let copy = "";
before(async () => {
  copy = path.join(dir, "repository");
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], root);
  for (const name of listed.stdout.split("\0")) {
    if (name !== "" && existsSync(path.join(root, name))) {
      cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
    }
  }
});

/** Runs a program as a user would, whose own npm settings turn scripts off. */
async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
) {
  const settings = path.join(dir, "user-npmrc");
  const personal = path.join(homedir(), ".npmrc");
  const own = existsSync(personal) ? readFileSync(personal, "utf8") : "";
  writeFileSync(settings, `${own}\nignore-scripts=true\n`);
  // What `npm test` sets for its own scripts is not what a user's shell has.
  const clean = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const child = spawn(command, args, {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...Object.fromEntries(clean), NPM_CONFIG_USERCONFIG: settings, ...env },
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (piece: Buffer) => {
    stdout += String(piece);
  });
  child.stderr.on("data", (piece: Buffer) => {
    stderr += String(piece);
  });
  const [status] = await once(child, "close");
  return { status, stdout, stderr };
}

const tarballs = (): string[] => readdirSync(copy).filter((name) => name.endsWith(".tgz"));

test("where the code cannot be built, nothing is packed or published", async () => {
  assert.ok(!existsSync(path.join(copy, "node_modules")) && !existsSync(path.join(copy, "dist")));
  for (const args of [["pack"], ["publish", "--dry-run"]]) {
    const { status, stderr } = await run("npm", args, copy, { PATH: pathWithout("tsc") });
    assert.notEqual(status, 0, args.join(" "));
    assert.match(stderr, /tsc/);
    assert.deepEqual(tarballs(), []);
  }
});

/** The search path without folders that hold `program`, e.g. the `node_modules/.bin` that npm adds. */
function pathWithout(program: string): string {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return folders.filter((folder) => !existsSync(path.join(folder, program))).join(path.delimiter);
}

test("a plain `npm pack` of a fresh copy is complete: it installs into an empty folder and runs the README's example", async (t) => {
  symlinkSync(path.join(root, "node_modules"), path.join(copy, "node_modules"), "dir");
  const packing = await run("npm", ["pack"], copy);
  assert.equal(packing.status, 0, packing.stderr);
  const [tarball = "", ...others] = tarballs();
  assert.deepEqual(others, []);
  assert.ok(statSync(path.join(copy, tarball)).size < 60e6);

  const user = path.join(dir, "user");
  mkdirSync(user);
  const readme = readFileSync(path.join(root, "README.md"), "utf8");
  const [, variable = "", value = ""] = /`(\w+)=(\w+) npm install avseg`/.exec(readme) ?? [];
  assert.ok(variable, "the README says how to install avseg");
  const install = ["install", "--prefer-offline", path.join(copy, tarball)];
  const installing = await run("npm", install, user, {
    [variable]: value,
    npm_config_ignore_scripts: "false",
  });
  if (/EAI_AGAIN|ENOTFOUND|ECONNREFUSED/.test(installing.stderr) && !/nuget/.test(installing.stderr)) {
    return t.skip("the npm registry cannot be reached");
  }
  assert.equal(installing.status, 0, installing.stderr);
  const installed = path.join(user, "node_modules", "avseg");
  const names = new Set(
    readdirSync(installed, { recursive: true, encoding: "utf8" }).map((name) =>
      name.split(path.sep).join("/"),
    ),
  );
  checkContents(names);

  await writeClipVideo(
    { task: "s4", split: "test", index: 0, seed: 1, imageSize: 64 },
    path.join(user, "my.mp4"),
  );
  const code = /```ts\n([^`]*from "avseg"[^`]*)```/.exec(readme)?.[1];
  assert.ok(code, "the README has an example");
  writeFileSync(path.join(user, "example.mjs"), code);
  // Its model comes from an imitation of its authors' Drive: the published keys, with narrow layers.
  const hosts = await imitateHosts(t);
  const { origin } = publishedWeights("seavs-s4");
  assert.ok(origin.host === "drive-folder");
  hosts.folders.set(origin.id, { view: folderView([{ id: "s4", name: "S4_pvt.pth" }]) });
  hosts.content.set("s4", torchFile(seededWeights(tinyS4)));
  hosts.warned.set("s4", "form");
  const cache = { ...hosts.env, AVSEG_CACHE: path.join(user, "cache") };
  const example = await run(process.execPath, ["example.mjs"], user, cache);
  assert.equal(example.status, 0, example.stderr);
  assert.equal(example.stdout.match(/^\d\.\d\d \[/gm)?.length, 5, example.stdout);
  const [, line = ""] = /^npx (avseg segment my\.mp4 .*--yes)$/m.exec(readme) ?? [];
  const [name = "", ...args] = line.split(" ");
  const command = path.join(user, "node_modules", ".bin", name);
  const segmenting = await run(command, args, user, { ...hosts.env, AVSEG_CACHE: path.join(user, "new") });
  assert.equal(segmenting.status, 0, segmenting.stderr);
  assert.match(segmenting.stdout, /model: S4 model, 224x224, from seavs-s4\.pth/);
  assert.ok(existsSync(path.join(user, "segments", "my", "overlay.mp4")));
});

function checkContents(names: ReadonlySet<string>): void {
  const { bin, types, exports } = manifest.parse(
    JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")),
  );
  const targets = [
    types,
    ...Object.values(bin),
    ...Object.values(exports).flatMap((e) => (typeof e === "string" ? [e] : Object.values(e))),
    // Workers are started by their paths, which no export names.
    "dist/src/runtime/node/worker.js",
    "dist/src/runtime/web/worker.js",
    "dist/src/datasets/loader-worker.js",
    "dist/studio/index.html",
  ].map((target) => path.posix.normalize(target));
  const missing = targets.filter((target) => !names.has(target));
  assert.deepEqual(missing, []);
  const foreign = [...names].filter(
    (name) => !/^(dist|assets|config|docs|examples)(\/|$)|^[A-Z]+(\.md)?$|^package\.json$/.test(name),
  );
  assert.deepEqual(foreign, []);
  const superfluous = [...names].filter((name) =>
    /\.test\.|\.map$|\.tsbuildinfo$|^docs\/api\/|^dist\/(?!bin|src|studio(?:$|\/(?!model)))/.test(name),
  );
  assert.deepEqual(superfluous, []);
}
