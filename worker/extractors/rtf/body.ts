// RTF as blocks, from tokens: paragraphs with their styles, rows of tables, labels of lists as the writer drew them,
// notes and text boxes behind the paragraph they are anchored in.
import { Failure } from "../../failure/failure.ts";
import type { Block } from "../cut-segments.ts";
import { createTableFolder } from "../fold-tables.ts";
import { tidyText } from "../tidy-text.ts";
import { chooseDestination, createGroup, type Group } from "./groups.ts";
import { createRtfTables, outlineLevel } from "./tables.ts";
import type { RtfTokens } from "./tokens.ts";

const MAX_DEPTH = 10_000;
/** Boxes nested deeper hand their text to the same host: each level would copy all it holds. */
const MAX_STORIES = 32;
const CHARACTERS: Readonly<Record<string, string>> = {
  tab: "\t",
  line: "\n",
  emdash: "—",
  endash: "–",
  lquote: "‘",
  rquote: "’",
  ldblquote: "“",
  rdblquote: "”",
  bullet: "•",
  emspace: " ",
  enspace: " ",
  qmspace: " ",
  "~": " ",
  _: "-",
  "{": "{",
  "}": "}",
  "\\": "\\",
};

const DOCUMENT_WORDS = new Set(["ansicpg", "mac", "pc", "pca"]);

type Paragraph = { text: string[]; label: string[]; aside: Block[] };
type Story = { paragraph: Paragraph; readonly depth: number };
type Properties = { style: number; outline: number | null; inTable: boolean };

export type RtfReader = RtfTokens & {
  readonly title: string | null;
  /** Groups that are open: 0 at the end of a whole file. */
  readonly depth: number;
  end(): void;
};

