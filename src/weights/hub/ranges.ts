/** What the headers of an answer say of its content: where its bytes lie in the file, and of which version they are. */
import type { Dispatcher } from "undici";
import type { PartState } from "./part.js";

/** Where the bytes of an answer begin in the file (-1 where it does not say), and how many the file has. */
export function extent(
  response: Dispatcher.ResponseData,
  offset: number,
): { start: number; total: number | undefined } {
  const length = numberOf(response.headers["content-length"]);
  if (response.statusCode !== 206) return { start: 0, total: length };
  const range = contentRange(response);
  if (range?.start === undefined) return { start: -1, total: undefined };
  return { start: range.start, total: range.total ?? (length === undefined ? undefined : offset + length) };
}

/** The version of the content: what `If-Range` takes. */
export function validatorOf(response: Dispatcher.ResponseData): { validator?: string | undefined } {
  const { etag, "last-modified": modified } = response.headers;
  if (typeof etag === "string" && !etag.startsWith("W/")) return { validator: etag };
  return typeof modified === "string" ? { validator: modified } : {};
}

/**
 * Whether the server continues another version of the file, as some honor `Range` and ignore `If-Range`, or sends the rest
 * of it as if it were the whole file.
 */
export function isOtherContent(
  response: Dispatcher.ResponseData,
  {
    start,
    total,
    state,
  }: { readonly start: number; readonly total: number | undefined; readonly state: PartState | undefined },
): boolean {
  const { validator } = validatorOf(response);
  const isSameVersion = validator === undefined ? start > 0 : validator === state?.validator;
  if (start > 0 && !isSameVersion) return true;
  return isSameVersion && total !== undefined && state?.total !== undefined && total !== state.total;
}

function contentRange(
  response: Dispatcher.ResponseData,
): { start?: number | undefined; total?: number | undefined } | undefined {
  const header = response.headers["content-range"];
  const match = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(typeof header === "string" ? header : "");
  if (match === null) return undefined;
  const start = numberOf(match[1]);
  const total = numberOf(match[2]);
  return { start, total };
}

function numberOf(text: string | string[] | undefined): number | undefined {
  return typeof text === "string" && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
