// One paragraph of a DOCX while it is read: its text so far, what its properties make of it, what follows it.
import type { Block } from "../cut-segments.ts";
import { tidyText } from "../tidy-text.ts";
import type { DocxNumbering } from "./numbering.ts";
import type { DocxStyles } from "./styles.ts";

export type Paragraph = {
  text: string[];
  styleId: string | null;
  /** Said by the paragraph itself; its style may say more. */
  outlineLevel: number | null;
  numId: string | null;
  numLevel: number | null;
  /** Its mark was deleted, or it is a drop capital: it runs on into the next paragraph. */
  merges: boolean;
  /** Pages that end before its first and after its last word. */
  pagesBefore: number;
  pagesAfter: number;
  /** Boxes anchored in it, and notes that it refers to: they follow it. */
  boxes: Block[];
  notes: Block[];
};

export function createParagraph(carried: Paragraph | null): Paragraph {
  return {
    text: carried?.text ?? [],
    styleId: null,
    outlineLevel: null,
    numId: null,
    numLevel: null,
    merges: false,
    pagesBefore: carried?.pagesBefore ?? 0,
    pagesAfter: carried?.pagesAfter ?? 0,
    boxes: carried?.boxes ?? [],
    notes: carried?.notes ?? [],
  };
}

/**
 * The paragraph as a block, or none when nothing stands in it. Counts its number in the list it belongs to, so each
 * paragraph is asked for once and in order.
 */
export function blockOfParagraph(
  paragraph: Paragraph,
  styles: DocxStyles,
  numbering: DocxNumbering,
): Block | null {
  // An empty paragraph of a list has a number too.
  const label = labelOf(paragraph, styles, numbering);
  const text = tidyText(paragraph.text.join(""));
  if (text === "") return null;
  const level = headingLevel(paragraph, styles);
  if (level !== null) {
    const line = text.replace(/\s+/g, " ");
    return {
      kind: "heading",
      level,
      text: label === null || label === "-" ? line : `${label} ${line}`.trim(),
    };
  }
  if (label !== null) return { kind: "line", text: label === "" ? text : `${label} ${text}` };
  const item = paragraph.styleId !== null && paragraph.numId !== "0" && styles.isListItem(paragraph.styleId);
  return item ? { kind: "line", text: `- ${text}` } : { kind: "paragraph", text };
}

function headingLevel(paragraph: Paragraph, styles: DocxStyles): number | null {
  const { outlineLevel, styleId } = paragraph;
  if (outlineLevel !== null && outlineLevel >= 0 && outlineLevel < 9) return outlineLevel + 1;
  return styleId === null ? null : styles.headingLevel(styleId);
}

function labelOf(paragraph: Paragraph, styles: DocxStyles, numbering: DocxNumbering): string | null {
  const { numId, numLevel, styleId } = paragraph;
  if (numId === "0") return null;
  const styled = styleId === null ? null : styles.numbering(styleId);
  if (numId !== null) return numbering.label(numId, numLevel ?? styled?.level ?? 0) ?? "-";
  if (styled === null) return null;
  const level = numLevel ?? styled.level ?? numbering.levelOfStyle(styled.numId, styled.styleId);
  return numbering.label(styled.numId, level) ?? "-";
}
