#!/usr/bin/env node
/** `avseg`, the command line: each command is a file of its own beside this one. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { packagePath } from "../node/paths.js";
import { runProgram } from "./run.js";

const manifest: unknown = JSON.parse(readFileSync(packagePath("package.json"), "utf8"));
const version =
  typeof manifest === "object" && manifest && "version" in manifest ? String(manifest.version) : "?";

/** The commands, in the order of the help. Each is loaded only where it is needed: all of them take half a second. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  train: async () => (await import("./train.js")).trainCommand(),
  eval: async () => (await import("./eval.js")).evalCommand(),
  compare: async () => (await import("./compare.js")).compareCommand(),
  export: async () => (await import("./export.js")).exportCommand(),
  segment: async () => (await import("./segment.js")).segmentCommand(),
  studio: async () => (await import("./studio.js")).studioCommand(),
  archive: async () => (await import("./archive.js")).archiveCommand(),
  data: async () => (await import("./data.js")).dataCommand(),
  models: async () => (await import("./models.js")).modelsCommand(),
  weights: async () => (await import("./weights.js")).weightsCommand(),
  cache: async () => (await import("./cache.js")).cacheCommand(),
  demo: async () => (await import("./demo.js")).demoCommand(),
};

/** The named command alone, or, for the help and for a name that does not exist, all of them. */
function neededCommands(name = ""): Promise<Command[]> {
  const named = Object.hasOwn(commands, name) ? commands[name] : undefined;
  return Promise.all((named ? [named] : Object.values(commands)).map((load) => load()));
}

const program = new Command("avseg")
  .description("mark the pixels of whatever is making the sound: train, evaluate, segment")
  .version(version, "-V, --version", "print the version")
  .helpOption("-h, --help", "show this help")
  .addHelpText(
    "after",
    "\nExamples:\n  avseg data synth s4 --out data\n  avseg train s4 config/s4/pvt2.yaml\n  avseg train --help",
  );
for (const command of await neededCommands(process.argv[2])) program.addCommand(command);

await runProgram(program, process.argv);
