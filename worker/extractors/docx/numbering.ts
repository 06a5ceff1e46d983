// The numbers that Word draws before list items and headings. They are not in the text of a document: each follows
// from a rule (numbering.xml) and from the paragraphs before it, so labels are asked for in document order.
import { type NumberStyle, numberLabel } from "../number-labels.ts";
import { attribute, isOn, type XmlEvents } from "../office/xml.ts";

type Level = {
  start: number;
  format: string;
  text: string;
  /** The level whose use starts this one again; null is any higher one, 0 none. */
  restart: number | null;
  /** All its numbers are written in digits, whatever the higher levels say. */
  digits: boolean;
  /** The paragraph style that stands for this level. */
  style: string | null;
};

type Abstract = { levels: Map<number, Level>; counters: (number | undefined)[]; styleLink: string | null };
type Instance = {
  abstract: string;
  levels: Map<number, Level>;
  starts: Map<number, number>;
  readonly used: Set<number>;
};

export type DocxNumbering = {
  /** The label of the next paragraph of that list: `2.1`, `(c)`, `-` for a bullet, empty where none is drawn. */
  label(numId: string, level: number): string | null;
  /** The level that a style stands for in a list, 0 where it names none. */
  levelOfStyle(numId: string, styleId: string): number;
};

/** Word has nine levels. */
const MAX_LEVEL = 8;
const MAX_LABEL_CHARS = 40;
const MAX_START = 1_000_000;

/** `numIdOfStyle`: the list that a numbering style names, for lists that are a link to a style. */
export function createNumberingReader(
  numIdOfStyle: (styleId: string) => string | null,
): XmlEvents & DocxNumbering {
  const abstracts = new Map<string, Abstract>();
  const instances = new Map<string, Instance>();
  let abstract: Abstract | null = null;
  let instance: Instance | null = null;
  let level: Level | null = null;
  let overridden = 0;

  const openLevel = (at: number): void => {
    level = { start: 1, format: "decimal", text: "", restart: null, digits: false, style: null };
    (instance ?? abstract)?.levels.set(at, level);
  };
  const openLevelProperty = (name: string, value: string, on: boolean): void => {
    if (level === null) return;
    if (name === "w:start") level.start = startOf(value);
    else if (name === "w:numFmt") level.format = value;
    else if (name === "w:lvlText") level.text = value.slice(0, MAX_LABEL_CHARS);
    else if (name === "w:lvlRestart") level.restart = Number(value);
    else if (name === "w:isLgl") level.digits = on;
    else if (name === "w:pStyle") level.style = value;
  };
  const resolve = (numId: string): { instance: Instance; abstract: Abstract } | null => {
    const own = instances.get(numId);
    const direct = own === undefined ? undefined : abstracts.get(own.abstract);
    if (own === undefined || direct === undefined) return null;
    const linked = direct.styleLink === null ? null : instances.get(numIdOfStyle(direct.styleLink) ?? "");
    const target = linked == null ? undefined : abstracts.get(linked.abstract);
    return { instance: own, abstract: target ?? direct };
  };
  const count = (found: { instance: Instance; abstract: Abstract }, at: number): void => {
    const { counters, levels } = found.abstract;
    const levelAt = (index: number) => found.instance.levels.get(index) ?? levels.get(index);
    const override = found.instance.starts.get(at);
    if (override !== undefined && !found.instance.used.has(at)) counters[at] = override - 1;
    found.instance.used.add(at);
    for (let higher = 0; higher < at; higher += 1) counters[higher] ??= levelAt(higher)?.start ?? 1;
    counters[at] = (counters[at] ?? (levelAt(at)?.start ?? 1) - 1) + 1;
    for (let lower = at + 1; lower <= MAX_LEVEL; lower += 1) {
      const restart = levelAt(lower)?.restart ?? null;
      if (restart === null || (restart !== 0 && at < restart)) counters[lower] = undefined;
    }
  };

  return {
    open(name, attributes) {
      const value = attribute(attributes, "val") ?? "";
      if (name === "w:abstractNum") {
        abstract = { levels: new Map(), counters: [], styleLink: null };
        abstracts.set(attribute(attributes, "abstractNumId") ?? "", abstract);
      } else if (name === "w:num") {
        instance = { abstract: "", levels: new Map(), starts: new Map(), used: new Set() };
        instances.set(attribute(attributes, "numId") ?? "", instance);
      } else if (name === "w:abstractNumId" && instance !== null) instance.abstract = value;
      else if (name === "w:numStyleLink" && abstract !== null) abstract.styleLink = value;
      else if (name === "w:lvlOverride") overridden = levelOf(attribute(attributes, "ilvl"));
      else if (name === "w:startOverride") instance?.starts.set(overridden, startOf(value));
      else if (name === "w:lvl") openLevel(levelOf(attribute(attributes, "ilvl")));
      else openLevelProperty(name, value, isOn(attributes));
    },
    close(name) {
      if (name === "w:abstractNum") abstract = null;
      else if (name === "w:num") instance = null;
      else if (name === "w:lvl") level = null;
    },
    text() {},
    label(numId, asked) {
      const found = resolve(numId);
      if (found === null) return null;
      const at = Math.min(Math.max(0, asked), MAX_LEVEL);
      const levelAt = (index: number) =>
        found.instance.levels.get(index) ?? found.abstract.levels.get(index) ?? null;
      const own = levelAt(at);
      if (own === null) return "-";
      count(found, at);
      if (own.format === "bullet") return "-";
      if (own.format === "none") return own.text.replace(/%\d/g, "").trim();
      const written = own.text.replace(/%([1-9])/g, (_, digit: string) => {
        const index = Number(digit) - 1;
        const format = own.digits ? "decimal" : (levelAt(index)?.format ?? "decimal");
        return formatNumber(found.abstract.counters[index] ?? 1, format);
      });
      return written.trim().slice(0, MAX_LABEL_CHARS);
    },
    levelOfStyle(numId, styleId) {
      const found = resolve(numId);
      for (const [at, each] of found?.abstract.levels ?? []) if (each.style === styleId) return at;
      return 0;
    },
  };
}

function levelOf(value: string | null): number {
  const level = Number(value ?? 0);
  return Number.isInteger(level) && level >= 0 && level <= MAX_LEVEL ? level : 0;
}

function startOf(value: string): number {
  const start = Number(value);
  return Number.isInteger(start) && Math.abs(start) <= MAX_START ? start : 1;
}

/** ST_NumberFormat of ISO 29500-1, 17.18.59; what is not here is written in digits. */
const FORMATS: Readonly<Record<string, NumberStyle>> = {
  lowerRoman: "roman",
  upperRoman: "roman",
  lowerLetter: "letter",
  upperLetter: "letter",
  russianLower: "russian",
  russianUpper: "russian",
  chineseCounting: "han",
  chineseCountingThousand: "han",
  taiwaneseCounting: "han",
  taiwaneseCountingThousand: "han",
  ideographDigital: "han",
  japaneseCounting: "han",
  japaneseDigitalTenThousand: "han",
  decimalEnclosedCircle: "circle",
  decimalEnclosedCircleChinese: "circle",
};

function formatNumber(value: number, format: string): string {
  if (format === "none") return "";
  if (format === "decimalZero") return String(value).padStart(2, "0");
  const label = numberLabel(value, FORMATS[format] ?? "decimal");
  return format.startsWith("upper") || format.endsWith("Upper") ? label.toUpperCase() : label;
}
