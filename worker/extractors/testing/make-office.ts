// Small PPTX and XLSX packages for tests, from the XML of their slides and sheets.
import { strToU8, zipSync } from "fflate";

const R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
const PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships";
const ML = "http://schemas.openxmlformats.org";
const NAMESPACES = `xmlns:p="${ML}/presentationml/2006/main" xmlns:a="${ML}/drawingml/2006/main" xmlns:r="${R}" xmlns:mc="${ML}/markup-compatibility/2006" xmlns:dgm="${ML}/drawingml/2006/diagram" xmlns:m="${ML}/officeDocument/2006/math"`;
const SHEET = `xmlns="${ML}/spreadsheetml/2006/main" xmlns:r="${R}"`;

type Entries = Readonly<Record<string, string | Uint8Array>>;

function pack(entries: Entries): Uint8Array {
  const bytes = Object.entries(entries).map(([name, content]) => [
    name,
    typeof content === "string" ? strToU8(content) : content,
  ]);
  return zipSync({ "[Content_Types].xml": strToU8("<Types/>"), ...Object.fromEntries(bytes) });
}

function relationships(...targets: readonly (readonly [id: string, kind: string, target: string])[]): string {
  const all = targets.map(
    ([id, kind, target]) => `<Relationship Id="${id}" Type="${R}/${kind}" Target="${target}"/>`,
  );
  return `<Relationships xmlns="${PACKAGE}">${all.join("")}</Relationships>`;
}

export type SlideSpec = {
  /** The shapes of the slide. */
  readonly shapes: string;
  readonly notes?: string;
  /** The data part of a diagram, with the relationship `dm`. */
  readonly diagram?: string;
};

export function makePptx(slides: readonly SlideSpec[], entries: Entries = {}): Uint8Array {
  const parts: Record<string, string> = {};
  slides.forEach(({ shapes, notes, diagram }, at) => {
    const tree = (root: string, inner: string): string =>
      `<p:${root} ${NAMESPACES}><p:cSld><p:spTree>${inner}</p:spTree></p:cSld></p:${root}>`;
    parts[`ppt/slides/slide${at}.xml`] = tree("sld", shapes);
    if (notes !== undefined) parts[`ppt/notesSlides/notes${at}.xml`] = tree("notes", notes);
    if (diagram !== undefined)
      parts[`ppt/diagrams/data${at}.xml`] = `<dgm:dataModel ${NAMESPACES}>${diagram}</dgm:dataModel>`;
    parts[`ppt/slides/_rels/slide${at}.xml.rels`] = relationships(
      ["n", "notesSlide", `../notesSlides/notes${at}.xml`],
      ["dm", "diagramData", `../diagrams/data${at}.xml`],
    );
  });
  // In the archive the slides lie in another order than in the show.
  const order = slides.map((_, at) => `<p:sldId id="${256 + at}" r:id="s${at}"/>`).join("");
  return pack({
    "_rels/.rels": relationships(["r1", "officeDocument", "ppt/presentation.xml"]),
    ...Object.fromEntries(Object.entries(parts).reverse()),
    "ppt/presentation.xml": `<p:presentation ${NAMESPACES}><p:sldIdLst>${order}</p:sldIdLst></p:presentation>`,
    "ppt/_rels/presentation.xml.rels": relationships(
      ...slides.map((_, at) => [`s${at}`, "slide", `slides/slide${at}.xml`] as const).reverse(),
    ),
    ...entries,
  });
}

/** A shape with paragraphs; `type` makes it a placeholder. */
export function shape(paragraphs: readonly string[], type?: string, properties = ""): string {
  const placeholder = type === undefined ? "" : `<p:nvPr><p:ph type="${type}"/></p:nvPr>`;
  const text = paragraphs.map((each) =>
    each.startsWith("<") ? each : `<a:p><a:r><a:t>${each}</a:t></a:r></a:p>`,
  );
  return `<p:sp><p:nvSpPr><p:cNvPr id="1" name="x"${properties}/>${placeholder}</p:nvSpPr><p:txBody><a:bodyPr/>${text.join("")}</p:txBody></p:sp>`;
}

export type SheetSpec = { readonly name: string; readonly rows: string; readonly state?: string };

export type WorkbookSpec = {
  readonly sheets: readonly SheetSpec[];
  /** The texts of the shared table, as XML of their `si`. */
  readonly texts?: readonly string[];
  readonly styles?: string;
  readonly properties?: string;
  readonly entries?: Entries;
};

export function makeXlsx({
  sheets,
  texts = [],
  styles = "",
  properties = "",
  entries = {},
}: WorkbookSpec): Uint8Array {
  const list = sheets.map(
    ({ name, state }, at) =>
      `<sheet name="${name}" sheetId="${at + 1}"${state ? ` state="${state}"` : ""} r:id="s${at}"/>`,
  );
  const parts = sheets.map(({ rows }, at) => [
    `xl/worksheets/sheet${at}.xml`,
    `<worksheet ${SHEET}><sheetData>${rows}</sheetData></worksheet>`,
  ]);
  return pack({
    "_rels/.rels": relationships(["r1", "officeDocument", "xl/workbook.xml"]),
    "xl/workbook.xml": `<workbook ${SHEET}>${properties}<sheets>${list.join("")}</sheets></workbook>`,
    "xl/_rels/workbook.xml.rels": relationships(
      ...sheets.map((_, at) => [`s${at}`, "worksheet", `worksheets/sheet${at}.xml`] as const),
      ["t", "sharedStrings", "sharedStrings.xml"],
      ["f", "styles", "/xl/styles.xml"],
    ),
    "xl/sharedStrings.xml": `<sst ${SHEET}>${texts.map((text) => `<si>${text}</si>`).join("")}</sst>`,
    "xl/styles.xml": `<styleSheet ${SHEET}>${styles}</styleSheet>`,
    ...Object.fromEntries(parts),
    ...entries,
  });
}
