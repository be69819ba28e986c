/** Where Chromium, in which the tests of browsers run, is installed. */
import { existsSync } from "node:fs";

const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
];

/** The program of Chromium, or of Chrome: `CHROME_PATH`, else one of the usual places; `undefined` when it is missing. */
export function chromiumPath(): string | undefined {
  return [process.env.CHROME_PATH ?? "", ...places].find((place) => place !== "" && existsSync(place));
}
