/** HTML by template. Everything but HTML is escaped: names of clips and categories are untrusted input. */

/** Text that is HTML already; made by `html`, or from text of our own such as a style sheet. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/**
 * What may stand in a template: text and numbers are escaped, lists joined, `undefined` and `false` left out.
 */
export type HtmlPart = Html | string | number | undefined | false | readonly HtmlPart[];

/** Builds HTML: html`<p>${text}</p>`. Attributes must be quoted. */
export function html(pieces: TemplateStringsArray, ...parts: readonly HtmlPart[]): Html {
  return new Html(pieces.map((piece, i) => piece + write(parts[i])).join(""));
}

function write(part: HtmlPart): string {
  if (part === undefined || part === false) return "";
  if (part instanceof Html) return part.text;
  if (typeof part === "object") return part.map(write).join("");
  return escapeText(String(part));
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] as string);
}
