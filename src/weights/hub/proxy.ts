/** The proxy of a request, by the environment variables that command-line tools have in common. */

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for `url`, or `undefined` for a direct connection: `HTTPS_PROXY` or `HTTP_PROXY` by the address's scheme
 * (`ALL_PROXY` for either), unless `NO_PROXY` names the host. Lower-case names take precedence over upper-case ones.
 * `HTTP_PROXY` in capitals is ignored in a CGI program, where a client could set it.
 */
export function proxyFor(url: URL, env: Environment): string | undefined {
  const read = (name: string) => env[name.toLowerCase()] || env[name] || undefined;
  if (isExempt(url, read("NO_PROXY") ?? "")) return undefined;
  const isCgi = env.REQUEST_METHOD !== undefined;
  const own = url.protocol === "https:" ? read("HTTPS_PROXY") : isCgi ? env.http_proxy : read("HTTP_PROXY");
  const proxy = own || read("ALL_PROXY");
  if (proxy === undefined) return undefined;
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

/** `NO_PROXY`: hosts separated by commas or spaces, each with its subdomains, perhaps a port; `*` for all. */
function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .some((entry) => {
      if (entry === "*") return true;
      const [, name, entryPort] = /^\[?(.*?)\]?(?::(\d+))?$/.exec(entry) ?? [];
      // A bare IPv6 address has colons of its own.
      const isAddress = entry.split(":").length > 2 && !entry.startsWith("[");
      const domain = (isAddress ? entry : (name ?? entry)).replace(/^\*?\./, "");
      if (!isAddress && entryPort !== undefined && entryPort !== port) return false;
      return host === domain || host.endsWith(`.${domain}`);
    });
}
