/** A headless Chromium on the example's server. */
import { existsSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { chromium, type Page } from "playwright-core";
import { chromiumPath } from "./chromium.js";
import { root } from "./support.js";

/** Where Chromium is; `undefined` where it is not installed. */
export const browserPath = chromiumPath();

/** Chromium's software driver for WebGPU: slow, and the same graphs as on a card. */
const softwareGpu = "/usr/lib/chromium/vk_swiftshader_icd.json";
/** Whether WebGPU can be tried without a card. */
export const hasSoftwareGpu = existsSync(softwareGpu);

/** The library as the example's server bundles it. */
export type Web = typeof import("../src/web/index.js");
/** The address of that bundle. */
export const library = "/avseg-web.js";

/** A page and what it printed. */
export interface OpenPage {
  readonly page: Page;
  /** Text that pages and their workers wrote to the console. */
  readonly printed: readonly string[];
  close(): Promise<void>;
}

interface ExampleServer {
  startServer(options: { model: string; files: Readonly<Record<string, string>> }): Promise<Server>;
}

/** Opens a page of the example's server on which nothing runs yet; it serves `/model` and `files` by address. */
export async function openPage(
  model: string,
  { files = {}, gpu = false }: { files?: Readonly<Record<string, string>>; gpu?: boolean | undefined } = {},
): Promise<OpenPage> {
  const { startServer }: ExampleServer = await import(path.join(root, "examples", "browser", "server.mjs"));
  const server = await startServer({ model, files });
  const { port } = server.address() as AddressInfo;
  const browser = await chromium.launch({
    executablePath: browserPath ?? "",
    args: [
      "--no-sandbox",
      "--disable-background-networking",
      // Without its bounds checks the software driver compiles shaders a quarter faster.
      ...(gpu ? ["--enable-unsafe-webgpu", "--enable-dawn-features=disable_robustness"] : []),
    ],
    env: { ...process.env, ...(gpu ? { VK_ICD_FILENAMES: softwareGpu } : {}) },
  });
  const page = await browser.newPage({ baseURL: `http://localhost:${port}` });
  const printed: string[] = [];
  page.on("console", (message) => printed.push(message.text()));
  await page.goto("/page.js");
  return {
    page,
    printed,
    close: async () => {
      await browser.close();
      server.close();
    },
  };
}
