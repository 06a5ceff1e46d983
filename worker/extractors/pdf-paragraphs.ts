// Lines of a page to paragraphs: lines that belong together are joined by line breaks, words that a line end
// has cut are made whole. Line breaks stay, because a table or a poem cannot be told from prose by geometry alone.
import type { Block } from "./cut-segments.ts";
import type { PdfLine } from "./pdf-lines.ts";

/** A step down of more than this many times the size starts a paragraph; 1.2 is usual leading. */
const PARAGRAPH_STEP = 1.75;
const VOCABULARY_WORDS = 50_000;

export type WordJoiner = {
  /** Two lines of one paragraph as one text, a cut word made whole. */
  join(text: string, next: string): string;
  /** Learns the words of a text that were not cut. */
  learn(text: string): void;
};

/**
 * Joins `exam-` + `ple`. The hyphen stays where the document writes the word with one elsewhere, or where
 * the first part is a word that compounds begin with.
 */
export function createWordJoiner(): WordJoiner {
  const words = new Set<string>();
  return {
    learn(text) {
      if (words.size >= VOCABULARY_WORDS) return;
      for (const word of text.toLowerCase().match(/[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*/gu) ?? [])
        words.add(word);
    },
    join(text, next) {
      const left = /([\p{L}\p{M}]+)([-\u2010\u00ad])$/u.exec(text);
      const right = /^[\p{Ll}][\p{L}\p{M}]*/u.exec(next);
      if (left === null || right === null) return `${text}\n${next}`;
      const [, head = "", hyphen = "-"] = left;
      const hyphenated = `${head}-${right[0]}`.toLowerCase();
      const keeps = hyphen !== "\u00ad" && (words.has(hyphenated) || COMPOUND_HEADS.test(head));
      const whole = text.slice(0, -1) + (keeps ? "-" : "") + right[0];
      const rest = next.slice(right[0].length).replace(/^([,.;:!?)\]”’"']*)\s+/, "$1\n");
      return whole + rest;
    },
  };
}

const COMPOUND_HEADS =
  /^(self|non|well|high|low|long|short|multi|cross|state|real|open|user|all|ex|half|third|two|three|four|one)$/i;

/** Paragraph blocks of consecutive lines without headings. */
export function paragraphsOf(lines: readonly PdfLine[], joiner: WordJoiner): Block[] {
  const blocks: Block[] = [];
  let text: string | null = null;
  let last: PdfLine | null = null;
  for (const line of lines) {
    const joins: boolean = text !== null && last !== null && continues(last, line);
    if (!joins && text !== null) blocks.push({ kind: "paragraph", text });
    text = joins && text !== null ? joiner.join(text, line.text) : line.text;
    last = line;
  }
  if (text !== null) blocks.push({ kind: "paragraph", text });
  for (const line of lines)
    joiner.learn(/[-\u2010\u00ad]$/.test(line.text) ? line.text.replace(/\S+$/, "") : line.text);
  return blocks;
}

function continues(last: PdfLine, line: PdfLine): boolean {
  const step = last.y - line.y;
  const size = Math.max(last.size, line.size);
  // Upwards is the next column, or a page in no order: a cut word or an open sentence goes on.
  if (step < -0.5 * size) return /[-\u2010\u00ad\p{Ll},]$/u.test(last.text);
  return step <= PARAGRAPH_STEP * size && Math.abs(last.size - line.size) <= 0.15 * size;
}
