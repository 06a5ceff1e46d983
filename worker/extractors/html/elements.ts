// What the names of HTML elements mean to a reader of text.

/** The parser's own stack costs time with the square of the depth. */
export const MAX_HTML_DEPTH = 40_000;

const EMBEDDED = "svg iframe object embed canvas audio video map noembed".split(" ");
const FORM_FIELDS = "select option datalist textarea meter progress".split(" ");
const NOT_SHOWN = "noscript noframes template".split(" ");
const NO_TEXT = "script style title".split(" ");

/** Nothing below these is text that a page shows. */
export const NEVER_TEXT: ReadonlySet<string> = new Set([
  ...EMBEDDED,
  ...FORM_FIELDS,
  ...NOT_SHOWN,
  ...NO_TEXT,
]);

/** What stands in it is read by programs. */
export const isNoText = (name: string): boolean => NO_TEXT.includes(name);

/** The rule by which one of NEVER_TEXT is left out; null for what is no text at all and need not be counted. */
export function noTextRule(name: string): string | null {
  if (isNoText(name)) return null;
  if (FORM_FIELDS.includes(name)) return "form fields";
  return NOT_SHOWN.includes(name) ? "not shown by browsers" : "embedded";
}

/** Elements that begin and end a block. */
export const BLOCK = new Set(
  (
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure " +
    "footer form frameset header hgroup hr html legend li listing main menu nav ol p plaintext pre search section " +
    "summary table tbody td tfoot th thead tr ul xmp h1 h2 h3 h4 h5 h6"
  ).split(" "),
);

/** Elements whose white space counts. */
export const PREFORMATTED = new Set(["pre", "listing", "plaintext", "xmp"]);

export type HtmlElement = {
  /** Opened elements are numbered from 0 in document order. */
  readonly index: number;
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
};

/** 1 to 6 for `h1` to `h6`, to 9 for what says `role=heading`; 0 for everything else. */
export function headingLevel(name: string, attributes: Readonly<Record<string, string>>): number {
  if (/^h[1-6]$/.test(name)) return Number(name[1]);
  if (attributes.role !== "heading") return 0;
  // ARIA's own default is 2.
  const level = Number(attributes["aria-level"] ?? 2);
  return Number.isInteger(level) && level >= 1 && level <= 9 ? level : 2;
}

/** Characters that are not white space: what is compared, counted and never lost. */
export function countInk(text: string): number {
  let ink = 0;
  for (let at = 0; at < text.length; at += 1) if (!isBlank(text.charCodeAt(at))) ink += 1;
  return ink;
}

function isBlank(code: number): boolean {
  return (
    code <= 32 || code === 0xa0 || code === 0x3000 || (code >= 0x2000 && code <= 0x200b) || code === 0xfeff
  );
}
