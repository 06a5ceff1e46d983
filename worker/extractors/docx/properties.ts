// What the property elements of a DOCX (`w:pPr`, `w:rPr`, `w:trPr`, `w:tcPr`) say about the paragraph, run, row or cell
// they stand in. Nothing in them is text.

import { attribute, isOn, type XmlAttributes } from "../office/xml.ts";
import type { Story } from "./story.ts";
import type { DocxStyles } from "./styles.ts";

export const PROPERTIES: ReadonlySet<string> = new Set(["w:pPr", "w:rPr", "w:trPr", "w:tcPr"]);

export type PropertyReader = {
  /** Inside of a property element. */
  readonly inside: boolean;
  open(name: string, attributes: XmlAttributes): void;
  close(name: string): void;
};

export function createPropertyReader(story: () => Story, styles: DocxStyles): PropertyReader {
  const open: string[] = [];

  const ofParagraph = (name: string, value: string, attributes: XmlAttributes): void => {
    const own = story();
    const { paragraph } = own;
    if (paragraph === null) return;
    if (name === "w:pStyle") {
      paragraph.styleId = value;
      own.styleHidden = styles.isHidden(value);
    } else if (name === "w:outlineLvl") paragraph.outlineLevel = Number(value);
    else if (name === "w:numId") paragraph.numId = value;
    else if (name === "w:ilvl") paragraph.numLevel = Number(value);
    else if (name === "w:framePr" && /^(drop|margin)$/.test(attribute(attributes, "dropCap") ?? ""))
      paragraph.merges = true;
  };
  const ofRun = (name: string, value: string, attributes: XmlAttributes): void => {
    const own = story();
    if (name === "w:vanish") own.runHidden = isOn(attributes);
    else if (name === "w:rStyle" && styles.isHidden(value)) own.runHidden = true;
    else if (name === "w:rFonts")
      own.runFont = attribute(attributes, "ascii") ?? attribute(attributes, "hAnsi");
  };
  const ofTable = (name: string, value: string): void => {
    const { folder, tables } = story();
    const table = tables.at(-1);
    if (table === undefined) return;
    if (name === "w:del" || name === "w:moveFrom") table.rowDeleted = true;
    else if (name === "w:cellDel") table.cellDeleted = true;
    else if (name === "w:gridSpan") folder.spanCell(Number(value));
    else if (name === "w:gridBefore" && Number(value) > 0) {
      folder.openCell();
      folder.spanCell(Number(value));
    }
  };

  return {
    get inside() {
      return open.length > 0;
    },
    open(name, attributes) {
      if (PROPERTIES.has(name)) {
        open.push(name);
        return;
      }
      const value = attribute(attributes, "val") ?? "";
      if (open[0] === "w:trPr" || open[0] === "w:tcPr") ofTable(name, value);
      else if (open[0] === "w:rPr") ofRun(name, value, attributes);
      else if (open.length === 1) ofParagraph(name, value, attributes);
      // The properties of the paragraph's mark.
      else if (name === "w:del" || name === "w:moveFrom") {
        const { paragraph } = story();
        if (paragraph !== null) paragraph.merges = true;
      }
    },
    close(name) {
      if (PROPERTIES.has(name)) open.pop();
    },
  };
}
