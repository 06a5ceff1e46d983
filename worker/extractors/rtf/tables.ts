// The tables at the head of an RTF: its fonts, its styles, the code page of its text.
import { headingLevelOfName } from "../heading-names.ts";
import { codePageName, decodeRtf, type RtfFont } from "./fonts.ts";

export type RtfTables = {
  /** A control word that stands in a table, or one about the whole document (`table` null). */
  control(table: "fonts" | "styles" | null, word: string, value: number | null): void;
  /** Part of the name of the font or style that is being described. */
  name(text: string): void;
  closeFont(): void;
  closeStyle(): void;
  decode(bytes: Buffer, font: number | null): string;
  /** 0 for the title, 1 to 9 for headings, null for other text. */
  headingLevel(style: number): number | null;
};

const PAGES: Readonly<Record<string, string>> = { mac: "macroman", pc: "cp437", pca: "cp850" };

export function createRtfTables(): RtfTables {
  const fonts = new Map<number, RtfFont>();
  const levels = new Map<number, number | null>();
  let documentPage = "cp1252";
  let number = 0;
  let name = "";
  let charset: number | null = null;
  let codePage: number | null = null;
  let outline: number | null = null;
  const takeName = (): string => {
    const taken = name.replace(/;.*$/s, "").trim();
    name = "";
    return taken;
  };
  return {
    control(table, word, value) {
      // A style has a font too, which is not its number.
      if (word === (table === "fonts" ? "f" : "s")) number = value ?? 0;
      else if (word === "fcharset") charset = value;
      else if (word === "cpg") codePage = value;
      else if (word === "outlinelevel") outline = outlineLevel(value);
      else if (word === "ansicpg") documentPage = codePageName(value) ?? documentPage;
      else documentPage = PAGES[word] ?? documentPage;
    },
    name(text) {
      name += text;
    },
    closeFont() {
      const taken = takeName();
      if (taken !== "") fonts.set(number, { name: taken, charset, codePage });
      charset = null;
      codePage = null;
    },
    closeStyle() {
      const taken = takeName();
      const level = headingLevelOfName(taken);
      if (taken !== "") levels.set(number, level === undefined ? outline : level);
      number = 0;
      outline = null;
    },
    decode: (bytes, font) => decodeRtf(bytes, fonts.get(font ?? -1), documentPage),
    headingLevel: (style) => levels.get(style) ?? null,
  };
}

/** Outline levels count from 0; 9 is body text. */
export function outlineLevel(value: number | null): number | null {
  return value !== null && value >= 0 && value < 9 ? value + 1 : null;
}
