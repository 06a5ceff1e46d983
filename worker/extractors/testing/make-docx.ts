// Small DOCX packages for tests, from the XML of their body.
import { strToU8, zipSync } from "fflate";

const W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
const R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const MC = "http://schemas.openxmlformats.org/markup-compatibility/2006";
const M = "http://schemas.openxmlformats.org/officeDocument/2006/math";
const PACKAGE = "http://schemas.openxmlformats.org/package/2006";

export type DocxSpec = {
  readonly body: string;
  readonly styles?: string;
  readonly footnotes?: string;
  readonly numbering?: string;
  /** More entries of the archive. */
  readonly entries?: Readonly<Record<string, string | Uint8Array>>;
  readonly namespace?: string;
  /** The whole main part, instead of one made around `body`. */
  readonly document?: string;
};

export function makeDocx(spec: DocxSpec): Uint8Array {
  const namespaces = `xmlns:w="${spec.namespace ?? W}" xmlns:r="${R}" xmlns:mc="${MC}" xmlns:m="${M}"`;
  const part = (root: string, inner: string): string =>
    `<?xml version="1.0"?><w:${root} ${namespaces}>${inner}</w:${root}>`;
  const entries: Record<string, Uint8Array> = {
    "[Content_Types].xml": strToU8(`<Types xmlns="${PACKAGE}/content-types"/>`),
    "_rels/.rels": strToU8(
      `<Relationships xmlns="${PACKAGE}/relationships"><Relationship Id="r1" Type="${R}/officeDocument" Target="word/document.xml"/></Relationships>`,
    ),
    "word/document.xml": strToU8(spec.document ?? part("document", `<w:body>${spec.body}</w:body>`)),
  };
  if (spec.styles !== undefined) entries["word/styles.xml"] = strToU8(part("styles", spec.styles));
  if (spec.footnotes !== undefined)
    entries["word/footnotes.xml"] = strToU8(part("footnotes", spec.footnotes));
  if (spec.numbering !== undefined)
    entries["word/numbering.xml"] = strToU8(part("numbering", spec.numbering));
  for (const [name, content] of Object.entries(spec.entries ?? {}))
    entries[name] = typeof content === "string" ? strToU8(content) : content;
  return zipSync(entries);
}

/** A paragraph with one run; `style` is a style id. */
export function paragraph(text: string, style?: string): string {
  const properties = style === undefined ? "" : `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>`;
  return `<w:p>${properties}<w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;
}
