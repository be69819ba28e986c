/** The folder that all runs and projects of a user share. */
import os from "node:os";
import path from "node:path";

/** The shared cache folder: `AVSEG_CACHE`, else `avseg` below `XDG_CACHE_HOME`, else `~/.cache/avseg`. */
export function cacheDir(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env.AVSEG_CACHE) return path.resolve(env.AVSEG_CACHE);
  // The XDG rules say that a relative path there is to be ignored.
  const base = env.XDG_CACHE_HOME && path.isAbsolute(env.XDG_CACHE_HOME) ? env.XDG_CACHE_HOME : undefined;
  return path.join(base ?? path.join(os.homedir(), ".cache"), "avseg");
}
