// Runs of one line to its text: their order where right-to-left and left-to-right text meet, the spaces between
// them, and words whose letters were set apart.
import type { Run } from "./runs.ts";

/** Ems between two letters that are a space where the stream has none. */
const SPACE_GAP = 0.13;
/** As many letters with spaces between are one word that was set wide. */
const MIN_SPACED_LETTERS = 5;
const MIN_LETTER_SHARE = 0.6;
/** Among letters set apart, a gap so many times the usual one parts words. */
const WIDE_WORD_GAP = 1.6;

const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/g;
const ANY_RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;
const STRONG = /[\p{L}]/gu;

/** Whether most letters of these texts are written from right to left. */
export function isRightToLeft(texts: Iterable<string>): boolean {
  let rtl = 0;
  let all = 0;
  for (const text of texts) {
    const found = ANY_RTL.test(text) ? (text.match(RTL)?.length ?? 0) : 0;
    rtl += found;
    all += found > 0 ? (text.match(STRONG)?.length ?? 0) : text.length;
  }
  return rtl > 0 && rtl * 2 > all;
}

/** `runs` from left to right as they are seen; `rtl` is the direction of their line. */
export function textOfRuns(runs: readonly Run[], rtl: boolean): string {
  const only = runs[0];
  if (runs.length === 1 && only !== undefined) return tidy(closeLetters(only.text));
  const spread = closeSpreadLetters(runs);
  if (spread !== null) return spread;
  const spaces = new Set<Run>();
  for (const [at, run] of runs.entries()) {
    const left = runs[at - 1];
    if (left !== undefined && hasSpace(left, run)) spaces.add(run);
  }
  let text = "";
  const order = inReadingOrder(runs, rtl);
  const place = new Map(runs.map((run, at) => [run, at]));
  for (const [at, run] of order.entries()) {
    const before = order[at - 1];
    if (before !== undefined) {
      const [a, b] = [place.get(before) ?? 0, place.get(run) ?? 0];
      // Runs that the eye does not see side by side are parted by the turn of direction between them.
      const spaced = Math.abs(a - b) !== 1 || spaces.has(a < b ? run : before);
      if (spaced) text += " ";
    }
    text += closeLetters(run.text);
  }
  return tidy(text);
}

function hasSpace(left: Run, right: Run): boolean {
  if (right.seq === left.seq + 1 && right.spaced) return true;
  if (left.seq === right.seq + 1 && left.spaced) return true;
  if (isNoteMark(left, right)) return true;
  return right.x - left.right > SPACE_GAP * Math.min(left.size, right.size);
}

/** A raised number before a word is a footnote's own mark; after a word it belongs to it. */
function isNoteMark(left: Run, right: Run): boolean {
  return left.size < 0.85 * right.size && left.y > right.y + 0.1 * right.size && /^\d{1,3}$/.test(left.text);
}

/** Stretches against the line's direction are turned round; numbers go from left to right always. */
function inReadingOrder(runs: readonly Run[], rtl: boolean): Run[] {
  if (!rtl && !runs.some((run) => run.rtl)) return [...runs];
  const against = runs.map((run) => (rtl ? isLeftToRight(run) : run.rtl));
  for (const [at, run] of runs.entries())
    if (!/[\p{L}\p{N}]/u.test(run.text) && against[at - 1] === true && against[at + 1] === true)
      against[at] = true;
  const line = rtl ? runs.toReversed() : [...runs];
  const turned = rtl ? against.toReversed() : against;
  const ordered: Run[] = [];
  for (let at = 0; at < line.length; at += 1) {
    const first = at;
    while (turned[first] === true && turned[at + 1] === true) at += 1;
    ordered.push(
      ...(turned[first] === true ? line.slice(first, at + 1).reverse() : line.slice(first, at + 1)),
    );
  }
  return ordered;
}

const isLeftToRight = (run: Run): boolean => !run.rtl && /[\p{L}\p{N}]/u.test(run.text);

/** `A B S T R A C T` in one run; more than one space parts words. */
function closeLetters(text: string): string {
  if (text[1] !== " " || text.length < 2 * MIN_SPACED_LETTERS - 1) return text;
  const words = text.split(WORD_SPACE).map((word) => word.split(" "));
  return areSetApart(words.flat()) ? words.map((letters) => letters.join("")).join(" ") : text;
}

/** Letters drawn with wide gaps, one by one or a word at a time: words are told apart by still wider ones. Else null. */
function closeSpreadLetters(runs: readonly Run[]): string | null {
  if ((runs[0]?.text.length ?? 0) > 1 && runs[0]?.text[1] !== " ") return null;
  const letters = runs.flatMap((run) => run.text.split(/ +/));
  if (!areSetApart(letters)) return null;
  const gaps = runs.slice(1).map((run, at) => run.x - (runs[at]?.right ?? 0));
  const usual = gaps.toSorted((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 0;
  if (usual <= SPACE_GAP * (runs[0]?.size ?? 1)) return null;
  // Where most gaps lie within runs, those between them are the wider ones.
  const within = letters.length - runs.length > runs.length;
  return runs
    .map(({ text }, at) => {
      const apart = at > 0 && (within || (gaps[at - 1] ?? 0) > WIDE_WORD_GAP * usual);
      const words = text.split(WORD_SPACE).map((word) => word.replaceAll(" ", ""));
      return (apart ? " " : "") + words.join(" ");
    })
    .join("");
}

const WORD_SPACE = / {2,}/;

/** Single signs of which most are letters: neither a formula nor a row of figures. */
function areSetApart(signs: readonly string[]): boolean {
  if (!signs.every((sign) => SET_APART.test(sign))) return false;
  const letters = signs.filter((sign) => LETTER.test(sign)).length;
  return letters >= MIN_SPACED_LETTERS && letters >= MIN_LETTER_SHARE * signs.length;
}

const SET_APART = /^(?:\p{L}\p{M}*|\p{N}|[.,:;!?&'’-])$/u;
const LETTER = /^\p{L}/u;

const CJK = "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\u3001-\\u301f\\uff00-\\uff60";
const CJK_GAP = new RegExp(`(?<=[${CJK}]) +(?=[${CJK}])`, "gu");
/** Dots that lead the eye to a page number. */
const LEADERS = /(?:\s*\.){5,}\s*/g;

/** Within a line it would not be drawn: a font that has one sign for both kinds of hyphen names the wrong one. */
const DRAWN_HYPHEN = /\u00ad(?!$)/g;

function tidy(text: string): string {
  let clean = text.replace(/\s+/g, " ").trim();
  if (/[\u3040-\u9fff]/.test(clean)) clean = clean.replace(CJK_GAP, "");
  if (clean.includes("\u00ad")) clean = clean.replace(DRAWN_HYPHEN, "-");
  return clean.includes(". .") || clean.includes(".....") ? clean.replace(LEADERS, " … ").trim() : clean;
}

/** Whether a line end between them is no space: Chinese and Japanese are written without. */
export function joinsWithoutSpace(text: string, next: string): boolean {
  return CJK_END.test(text) && CJK_START.test(next);
}

const CJK_END = new RegExp(`[${CJK}]$`, "u");
const CJK_START = new RegExp(`^[${CJK}]`, "u");
