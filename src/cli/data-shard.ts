/** `avseg data shard`: a dataset as tar files, for disks and servers that many processes read. */
import { Command } from "commander";
import type { Task } from "../datasets/clip.js";
import { writeShards } from "../datasets/shards/write.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { createProgress, formatBytes } from "./progress.js";
import { interruptSignal, warn } from "./run.js";
import { taskArgument } from "./task-argument.js";

interface ShardCommandOptions {
  readonly out: string;
  readonly clips: number;
}

/** The `shard` command. */
export function shardCommand(): Command {
  return new Command("shard")
    .description("pack a dataset into tar files, which are read from a disk or over HTTP")
    .addArgument(taskArgument())
    .argument("<root>", "root of AVSBench, or the task's folder")
    .requiredOption("--out <dir>", "folder to write the task's folder into")
    .option("--clips <n>", "clips per tar file", integer(1, 1_000_000), 256)
    .addHelpText(
      "after",
      `
Examples:
  avseg data shard s4 data/AVSBench --out data/shards
  avseg train s4 config/s4/pvt2.yaml --set data.root=data/shards
  avseg train s4 config/s4/pvt2.yaml --set data.root=https://data.example.org/shards

The clips keep their order and their bits. The files follow the conventions of WebDataset.`,
    )
    .action(async (task: Task, root: string, { out, clips: clipsPerShard }: ShardCommandOptions) => {
      const signal = interruptSignal("The shards are incomplete; the same command writes them again.");
      let progress: ReturnType<typeof createProgress> | undefined;
      const { folder, shards, clips, bytes } = await writeShards({
        ...{ task, root, out, clipsPerShard, signal },
        onWarning: warn,
        onProgress: ({ done, total }) => {
          progress ??= createProgress("packing", total, { unit: "clips" });
          progress.update(done);
        },
      });
      progress?.done();
      print(`${folder}: ${clips} clips in ${shards} tar files, ${formatBytes(bytes)}`);
    });
}
