#!/usr/bin/env node
/** `avseg`, the command line: each command is a file of its own beside this one. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { archiveCommand } from "./archive.js";
import { cacheCommand } from "./cache.js";
import { compareCommand } from "./compare.js";
import { dataCommand } from "./data.js";
import { demoCommand } from "./demo.js";
import { evalCommand } from "./eval.js";
import { exportCommand } from "./export.js";
import { modelsCommand } from "./models.js";
import { runProgram } from "./run.js";
import { segmentCommand } from "./segment.js";
import { studioCommand } from "./studio.js";
import { trainCommand } from "./train.js";
import { weightsCommand } from "./weights.js";

const manifest: unknown = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
const version =
  typeof manifest === "object" && manifest && "version" in manifest ? String(manifest.version) : "?";

const program = new Command("avseg")
  .description("Mark the pixels of whatever is making the sound: train, evaluate, segment.")
  .version(version, "-V, --version", "print the version")
  .helpOption("-h, --help", "show this help")
  .addHelpText(
    "after",
    "\nExamples:\n  avseg data synth s4 --out data\n  avseg train s4 config/s4/pvt2.yaml\n  avseg train --help",
  )
  .addCommand(trainCommand())
  .addCommand(evalCommand())
  .addCommand(compareCommand())
  .addCommand(exportCommand())
  .addCommand(segmentCommand())
  .addCommand(studioCommand())
  .addCommand(archiveCommand())
  .addCommand(dataCommand())
  .addCommand(modelsCommand())
  .addCommand(weightsCommand())
  .addCommand(cacheCommand())
  .addCommand(demoCommand());

await runProgram(program, process.argv);
