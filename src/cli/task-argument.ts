/** The argument that names a setting of AVSBench. */
import { Argument } from "commander";
import { tasks } from "../models/base-config.js";

/** The argument that names a setting of AVSBench. */
export const taskArgument = (): Argument => new Argument("<task>", "the setting of AVSBench").choices(tasks);
