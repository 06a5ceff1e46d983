// What styles say about a paragraph or run: heading level, list, hidden. Word writes the names of its own styles in
// English in every language version ("heading 1" behind the id "berschrift1"), other programs write them in their
// user's language; the outline level is a further witness for styles that somebody made.
import { headingLevelOfName } from "../heading-names.ts";
import { attribute, isOn, type XmlEvents } from "../office/xml.ts";

type Style = {
  name: string;
  basedOn: string | null;
  outlineLevel: number | null;
  numId: string | null;
  numLevel: number | null;
  hidden: boolean | null;
};

/** A paragraph's place in a list; `level` null: the list says which level the style stands for. */
export type StyleNumbering = {
  readonly numId: string;
  readonly level: number | null;
  readonly styleId: string;
};

export type DocxStyles = {
  /** 0 for the title, 1 to 9 for headings, null for other text. */
  headingLevel(styleId: string): number | null;
  isListItem(styleId: string): boolean;
  isHidden(styleId: string): boolean;
  numbering(styleId: string): StyleNumbering | null;
};

/** A style that is based on itself in a ring must not hang the reader. */
const MAX_ANCESTORS = 20;

export function createStyleReader(): XmlEvents & DocxStyles {
  const styles = new Map<string, Style>();
  let current: Style | null = null;
  const ancestry = (id: string): { id: string; style: Style }[] => {
    const chain: { id: string; style: Style }[] = [];
    for (let at: string | null = id; at !== null && chain.length < MAX_ANCESTORS; ) {
      const style: Style | undefined = styles.get(at);
      if (style === undefined) break;
      chain.push({ id: at, style });
      at = style.basedOn;
    }
    return chain;
  };
  return {
    open(name, attributes) {
      const value = attribute(attributes, "val");
      if (name === "w:style") {
        current = { ...PLAIN };
        styles.set(attribute(attributes, "styleId") ?? "", current);
      } else if (current === null) return;
      else if (name === "w:name") current.name = value ?? "";
      else if (name === "w:basedOn") current.basedOn = value;
      else if (name === "w:outlineLvl") current.outlineLevel = Number(value ?? 9);
      else if (name === "w:numId") current.numId = value;
      else if (name === "w:ilvl") current.numLevel = Number(value ?? 0);
      else if (name === "w:vanish") current.hidden = isOn(attributes);
    },
    close(name) {
      if (name === "w:style") current = null;
    },
    text() {},
    headingLevel(id) {
      for (const { style } of ancestry(id)) {
        const level = headingLevelOfName(style.name) ?? levelOfOutline(style.outlineLevel);
        if (level !== undefined) return level;
      }
      // A document without a style part still names its styles.
      return styles.has(id) ? null : (headingLevelOfName(id.replace(/(\d)$/, " $1")) ?? null);
    },
    isListItem: (id) => ancestry(id).some(({ style }) => /^list (bullet|number|paragraph)/i.test(style.name)),
    isHidden: (id) => ancestry(id).find(({ style }) => style.hidden !== null)?.style.hidden ?? false,
    numbering(id) {
      const found = ancestry(id).find(({ style }) => style.numId !== null);
      if (found === undefined || found.style.numId === null || found.style.numId === "0") return null;
      return { numId: found.style.numId, level: found.style.numLevel, styleId: found.id };
    },
  };
}

const PLAIN: Style = {
  name: "",
  basedOn: null,
  outlineLevel: null,
  numId: null,
  numLevel: null,
  hidden: null,
};

/** Outline levels count from 0; 9 is body text. */
function levelOfOutline(level: number | null): number | null | undefined {
  if (level === null) return undefined;
  return level >= 0 && level < 9 ? level + 1 : null;
}
