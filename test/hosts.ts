/** An imitation of Google Drive, Hugging Face and GitHub, and of the servers of files behind them, for tests. */
import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";

/** What runs work at the end of a test. */
interface Scope {
  after(work: () => void): void;
}

/** A request as the servers saw it. */
export interface SeenRequest {
  /** Which server: the site itself, or the one that files come from. */
  readonly server: "site" | "files";
  /** Path and query. */
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
}

type Handler = (request: http.IncomingMessage, response: http.ServerResponse) => void;

/** The imitated hosts. Change their content and behavior at any time. */
export interface Hosts {
  /** The variables that send requests to them. */
  readonly env: Readonly<Record<string, string>>;
  readonly site: string;
  readonly files: string;
  readonly requests: SeenRequest[];
  /** Content by the identifier in Drive, or by `repository/file` of the others. */
  readonly content: Map<string, Buffer>;
  /** Pages of Drive's folders by identifier, as `folderView` and `folderPage` make them. */
  readonly folders: Map<string, { view?: string; page?: string }>;
  /** Files of Drive that the site warns of: how the page asks for a confirmation. */
  readonly warned: Map<string, "form" | "link">;
  /** Answers to the next requests of files, instead of their content. */
  readonly instead: Handler[];
  /** Answers to the next requests of the site. */
  readonly siteInstead: Handler[];
}

/** A page of Google Drive about a file that cannot be downloaded now. */
export const quotaPage = `<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<div id="uc-text"><p class="uc-error-caption">Sorry, you can&#39;t view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently. Please try accessing the
file again later.</p></div></body></html>`;

/** The page of a folder of Drive for other sites, which lists everything in it. */
export function folderView(entries: readonly { id: string; name: string; folder?: boolean }[]): string {
  const rows = entries.map(({ id, name, folder }) => {
    const link = folder
      ? `https://drive.google.com/drive/folders/${id}`
      : `https://drive.google.com/file/d/${id}/view?usp=drive_web`;
    return `<div class="flip-entry" id="entry-${id}" tabindex="0" role="link"><div class="flip-entry-info">
<a href="${link}" target="_blank"><div class="flip-entry-visual"></div><div class="flip-entry-title">${name}</div></a>
</div></div>`;
  });
  return `<!DOCTYPE html><html><head><title>Weights</title></head><body><div class="flip-entries">${rows.join("\n")}</div></body></html>`;
}

/** A folder's own page, which holds its entries in a script. */
export function folderPage(entries: readonly { id: string; name: string; folder?: boolean }[]): string {
  const list = entries.map(({ id, name, folder }) => [
    id,
    ["parent"],
    name,
    folder ? "application/vnd.google-apps.folder" : "application/octet-stream",
  ]);
  const encoded = JSON.stringify([list, null]).replace(
    /[^\w ,.]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return `<!DOCTYPE html><html><head><title>Weights - Google Drive</title></head><body>
<script nonce="x">window['_DRIVE_ivd'] = '${encoded}';if (window['_DRIVE_ivdc']) {window['_DRIVE_ivdc']();}</script></body></html>`;
}

/** Sends a page. */
export function sendPage(response: http.ServerResponse, html: string, status = 200): void {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8" }).end(html);
}

/** Sends content as servers of files do: with an ETag, in part where a part is asked for. */
export function sendContent(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  body: Buffer,
): void {
  const etag = `"${createHash("sha256").update(body).digest("hex").slice(0, 16)}"`;
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const partial = start > 0 && request.headers["if-range"] === etag;
  const sent = partial ? body.subarray(start) : body;
  response.writeHead(partial ? 206 : 200, {
    etag,
    "content-type": "application/octet-stream",
    "content-disposition": 'attachment; filename="weights.pth"',
    "content-length": sent.length,
    ...(partial ? { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` } : {}),
  });
  response.end(sent);
}

/** Starts the hosts for one test. */
export async function imitateHosts(t: Scope): Promise<Hosts> {
  const requests: SeenRequest[] = [];
  const listen = async (server: SeenRequest["server"], handle: Handler): Promise<string> => {
    const listener = http.createServer((request, response) => {
      requests.push({ server, url: request.url ?? "", headers: request.headers });
      handle(request, response);
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    t.after(() => {
      listener.closeAllConnections();
      listener.close();
    });
    return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  };
  const content = new Map<string, Buffer>();
  const instead: Handler[] = [];
  const siteInstead: Handler[] = [];
  const folders: Hosts["folders"] = new Map();
  const warned: Hosts["warned"] = new Map();

  const files = await listen("files", (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://files");
    const special = instead.shift();
    if (special !== undefined) return special(request, response);
    const key = searchParams.get("id") ?? pathname.slice(1);
    const body = content.get(key);
    if (body === undefined) return sendPage(response, "<html><title>Not found</title></html>", 404);
    if (warned.get(key) === "form" && searchParams.get("uuid") !== "u-1")
      return sendPage(response, quotaPage);
    sendContent(request, response, body);
  });
  const site = await listen("site", (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://site");
    const special = siteInstead.shift();
    if (special !== undefined) return special(request, response);
    const id = searchParams.get("id") ?? "";
    const folder = folders.get(id || (pathname.split("/").at(-1) ?? ""));
    if (pathname === "/embeddedfolderview")
      return sendPage(response, folder?.view ?? "<html></html>", folder ? 200 : 404);
    if (pathname.startsWith("/drive/folders/")) {
      return sendPage(response, folder?.page ?? "<html><title>Not found</title></html>", folder ? 200 : 404);
    }
    if (pathname !== "/uc") {
      // Hugging Face and GitHub send files from another host.
      const key = pathname.replace(/^\/|\/resolve\/main|\/releases\/download/g, "");
      response.writeHead(302, { location: `${files}/${key}?signature=s` }).end();
      return;
    }
    const kind = warned.get(id);
    if (kind === "link" && searchParams.get("confirm") === "c0de") {
      if (request.headers.cookie !== "download_warning_1=c0de") return sendPage(response, quotaPage);
      return sendContent(request, response, content.get(id) ?? Buffer.alloc(0));
    }
    if (kind === "link") {
      response.setHeader("set-cookie", "download_warning_1=c0de; Domain=.docs.google.com; Path=/uc; Secure");
      return sendPage(
        response,
        `<html><head><title>Google Drive - Virus scan warning</title></head><body>
<a id="uc-download-link" href="/uc?export=download&amp;confirm=c0de&amp;id=${id}">Download anyway</a></body></html>`,
      );
    }
    if (kind === "form") {
      return sendPage(
        response,
        `<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<p class="uc-warning-subcaption">Google Drive can&#39;t scan this file for viruses.</p>
<form id="download-form" action="${files}/download" method="get">
<input type="submit" id="uc-download-link" value="Download anyway"/><input type="hidden" name="id" value="${id}">
<input type="hidden" name="export" value="download"><input type="hidden" name="confirm" value="t">
<input type="hidden" name="uuid" value="u-1"></form></body></html>`,
      );
    }
    response.writeHead(303, { location: `${files}/download?id=${id}&export=download` }).end();
  });
  const env = { HF_ENDPOINT: site, AVSEG_DRIVE_ENDPOINT: site, AVSEG_GITHUB_ENDPOINT: site };
  return { env, site, files, requests, content, folders, warned, instead, siteInstead };
}
