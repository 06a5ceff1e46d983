// What the styles of an OpenDocument file say: which text is hidden, which paragraphs are titles, how lists are
// numbered. Styles stand in styles.xml and again before the body in content.xml; one reader takes both.
import { type NumberStyle, numberLabel } from "../number-labels.ts";
import type { XmlAttributes } from "../office/xml.ts";

type Style = { parent: string | null; level: number | null; hidden: boolean; unnumbered: boolean };
type ListLevel = {
  /** Empty: no number is drawn; null: a bullet. */
  readonly format: string | null;
  readonly prefix: string;
  readonly suffix: string;
  readonly start: number;
  /** How many levels the number shows. */
  readonly shown: number;
};
export type ListStyle = ReadonlyMap<number, ListLevel>;

/** The name under which the numbering of headings is kept among the list styles. */
export const OUTLINE = "\0outline";
const MAX_ANCESTORS = 20;
const MAX_LEVEL = 10;
/** A file may call a chapter a sign; it is repeated with each item. */
const MAX_SIGN_CHARS = 40;

export type OdfStyles = {
  open(name: string, attributes: XmlAttributes): void;
  isHidden(style: string | undefined): boolean;
  /** In a list, and yet without its number. */
  isUnnumbered(style: string | undefined): boolean;
  /** 0 for the title, 1 to 9 for headings, null for other text. */
  headingLevel(style: string | undefined): number | null;
  list(style: string | null): ListStyle | null;
};

export function createOdfStyles(): OdfStyles {
  const styles = new Map<string, Style>();
  const lists = new Map<string, Map<number, ListLevel>>();
  let style: Style | null = null;
  let list: Map<number, ListLevel> | null = null;
  const named = (id: string | undefined): Style | undefined => styles.get(id ?? "");
  return {
    open(name, attributes) {
      if (name === "style:style") {
        const level = Number(attributes["style:default-outline-level"] || Number.NaN);
        style = {
          parent: attributes["style:parent-style-name"] ?? null,
          level: level >= 1 && level <= 9 ? level : null,
          hidden: false,
          unnumbered: false,
        };
        styles.set(attributes["style:name"] ?? "", style);
      } else if (name === "style:text-properties" && attributes["text:display"] === "none") {
        if (style !== null) style.hidden = true;
      } else if (name === "style:table-properties" && attributes["table:display"] === "false") {
        if (style !== null) style.hidden = true;
      } else if (name === "style:paragraph-properties" && attributes["text:enable-numbering"] === "false") {
        if (style !== null) style.unnumbered = true;
      } else if (name === "text:list-style" || name === "text:outline-style") {
        list = new Map();
        lists.set(name === "text:outline-style" ? OUTLINE : (attributes["style:name"] ?? ""), list);
      } else if (/^text:(list|outline)-level-style/.test(name))
        list?.set(levelOf(attributes), listLevel(name, attributes));
    },
    isHidden: (id) => named(id)?.hidden ?? false,
    isUnnumbered: (id) => named(id)?.unnumbered ?? false,
    headingLevel(id) {
      let at = id;
      for (let steps = 0; at !== undefined && steps < MAX_ANCESTORS; steps += 1) {
        const own = named(at);
        const level = /^Heading_20_([1-9])$/.exec(at)?.[1];
        if (at === "Title") return 0;
        if (own?.level != null) return own.level;
        if (level !== undefined) return Number(level);
        at = own?.parent ?? undefined;
      }
      return null;
    },
    list: (id) => lists.get(id ?? "") ?? null,
  };
}

function levelOf(attributes: XmlAttributes): number {
  const level = Number(attributes["text:level"] ?? 1);
  return Number.isInteger(level) && level >= 1 && level <= MAX_LEVEL ? level : 1;
}

function listLevel(name: string, attributes: XmlAttributes): ListLevel {
  const start = Number(attributes["text:start-value"] ?? 1);
  return {
    format: /-(bullet|image)$/.test(name) ? null : (attributes["style:num-format"] ?? ""),
    prefix: (attributes["style:num-prefix"] ?? "").slice(0, MAX_SIGN_CHARS),
    suffix: (attributes["style:num-suffix"] ?? "").slice(0, MAX_SIGN_CHARS),
    start: Number.isInteger(start) && start >= 0 ? start : 1,
    shown: Number(attributes["text:display-levels"] ?? 1),
  };
}

export type Numbering = {
  /** The label of the next item on a level (from 1); `-` for a bullet, empty where none is drawn. */
  next(style: ListStyle | null, level: number, startValue?: number): string;
  reset(): void;
};

/** Counts the items of one list, or of all headings. */
export function createNumbering(): Numbering {
  let counters: number[] = [];
  return {
    reset() {
      counters = [];
    },
    next(style, asked, startValue) {
      const level = Math.min(Math.max(1, asked), MAX_LEVEL);
      for (let higher = 1; higher < level; higher += 1) counters[higher] ??= style?.get(higher)?.start ?? 1;
      const own = style?.get(level);
      const value = startValue ?? (counters[level] ?? (own?.start ?? 1) - 1) + 1;
      counters[level] = value;
      counters.length = level + 1;
      if (own === undefined || own.format === null) return "-";
      if (own.format === "") return "";
      const first = Math.max(1, level - Math.max(1, own.shown) + 1);
      const numbers: string[] = [];
      for (let at = first; at <= level; at += 1) {
        const format = style?.get(at)?.format;
        if (format !== undefined && format !== null && format !== "")
          numbers.push(formatted(counters[at] ?? 1, format));
      }
      return `${own.prefix}${numbers.join(".")}${own.suffix}`.trim();
    },
  };
}

const FORMATS: Readonly<Record<string, NumberStyle>> = {
  i: "roman",
  I: "roman",
  a: "letter",
  A: "letter",
  "一, 二, 三, ...": "han",
  "①, ②, ③, ...": "circle",
};

function formatted(value: number, format: string): string {
  const label = numberLabel(value, FORMATS[format] ?? "decimal");
  return /^[IA]$/.test(format) ? label.toUpperCase() : label;
}
