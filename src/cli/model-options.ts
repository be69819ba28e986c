/** Options that name a model and say how it runs. Apart from what they choose, which takes long to load. */
import { Option } from "commander";
import { providerChoices } from "../runtime/providers.js";

/** The `--model` option. */
export function modelNameOption(): Option {
  return new Option("--model <name>", "a public trained model by name, as `avseg models` lists them");
}

/** The `--yes` option of commands with `--model`. */
export function yesOption(): Option {
  return new Option("-y, --yes", "download the model without asking");
}

/** The `--audio-encoder` option of commands that open a checkpoint. */
export function audioEncoderOption(): Option {
  return new Option("--audio-encoder <file>", "VGGish, where the checkpoint has no audio encoder (TPAVI)");
}

/** The `--provider` option of commands that run a model. */
export function providerOption(choices: readonly string[] = providerChoices): Option {
  const auto = choices.includes("auto") ? "; auto measures once which is fastest here" : "";
  return new Option("--provider <name>", `what runs the model${auto}`).choices(choices);
}

/** The `--no-cache` option of commands that open a model. */
export function noCacheOption(): Option {
  return new Option("--no-cache", "open the model anew, and keep no opened form of it (see `avseg cache`)");
}
