// Fields of a DOCX (page numbers, links, tables of contents, conditions): what is read is the result that Word stored,
// never the instruction. Fields stand inside each other, also inside of instructions, and run across paragraphs.
import { attribute, isOn, type XmlAttributes } from "../office/xml.ts";

type Field = { inResult: boolean; choices: string[]; chosen: number; box: boolean | null };

/** A hostile file may open fields without end. */
const MAX_DEPTH = 1_000;

export type DocxFields = {
  /** False inside of an instruction. */
  readonly shown: boolean;
  /** `w:fldChar` and what stands in it; answers text that the field shows without storing it in a run. */
  open(name: string, attributes: XmlAttributes): string;
  /**
   * Takes every open instruction for ended. One that runs on over its paragraph is damage far more often than
   * intent, and must not hide the rest of the document.
   */
  endParagraph(): void;
};

export function createFields(): DocxFields {
  const fields: Field[] = [];
  let hidden = 0;
  const begin = (): void => {
    if (fields.length >= MAX_DEPTH) return;
    fields.push({ inResult: false, choices: [], chosen: 0, box: null });
    hidden += 1;
  };
  const separate = (): void => {
    const field = fields.at(-1);
    if (field === undefined || field.inResult) return;
    field.inResult = true;
    hidden -= 1;
  };
  const end = (): string => {
    const field = fields.pop();
    if (field === undefined) return "";
    if (!field.inResult) hidden -= 1;
    if (field.box !== null) return field.box ? "☒" : "☐";
    return field.choices[field.chosen] ?? "";
  };
  return {
    get shown() {
      return hidden === 0;
    },
    open(name, attributes) {
      const field = fields.at(-1);
      if (name === "w:fldChar") {
        const type = attribute(attributes, "fldCharType");
        if (type === "begin") begin();
        else if (type === "separate") separate();
        else if (type === "end") return end();
      } else if (field !== undefined && !field.inResult) {
        if (name === "w:listEntry") field.choices.push(attribute(attributes, "val") ?? "");
        else if (name === "w:result") field.chosen = Number(attribute(attributes, "val") ?? 0);
        else if (name === "w:checkBox") field.box = false;
        // The default, and then what the reader of the form has chosen.
        else if (name === "w:checked" || (name === "w:default" && field.box !== null))
          field.box = isOn(attributes);
      }
      return "";
    },
    endParagraph() {
      if (hidden === 0) return;
      for (const field of fields) field.inResult = true;
      hidden = 0;
    },
  };
}
