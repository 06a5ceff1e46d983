// What styles say about a paragraph or run: heading level, list item, hidden. Word writes built-in style names
// in English in every language version ("heading 1" behind the id "berschrift1"); the outline level is a second
// witness for styles that somebody made.
import { attribute, isOn, type XmlEvents } from "./office-xml.ts";

type Style = {
  name: string;
  basedOn: string | null;
  outlineLevel: number | null;
  numbered: boolean;
  hidden: boolean | null;
};

export type DocxStyles = {
  /** 0 for the title, 1 to 9 for headings, null for other text. */
  headingLevel(styleId: string): number | null;
  isListItem(styleId: string): boolean;
  isHidden(styleId: string): boolean;
};

/** A style that is based on itself in a ring must not hang the reader. */
const MAX_ANCESTORS = 20;

export function createStyleReader(): XmlEvents & DocxStyles {
  const styles = new Map<string, Style>();
  let current: Style | null = null;
  const ancestry = (id: string): Style[] => {
    const chain: Style[] = [];
    for (let at: string | null = id; at !== null && chain.length < MAX_ANCESTORS; ) {
      const style: Style | undefined = styles.get(at);
      if (style === undefined) break;
      chain.push(style);
      at = style.basedOn;
    }
    return chain;
  };
  return {
    open(name, attributes) {
      const value = attribute(attributes, "val");
      if (name === "w:style") {
        current = { name: "", basedOn: null, outlineLevel: null, numbered: false, hidden: null };
        styles.set(attribute(attributes, "styleId") ?? "", current);
      } else if (current === null) return;
      else if (name === "w:name") current.name = value ?? "";
      else if (name === "w:basedOn") current.basedOn = value;
      else if (name === "w:outlineLvl") current.outlineLevel = Number(value ?? 9);
      else if (name === "w:numPr") current.numbered = true;
      else if (name === "w:vanish") current.hidden = isOn(attributes);
    },
    close(name) {
      if (name === "w:style") current = null;
    },
    text() {},
    headingLevel(id) {
      for (const style of ancestry(id)) {
        const level = levelOfName(style.name) ?? levelOfOutline(style.outlineLevel);
        if (level !== undefined) return level;
      }
      // A document without a style part still names its styles.
      return styles.has(id) ? null : (levelOfName(id.replace(/(\d)$/, " $1")) ?? null);
    },
    isListItem: (id) =>
      ancestry(id).some((style) => style.numbered || /^list (bullet|number|paragraph)/i.test(style.name)),
    isHidden: (id) => ancestry(id).find((style) => style.hidden !== null)?.hidden ?? false,
  };
}

/** undefined: the name does not tell; null: it is a style that is no heading by name. */
function levelOfName(name: string): number | null | undefined {
  if (/^title$/i.test(name)) return 0;
  if (/^toc\b/i.test(name)) return null;
  const level = /^heading\s*([1-9])$/i.exec(name)?.[1];
  return level === undefined ? undefined : Number(level);
}

/** Outline levels count from 0; 9 is body text. */
function levelOfOutline(level: number | null): number | null | undefined {
  if (level === null) return undefined;
  return level >= 0 && level < 9 ? level + 1 : null;
}
