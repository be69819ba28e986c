/** Web pages that hosts send where a file was expected: what they are, and where they lead. */
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import type { Dispatcher } from "undici";
import { type Answer, RetryableError } from "./http.js";

/** Pages of Google Drive have some hundred kilobytes. */
const maxPageBytes = 8 * 2 ** 20;
/** A server that sends a page byte by byte is not waited for. */
const maxPageMs = 120_000;
const maxTextLength = 8000;
/** Elements within each other; the parser's time grows with the square of their number. */
const maxDepth = 2000;
/** Characters that are parsed between two looks at the depth. */
const sliceLength = 2 ** 16;

/** The parts of a page that matter here. */
export interface Page {
  /** Its address, after redirects. */
  readonly url: string;
  readonly title: string;
  /** The beginning of what it shows. */
  readonly text: string;
  readonly forms: readonly Form[];
  /** Addresses as the page gives them. */
  readonly links: readonly string[];
  readonly entries: readonly FolderEntry[];
  /** It has the notice of Google Drive that a file cannot be downloaded now, in any language. */
  readonly hasQuotaNotice: boolean;
  /** The text of its scripts that hold the content of a folder. */
  readonly folderScripts: readonly string[];
}

interface Form {
  readonly id: string;
  readonly action: string;
  readonly inputs: (readonly [name: string, value: string])[];
}

/** A file or folder that a page of a Drive folder lists. */
export interface FolderEntry {
  readonly id: string;
  readonly name: string;
  readonly isFolder: boolean;
}

/** Whether an answer is a page: by its type, or by how it begins. */
export function isPage(headers: Dispatcher.ResponseData["headers"], first: Uint8Array): boolean {
  const type = headers["content-type"];
  if (typeof type === "string" && /^\s*(text\/html|application\/xhtml)/i.test(type)) return true;
  const text = new TextDecoder("latin1").decode(first.subarray(0, 512));
  return /^(\xef\xbb\xbf)?\s*(<!--[\s\S]*?-->\s*)*<(!doctype\s+html|html[\s>])/i.test(text);
}

/** What decompresses a page, by its `content-encoding`. */
const decompressors: Readonly<Record<string, typeof gunzipSync>> = {
  gzip: gunzipSync,
  "x-gzip": gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
};

/** A page as it was before compression. Some servers compress pages although nobody asks for it. */
function decompressed(bytes: Buffer, headers: Dispatcher.ResponseData["headers"]): Buffer {
  const encoding = [headers["content-encoding"] ?? ""].flat().join().trim().toLowerCase();
  try {
    return decompressors[encoding]?.(bytes, { maxOutputLength: maxPageBytes }) ?? bytes;
  } catch {
    return bytes; // not compressed, whatever its header says, or too long
  }
}