export function createRtfReader(maxChars: number, emit: (block: Block) => void): RtfReader {
  const folder = createTableFolder(emit);
  const groups: Group[] = [];
  const tables = createRtfTables();
  const stories: Story[] = [{ paragraph: emptyParagraph(), depth: 0 }];
  const properties: Properties = { style: 0, outline: null, inTable: false };
  let pending: Buffer[] = [];
  let substitutes = 0;
  let chars = 0;
  let title = "";
  let tableOpen = false;
  // SAFETY: the first story is never taken away.
  const story = (): Story => stories.at(-1) as Story;

  const flush = (): void => {
    const group = groups.at(-1);
    if (pending.length === 0) return;
    const bytes = Buffer.concat(pending);
    pending = [];
    if (group !== undefined) write(group, tables.decode(bytes, group.font));
  };
  const write = (group: Group, text: string): void => {
    if (group.destination === "fonts" || group.destination === "styles") tables.name(text);
    else if (group.destination === "title") title += text;
    else if (group.hidden || group.deleted) return;
    else if (group.destination === "label") story().paragraph.label.push(text);
    else if (group.destination === "body") {
      chars += text.length;
      if (chars > maxChars) throw new Failure("extract.too-large", { facts: { maxChars } });
      story().paragraph.text.push(text);
    }
  };
  const closeParagraph = (): void => {
    const own = story();
    const { paragraph } = own;
    own.paragraph = emptyParagraph();
    const level = properties.outline ?? tables.headingLevel(properties.style);
    const block = blockOf(paragraph, stories.length > 1 ? null : level);
    const host = stories.length === 1 ? undefined : stories[Math.min(stories.length - 2, MAX_STORIES)];
    if (host !== undefined) {
      if (block !== null) host.paragraph.aside.push(block);
      for (const each of paragraph.aside) host.paragraph.aside.push(each);
      return;
    }
    if (block === null && paragraph.aside.length === 0 && !properties.inTable) return;
    if (properties.inTable) openTable();
    else closeTable();
    if (block !== null) folder.put(block);
    for (const each of paragraph.aside) folder.put(each);
  };
  const openTable = (): void => {
    if (tableOpen) return;
    tableOpen = true;
    folder.openTable();
    folder.openRow();
    folder.openCell();
  };
  const closeTable = (): void => {
    if (tableOpen) folder.closeTable();
    tableOpen = false;
  };
  const closeCell = (): void => {
    // The cells of a table in a text box are paragraphs of it.
    if (stories.length === 1) {
      properties.inTable = true;
      openTable();
    }
    closeParagraph();
    if (stories.length === 1) folder.openCell();
  };
  const closeRow = (): void => {
    if (stories.length > 1 || !tableOpen) return;
    folder.closeRow();
    folder.openRow();
    folder.openCell();
  };
  const setProperty = (group: Group, word: string, value: number | null): void => {
    const { destination } = group;
    if (destination === "fonts" || destination === "styles") tables.control(destination, word, value);
    else if (DOCUMENT_WORDS.has(word)) tables.control(null, word, value);
    else if (word === "f") group.font = value;
    else if (word === "uc") group.substitutes = Math.max(0, value ?? 1);
    else if (word === "v") group.hidden = value !== 0;
    else if (word === "deleted") group.deleted = value !== 0;
    else if (word === "s") properties.style = value ?? 0;
    else if (word === "outlinelevel") properties.outline = outlineLevel(value);
    else if (word === "plain") {
      group.hidden = false;
      group.deleted = false;
      group.font = null;
    }
  };
  const setParagraph = (word: string): void => {
    if (word === "par" || word === "sect" || word === "nestcell" || word === "nestrow") closeParagraph();
    else if (word === "cell") closeCell();
    else if (word === "row") closeRow();
    else if (word === "intbl") properties.inTable = true;
    else if (word === "pard") Object.assign(properties, { style: 0, outline: null, inTable: false });
  };
  const writeUnicode = (group: Group, value: number): void => {
    write(group, String.fromCharCode(value < 0 ? value + 65_536 : value));
    substitutes = group.substitutes;
  };

  return {
    get title() {
      return title.trim() === "" ? null : title.replace(/\s+/g, " ").trim();
    },
    get depth() {
      return groups.length;
    },
    openGroup() {
      flush();
      substitutes = 0;
      if (groups.length >= MAX_DEPTH) throw new Failure("extract.too-large", { facts: { depth: MAX_DEPTH } });
      groups.push(createGroup(groups.at(-1) ?? null));
    },
    closeGroup() {
      flush();
      substitutes = 0;
      const group = groups.pop();
      if (group?.destination === "fonts") tables.closeFont();
      if (group?.destination === "styles") tables.closeStyle();
      if (story().depth <= groups.length || stories.length === 1) return;
      closeParagraph();
      stories.pop();
    },
    control(word, value) {
      flush();
      const group = groups.at(-1);
      if (group === undefined) return;
      if (word === "*") {
        group.starred = true;
        return;
      }
      const first = group.fresh;
      group.fresh = false;
      if (first && chooseDestination(group, word, groups.at(-2) ?? null)) {
        if (group.apart) stories.push({ paragraph: emptyParagraph(), depth: groups.length });
        return;
      }
      if (group.destination === "skipped") return;
      const character = CHARACTERS[word];
      if (word === "u" && value !== null) writeUnicode(group, value);
      else if (character !== undefined) write(group, character);
      else {
        if (group.destination === "body") setParagraph(word);
        setProperty(group, word, value);
      }
    },
    text(bytes) {
      const group = groups.at(-1);
      if (group === undefined || group.destination === "skipped") return;
      group.fresh = false;
      const passed = Math.min(substitutes, bytes.length);
      substitutes -= passed;
      if (passed < bytes.length) pending.push(Buffer.from(bytes.subarray(passed)));
      // Names in the tables of fonts and styles may stand without groups of their own.
      if (group.destination !== "fonts" || !bytes.includes(0x3b)) return;
      flush();
      tables.closeFont();
    },
    end() {
      flush();
      while (stories.length > 1) {
        closeParagraph();
        stories.pop();
      }
      closeParagraph();
      closeTable();
    },
  };
}

function emptyParagraph(): Paragraph {
  return { text: [], label: [], aside: [] };
}

function blockOf({ text, label }: Paragraph, level: number | null): Block | null {
  const written = tidyText(text.join(""));
  if (written === "") return null;
  const drawn = tidyText(label.join(""));
  // Bullets are drawn in fonts of symbols.
  const mark = drawn === "" || /[\p{L}\p{N}]/u.test(drawn) ? drawn : "-";
  if (level !== null)
    return {
      kind: "heading",
      level,
      text: `${mark === "-" ? "" : mark} ${written}`.replace(/\s+/g, " ").trim(),
    };
  return mark === "" ? { kind: "paragraph", text: written } : { kind: "line", text: `${mark} ${written}` };
}
