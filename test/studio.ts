/** The studio in headless Chromium, on its local server. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { type StudioOptions, type StudioServer, startStudio } from "../src/studio/node/server.js";
import { browserPath } from "./browser.js";
import { root } from "./support.js";

/** Why the studio's tests cannot run; false where they can. */
export const skipStudio =
  (browserPath === undefined && "Chromium is not installed") ||
  (!existsSync(path.join(root, "dist", "studio", "index.html")) &&
    "the app is not built (npm run studio:build)");

/** An opened studio. */
export interface OpenStudio {
  readonly server: StudioServer;
  readonly browser: Browser;
  readonly page: Page;
  /** Addresses that the page asked, other than the server's. */
  readonly foreign: readonly string[];
  /** Addresses of scripts that the page and its workers asked for. */
  readonly scripts: ReadonlySet<string>;
  /** Errors that the page did not catch. */
  readonly errors: readonly string[];
  close(): Promise<void>;
}

/** Starts the server and opens its app. `args` are more switches of Chromium; `query` goes into the address. */
export async function openStudio(
  options: StudioOptions = {},
  { args = [], query = "" }: { args?: readonly string[]; query?: string } = {},
): Promise<OpenStudio> {
  const server = await startStudio(options);
  const browser = await chromium.launch({
    executablePath: browserPath ?? "",
    args: [
      "--no-sandbox",
      "--disable-background-networking",
      "--autoplay-policy=no-user-gesture-required",
      ...args,
    ],
  });
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  const foreign: string[] = [];
  const errors: string[] = [];
  const scripts = new Set<string>();
  const address = new URL(server.address);
  address.search = query;
  page.on("request", (request) => {
    const { origin, protocol, pathname } = new URL(request.url());
    if (pathname.endsWith(".js")) scripts.add(pathname);
    if (protocol.startsWith("http") && origin !== address.origin) foreign.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(address.href);
  return {
    server,
    browser,
    page,
    foreign,
    scripts,
    errors,
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

/** Waits until the shown video is segmented. */
export async function segmented(page: Page): Promise<void> {
  await page.getByText(/Something sounds in \d+ of \d+ seconds/).waitFor({ timeout: 120_000 });
}

/** The labels of every second of the shown video. */
export async function foundLabels(page: Page): Promise<number[][]> {
  // As text: Playwright looks at every number of an array.
  return JSON.parse(await page.evaluate(() => JSON.stringify(window.avsegStudio?.labels() ?? [])));
}

/** The memory in RAM of Chromium's processes of a type (`renderer`, `GPU`), in MB. */
export async function residentMb(browser: Browser, type: string): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  try {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const ids = processInfo.filter((info) => info.type === type).map(({ id }) => String(id));
    const kb = execFileSync("ps", ["-o", "rss=", "-p", ids.join(",")], { encoding: "utf8" });
    return Math.round(kb.split("\n").reduce((sum, text) => sum + Number(text), 0) / 1024);
  } finally {
    await session.detach();
  }
}

/** What axe-core objects to on the page as it is, one line each. */
export async function axeViolations(page: Page): Promise<string[]> {
  if (!(await page.evaluate(() => "axe" in window))) {
    await page.evaluate(readFileSync(path.join(root, "node_modules", "axe-core", "axe.min.js"), "utf8"));
  }
  return page.evaluate(async () => {
    const { violations } = await window.axe.run(document);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  });
}
