import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "../../errors.js";
import { refuseDowngrades } from "./http.js";

/** The origins that requests reach, of those that are made in turns. */
function reached(start: string, origins: readonly string[]): string[] {
  const seen: string[] = [];
  const dispatch = refuseDowngrades(
    new URL(start),
    start,
  )((options) => {
    seen.push(String(options.origin));
    return true;
  });
  for (const origin of origins) dispatch({ origin, path: "/", method: "GET" }, {});
  return seen;
}

test("redirects may go to HTTPS, and never back", () => {
  const [plain, secure] = ["http://a.example", "https://b.example"];
  assert.deepEqual(reached(plain, [plain, plain, secure, secure]), [plain, plain, secure, secure]);
  for (const origins of [
    [secure, plain],
    [plain, secure, plain],
  ]) {
    assert.throws(
      () => reached(origins[0] ?? "", origins),
      (error) => {
        assert.ok(error instanceof CheckpointError);
        assert.match(error.message, /the server redirects to http:\/\/a\.example, which is not safe/);
        return true;
      },
    );
  }
});
