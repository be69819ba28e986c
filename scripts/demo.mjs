/** `npm run demo [-- my.mp4]`: sets up what is missing and runs `avseg demo`. */
import path from "node:path";
import { root, run, setUp } from "./setup.mjs";

setUp();
run(process.execPath, [path.join(root, "dist", "src", "cli", "main.js"), "demo", ...process.argv.slice(2)]);
