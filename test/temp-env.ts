/** Environment variables of tests. */

/**
 * Restores an environment variable at the end of a test. Returns a function that sets it until then; `undefined` removes
 * it.
 */
export function tempEnv(
  t: { after(work: () => void): void },
  name: string,
): (value: string | undefined) => void {
  const set = (value: string | undefined): void => {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  };
  const before = process.env[name];
  t.after(() => set(before));
  return set;
}
