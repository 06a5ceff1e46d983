// Values that were typed into a PDF form: they lie in the fields, not in the page's text.
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";

const MAX_FIELDS = 2_000;

type Field = {
  readonly subtype?: string;
  readonly fieldType?: string;
  readonly fieldName?: string;
  readonly alternativeText?: string;
  readonly fieldValue?: unknown;
  readonly password?: boolean;
  readonly hidden?: boolean;
};

/** `Label: value` for each filled text and choice field of a page; passwords and hidden fields are left out. */
export async function fieldValues(page: PDFPageProxy): Promise<{ kind: "line"; text: string }[]> {
  const annotations = (await page.getAnnotations().catch(() => [])) as readonly Field[];
  const lines: { kind: "line"; text: string }[] = [];
  for (const field of annotations.slice(0, MAX_FIELDS)) {
    if (field.subtype !== "Widget" || (field.fieldType !== "Tx" && field.fieldType !== "Ch")) continue;
    if (field.password === true || field.hidden === true) continue;
    const value = [field.fieldValue].flat().filter((one) => typeof one === "string" && one.trim() !== "");
    if (value.length === 0) continue;
    const label = (field.alternativeText || field.fieldName || "").replace(/\s+/g, " ").trim();
    lines.push({ kind: "line", text: label === "" ? value.join(", ") : `${label}: ${value.join(", ")}` });
  }
  return lines;
}
