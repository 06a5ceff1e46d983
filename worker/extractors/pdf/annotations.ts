// What lies on a PDF's pages beside their content: values typed into forms and text boxes are read, reviewers'
// remarks (notes, comments on highlights) are counted and left out, as a DOCX file's comments are.
import type { PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import type { OpenPdf } from "./open-pdf.ts";

/** Asked for so many pages at once: a call costs time for each page of the document. */
const PAGES_PER_CALL = 32;
const MAX_ANNOTATIONS = 2_000;

/** pdf.js's annotation types. Links are the mass of them, and cost as much as text: they are not asked for. */
const FREE_TEXT = 3;
const WIDGET = 20;
const REMARKS: ReadonlySet<number> = new Set([1, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15]);
const HIDDEN = 2;
const NO_VIEW = 32;

type Annotation = {
  readonly annotationType?: number;
  readonly annotationFlags?: number;
  readonly pageIndex?: number;
  readonly fieldType?: string;
  readonly fieldName?: string;
  readonly alternativeText?: string;
  readonly fieldValue?: unknown;
  readonly buttonValue?: unknown;
  readonly checkBox?: boolean;
  readonly exportValue?: unknown;
  readonly radioButton?: boolean;
  readonly password?: boolean;
  readonly contentsObj?: { readonly str?: string };
};

export type PageNotes = {
  readonly texts: readonly { readonly kind: "line"; readonly text: string }[];
  readonly remarks: number;
};

const NONE: PageNotes = { texts: [], remarks: 0 };

/** Answers for a page, from 1; pages are best asked for in order. A page whose annotations are broken has none. */
export function createNotesReader(open: OpenPdf): (page: number) => Promise<PageNotes> {
  let from = 0;
  let block = new Map<number, Annotation[]>();
  return async (page) => {
    if (page < from || page >= from + PAGES_PER_CALL || from === 0) {
      from = page;
      block = await readBlock(open.document(), page);
    }
    const found = block.get(page - 1);
    return found === undefined ? NONE : notesOf(found.slice(0, MAX_ANNOTATIONS));
  };
}

async function readBlock(pdf: PDFDocumentProxy, from: number): Promise<Map<number, Annotation[]>> {
  const others = new Set<number>();
  for (let page = 1; page <= pdf.numPages; page += 1)
    if (page < from || page >= from + PAGES_PER_CALL) others.add(page - 1);
  const types = new Set([FREE_TEXT, WIDGET, ...REMARKS]);
  const byPage = new Map<number, Annotation[]>();
  for (const annotation of await readTypes(pdf, types, others, from)) {
    const page = annotation.pageIndex ?? 0;
    byPage.set(page, [...(byPage.get(page) ?? []), annotation]);
  }
  return byPage;
}

async function readTypes(
  pdf: PDFDocumentProxy,
  types: Set<number>,
  others: Set<number>,
  from: number,
): Promise<readonly Annotation[]> {
  try {
    // SAFETY: null where the document has no pages of its own; each member used is checked where it is used.
    return ((await pdf.getAnnotationsByType(types, others)) ?? []) as readonly Annotation[];
  } catch {
    return await readOneByOne(pdf, from);
  }
}

/** One broken page refuses the whole call. */
async function readOneByOne(pdf: PDFDocumentProxy, from: number): Promise<readonly Annotation[]> {
  const found: Annotation[] = [];
  for (let number = from; number < from + PAGES_PER_CALL && number <= pdf.numPages; number += 1) {
    const page = await pdf.getPage(number).catch(() => null);
    const own = ((await page?.getAnnotations().catch(() => null)) ?? []) as readonly Annotation[];
    found.push(...own.map((annotation) => ({ ...annotation, pageIndex: number - 1 })));
  }
  return found;
}

function notesOf(annotations: readonly Annotation[]): PageNotes {
  const texts: { kind: "line"; text: string }[] = [];
  let remarks = 0;
  for (const annotation of annotations) {
    const type = annotation.annotationType ?? 0;
    if (((annotation.annotationFlags ?? 0) & (HIDDEN | NO_VIEW)) !== 0) continue;
    const written = oneLine(annotation.contentsObj?.str ?? "");
    if (type === WIDGET) texts.push(...fieldLine(annotation));
    else if (type === FREE_TEXT && written !== "") texts.push({ kind: "line", text: written });
    else if (REMARKS.has(type) && written !== "") remarks += 1;
  }
  return { texts, remarks };
}

/** `Label: value` of a filled field; passwords and buttons that only do something are left out. */
function fieldLine(field: Annotation): { kind: "line"; text: string }[] {
  if (field.password === true) return [];
  const value = field.fieldType === "Btn" ? pressed(field) : typed(field);
  if (value === "") return [];
  const label = oneLine(field.alternativeText || field.fieldName || "");
  return [{ kind: "line", text: label === "" ? value : `${label}: ${value}` }];
}

function typed(field: Annotation): string {
  if (field.fieldType !== "Tx" && field.fieldType !== "Ch") return "";
  const values = [field.fieldValue].flat().filter((one) => typeof one === "string" && one.trim() !== "");
  return values.join(", ").trim();
}

/** The name a ticked box or a chosen radio button gives its state, such as `Yes`. */
function pressed(field: Annotation): string {
  const state = field.fieldValue;
  if (typeof state !== "string" || state === "" || state === "Off") return "";
  if (field.checkBox === true)
    return field.exportValue === undefined || field.exportValue === state ? state : "";
  return field.radioButton === true && field.buttonValue === state ? state : "";
}

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim();
