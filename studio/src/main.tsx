/** Starts the app with the small model and, where nothing else was opened, the example. */
import { render } from "preact";
import { App } from "./app";
import { openModel, smallModelName } from "./state/engine";
import { openExample } from "./state/example";
import { inspection } from "./state/inspect";
import { openServerFiles } from "./state/server";
import "./style/tokens.css";
import "./style/base.css";
import "./style/layout.css";
import "./style/player.css";

const root = document.getElementById("app");
if (!root) throw new Error("the page has no element #app");
render(<App />, root);
Object.assign(window, { avsegStudio: inspection });
void openModel({ kind: "small" }, smallModelName);
const hasFiles = await openServerFiles();
if (!hasFiles && !new URLSearchParams(location.search).has("empty")) await openExample();
