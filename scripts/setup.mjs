/**
 * What `npm test` and `npm run demo` need before any of our own code can run: packages, ffmpeg, a build; and what some
 * tests need besides: Chromium, Redis, Python's venv.
 * Plain JavaScript, since nothing is compiled yet; every step is skipped when it is already done.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

export const root = path.resolve(import.meta.dirname, "..");

/** Runs a program with our standard streams; ends this process with its code when it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
  if (result.error) fail(`cannot start ${command}: ${result.error.message}`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function fail(message) {
  console.error(`avseg: ${message}`);
  process.exit(1);
}

function has(command) {
  return spawnSync(command, ["-version"], { stdio: "ignore" }).status === 0;
}

/** Installs the locked packages when they are absent or older than the lock file. */
function ensurePackages() {
  const lock = path.join(root, "package-lock.json");
  const installed = path.join(root, "node_modules", ".package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  if (existsSync(installed) && sameLock(lock, installed)) return;
  console.error("Installing packages (npm ci) ...");
  run("npm", ["ci", "--no-fund", "--no-audit"]);
}

/** True when every locked package is installed in the locked version (a checkout may touch the lock's time). */
function sameLock(lock, installed) {
  const wanted = JSON.parse(readFileSync(lock, "utf8")).packages;
  const found = JSON.parse(readFileSync(installed, "utf8")).packages;
  return Object.entries(wanted).every(
    ([name, { version, optional }]) => name === "" || optional || found[name]?.version === version,
  );
}

/** Installs Debian packages when this user may do so without a password. */
function aptInstall(...names) {
  const isRoot = process.getuid?.() === 0;
  const canApt = spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status === 0;
  const sudo = !isRoot && spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
  if (!canApt || !(isRoot || sudo)) return;
  console.error(`Installing ${names.join(", ")} (apt-get install ${names.join(" ")}) ...`);
  const apt = (...args) =>
    spawnSync(isRoot ? "apt-get" : "sudo", isRoot ? args : ["apt-get", ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  apt("update");
  apt("install", "-y", "--no-install-recommends", ...names);
}

/** Installs ffmpeg with apt where that is possible, else says how to get it. */
function ensureFfmpeg() {
  const found = () => has("ffmpeg") && has("ffprobe");
  if (!found()) aptInstall("ffmpeg");
  if (!found()) {
    fail(
      "ffmpeg and ffprobe are needed to read and write video, and were not found on the PATH. " +
        "Install them (Debian/Ubuntu: sudo apt-get install ffmpeg; macOS: brew install ffmpeg; " +
        "Windows: winget install ffmpeg) and run this again.",
    );
  }
}

/** Installs Chromium, in which the tests of browsers run, with apt where that is possible, else says how to get it. */
export async function ensureChromium() {
  const { chromiumPath } = await import(pathToFileURL(path.join(root, "dist", "test", "chromium.js")).href);
  if (chromiumPath() === undefined) aptInstall("chromium");
  if (chromiumPath() === undefined) {
    console.error(
      "avseg: Chromium was not found, so the tests of browsers are skipped. Install it (Debian: sudo apt-get install " +
        "chromium; macOS: brew install --cask chromium; Windows: winget install Google.Chrome), or set CHROME_PATH to " +
        "the program, and run this again.",
    );
  }
}

/** Installs what `python3 -m venv` needs, with apt where that is possible: the test of the Python example makes a venv. */
export function ensureVenv() {
  const found = () =>
    spawnSync("python3", ["-c", "import venv, ensurepip"], { stdio: "ignore" }).status === 0;
  if (!found()) aptInstall("python3-venv");
}

/** Installs the emulator of x86 processors with apt where that is possible: tests run 8-bit products on other processors. */
export function ensureQemu() {
  if (process.platform === "linux" && process.arch === "x64" && !has("qemu-x86_64")) aptInstall("qemu-user");
}

/** Installs what the tests of archives need with apt where that is possible: Redis, and OpenSSL for its certificates. */
export function ensureRedis() {
  if (spawnSync("redis-server", ["--version"], { stdio: "ignore" }).status !== 0) aptInstall("redis-server");
  if (spawnSync("openssl", ["version"], { stdio: "ignore" }).status !== 0) aptInstall("openssl");
}

/** Installs two MPI libraries with apt where that is possible: tests train on several processes. */
export function ensureMpi() {
  const found = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;
  if (process.platform !== "linux") return;
  if (!found("mpirun.openmpi") || !found("mpirun.mpich")) aptInstall("openmpi-bin", "mpich");
}

/** Compiles what is newer than the last build, and bundles the command line of it. */
function ensureBuild() {
  run("npx", ["--no-install", "tsc", "--incremental", "--tsBuildInfoFile", "dist/.tsbuildinfo"]);
  run(process.execPath, [path.join(root, "dist", "scripts", "bundle.js")]);
}

/** Builds the studio, the app of `avseg studio`, from what was compiled. */
export function ensureStudio() {
  run("npm", ["run", "--silent", "studio:build"]);
}

/** Makes everything ready; quick when it already is. */
export function setUp() {
  ensurePackages();
  ensureFfmpeg();
  ensureBuild();
}