/** Reads a page of at most 8 MiB; what follows is left out. Throws `RetryableError` when the connection breaks. */
export async function readPage(
  { url, response: { headers } }: Pick<Answer, "url" | "response">,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Page> {
  const parts: Uint8Array[] = [];
  const started = performance.now();
  let bytes = 0;
  for await (const chunk of chunks) {
    parts.push(chunk);
    bytes += chunk.length;
    if (bytes > maxPageBytes) break;
    if (performance.now() - started > maxPageMs) throw new RetryableError("a web page did not end");
  }
  return parsePage(url, new TextDecoder().decode(decompressed(Buffer.concat(parts), headers)));
}

/** Parses a page. */
async function parsePage(url: string, html: string): Promise<Page> {
  const { Parser } = await import("htmlparser2"); // hardly any command needs it
  const forms: Form[] = [];
  const links: string[] = [];
  const entries: FolderEntry[] = [];
  const folderScripts: string[] = [];
  let [title, text, script, name] = ["", "", "", ""];
  let inside = "";
  /** The number of open elements within the name of an entry; 0 outside of names. */
  let nameDepth = 0;
  let entryId: string | undefined;
  let entryLink: string | undefined;
  let depth = 0;
  let hasQuotaNotice = false;
  const parser = new Parser({
    onopentag(tag, { id = "", href, action, name: field, value = "", class: classes = "" }) {
      depth++;
      if (["title", "script", "style"].includes(tag)) inside = tag;
      if (tag === "form") forms.push({ id, action: action ?? "", inputs: [] });
      if (tag === "input" && field) forms.at(-1)?.inputs.push([field, value]);
      if (tag === "a" && href) {
        links.push(href);
        if (linkedId(href) !== undefined) entryLink = href;
      }
      if (/(^|\s)uc-error-subcaption(\s|$)/.test(classes)) hasQuotaNotice = true;
      if (id.startsWith("entry-")) entryId = id.slice("entry-".length);
      if (nameDepth > 0) nameDepth++;
      else if (/(^|\s)flip-entry-title(\s|$)/.test(classes)) nameDepth = 1;
    },
    ontext(piece) {
      if (inside === "title") title += piece;
      else if (inside === "script") script += piece;
      else if (inside === "" && text.length < maxTextLength) text += `${piece} `;
      if (nameDepth > 0) name += piece;
    },
    onclosetag(tag) {
      depth--;
      if (tag === "script" && script.includes("_DRIVE_ivd")) folderScripts.push(script);
      if (tag === inside) [inside, script] = ["", ""];
      if (nameDepth === 0 || --nameDepth > 0) return;
      const id = (entryLink && linkedId(entryLink)) ?? entryId;
      if (id) entries.push({ id, name: name.trim(), isFolder: /\/folders\//.test(entryLink ?? "") });
      [name, entryId, entryLink] = ["", undefined, undefined];
    },
  });
  // What follows elements that are nested deeper than on any page is left out.
  for (let at = 0; at < html.length && depth <= maxDepth; at += sliceLength) {
    parser.write(html.slice(at, at + sliceLength));
  }
  parser.end();
  const shown = text.replace(/\s+/g, " ").trim().slice(0, maxTextLength);
  return {
    ...{ url, title: title.replace(/\s+/g, " ").trim(), text: shown, forms },
    ...{ links, entries, hasQuotaNotice, folderScripts },
  };
}

/** The identifier in a link to a file or folder of Drive. */
function linkedId(href: string): string | undefined {
  return /\/(?:file\/(?:u\/\d+\/)?d|folders)\/([\w-]+)/.exec(href)?.[1] ?? /[?&]id=([\w-]+)/.exec(href)?.[1];
}

/**
 * Where a page leads that warns of a large file which Google cannot check for viruses: the address of its form, or of
 * its link in older pages. `undefined` for any other page.
 */
export function confirmedAddress({ url, forms, links }: Page): string | undefined {
  const form =
    forms.find(({ id }) => id === "download-form") ??
    forms.find(({ action, inputs }) => action !== "" && inputs.some(([name]) => name === "confirm"));
  if (form !== undefined && URL.canParse(form.action, url)) {
    const address = new URL(form.action, url);
    for (const [name, value] of form.inputs) address.searchParams.set(name, value);
    return address.href;
  }
  const link = links.find((href) => /[?&]confirm=/.test(href) && /export=download/.test(href));
  return link !== undefined && URL.canParse(link, url) ? new URL(link, url).href : undefined;
}

/** Why a page was sent instead of the file. */
export function pageMeaning({ url, title, text, hasQuotaNotice }: Page): "quota" | "sign-in" | "other" {
  const shown = `${title} ${text}`;
  const quota =
    /quota exceeded|too many users have viewed or downloaded|download quota|can.t view or download this file at this time/i;
  if (hasQuotaNotice || quota.test(shown)) return "quota";
  const isSignIn = /^accounts\./.test(new URL(url).hostname) || /ServiceLogin|\/signin/.test(url);
  if (isSignIn || /you need access|request access|sign in to continue/i.test(shown)) return "sign-in";
  return "other";
}
