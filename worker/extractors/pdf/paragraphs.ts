// Lines of a page to blocks: rows of tables, and paragraphs whose lines are joined. A line end that the margin
// forced is a space; one that was chosen, as in a poem or an address, stays.

import type { Block } from "../cut-segments.ts";
import { CELL_SEPARATOR } from "../fold-tables.ts";
import { joinsWithoutSpace } from "./compose-text.ts";
import type { WordJoiner } from "./join-words.ts";
import type { PdfLine } from "./lines.ts";
import { beginsItem } from "./list-marks.ts";

/** A step down of more than this many times the size starts a paragraph; 1.2 is usual leading. */
const PARAGRAPH_STEP = 1.75;
/** Ems by which the first line of a paragraph is set in. */
const INDENT = { min: 0.8, max: 5 };
/** Ems that a line may end before the margin although the next word would have had room. */
const RAGGED = 0.5;

/** Blocks of consecutive lines without headings. */
export function paragraphsOf(lines: readonly PdfLine[], joiner: WordJoiner): Block[] {
  const blocks: Block[] = [];
  let text: string | null = null;
  let last: PdfLine | null = null;
  const flush = (): void => {
    if (text !== null) blocks.push({ kind: "paragraph", text });
    text = null;
  };
  for (const [at, line] of lines.entries()) {
    if (line.row) {
      flush();
      blocks.push({ kind: "line", text: line.cells.map((cell) => cell.text).join(CELL_SEPARATOR) });
    } else if (text === null || last === null || last.row || !continues(last, line, lines[at + 1])) {
      flush();
      text = line.text;
    } else {
      text = joinLines(text, last, line, joiner);
    }
    last = line;
  }
  flush();
  for (const line of lines) joiner.learn(line.text);
  return blocks;
}

function joinLines(text: string, last: PdfLine, line: PdfLine, joiner: WordJoiner): string {
  const whole = joiner.join(text, line.text);
  if (whole !== null) return whole;
  if (!isForced(last, line)) return `${text}\n${line.text}`;
  return joinsWithoutSpace(text, line.text) ? text + line.text : `${text} ${line.text}`;
}

/** The next line's first word had no room left. */
function isForced(last: PdfLine, line: PdfLine): boolean {
  if (line.block !== last.block) return true;
  if (beginsItem(line.text)) return false;
  const word = /^\S+/.exec(line.text)?.[0].length ?? 0;
  const width = ((line.right - line.x) * word) / Math.max(1, line.text.length);
  const room = last.rtl ? last.x - last.margins.left : last.margins.right - last.right;
  return width + RAGGED * last.size > room;
}

function continues(last: PdfLine, line: PdfLine, next: PdfLine | undefined): boolean {
  const step = last.y - line.y;
  const size = Math.max(last.size, line.size);
  if (last.frame !== line.frame || Math.abs(last.size - line.size) > 0.15 * size) return false;
  // The next column, or the next region: a cut word or an open sentence goes on.
  if (step < -0.5 * size || line.block !== last.block)
    return /[-\u2010\u00ad\p{Ll},]$/u.test(last.text) && /^\p{Ll}/u.test(line.text);
  if (step > PARAGRAPH_STEP * size) return false;
  const indent = (line.rtl ? last.right - line.right : line.x - last.x) / size;
  if (indent < INDENT.min || indent > INDENT.max || beginsItem(last.text)) return true;
  // Set in: the first line of a paragraph when the line before was its last, or when the next one is out again.
  return isForced(last, line) && !(next !== undefined && isOut(line, next, size));
}

function isOut(line: PdfLine, next: PdfLine, size: number): boolean {
  const out = line.rtl ? next.right - line.right : line.x - next.x;
  return next.block === line.block && out >= INDENT.min * size;
}
