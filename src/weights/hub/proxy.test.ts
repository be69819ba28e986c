import assert from "node:assert/strict";
import test from "node:test";
import { proxyFor } from "./proxy.js";

const https = new URL("https://files.example.org/x");
const http = new URL("http://files.example.org:8080/x");

test("the proxy follows the scheme", () => {
  const env = { HTTPS_PROXY: "http://s:1", HTTP_PROXY: "http://p:2" };
  assert.equal(proxyFor(https, env), "http://s:1");
  assert.equal(proxyFor(http, env), "http://p:2");
  assert.equal(proxyFor(https, { ALL_PROXY: "a:3" }), "http://a:3");
  assert.equal(proxyFor(https, { https_proxy: "http://low:1", HTTPS_PROXY: "http://up:1" }), "http://low:1");
  assert.equal(proxyFor(https, { HTTP_PROXY: "http://p:2" }), undefined);
  assert.equal(proxyFor(https, {}), undefined);
  assert.equal(proxyFor(http, { HTTP_PROXY: "http://evil:2", REQUEST_METHOD: "GET" }), undefined);
});

test("NO_PROXY exempts hosts, subdomains and ports", () => {
  const through = (url: URL, list: string) =>
    proxyFor(url, { HTTPS_PROXY: "http://s:1", HTTP_PROXY: "http://s:1", NO_PROXY: list }) !== undefined;
  for (const list of [
    "*",
    "example.org",
    ".example.org",
    "*.example.org",
    "a.b, files.example.org",
    "FILES.example.org",
  ]) {
    assert.equal(through(https, list), false, list);
  }
  for (const list of ["", "ample.org", "files.example.or", "other.example.org", "files.example.org:80"]) {
    assert.equal(through(https, list), true, list);
  }
  assert.equal(through(http, "example.org:8080"), false);
  assert.equal(through(new URL("http://[::1]:9/"), "::1"), false);
  assert.equal(through(new URL("http://[::1]:9/"), "[::1]:9"), false);
  assert.equal(through(new URL("http://127.0.0.1/"), "localhost,127.0.0.1"), false);
});
