// Numbers as lists write them: 3, iii, C, 三, ③. Shared by the formats that number paragraphs by rule.

const ROMAN: readonly (readonly [number, string])[] = [
  [1_000, "m"],
  [900, "cm"],
  [500, "d"],
  [400, "cd"],
  [100, "c"],
  [90, "xc"],
  [50, "l"],
  [40, "xl"],
  [10, "x"],
  [9, "ix"],
  [5, "v"],
  [4, "iv"],
  [1, "i"],
];
const LATIN = "abcdefghijklmnopqrstuvwxyz";
// Word leaves out ё, й, ъ, ы and ь when it counts.
const RUSSIAN = "абвгдежзиклмнопрстуфхцчшщэюя";
const HAN_DIGITS = "〇一二三四五六七八九";
const HAN_UNITS = ["", "十", "百", "千"];
/** Above this a label is no numeral that anybody wrote; the plain number says it shorter. */
const MAX_NUMERAL = 3_999;

export type NumberStyle = "decimal" | "roman" | "letter" | "russian" | "han" | "circle";

/** A positive number in lower case; numbers that the style cannot write come as digits. */
export function numberLabel(value: number, style: NumberStyle): string {
  if (value < 1 || value > MAX_NUMERAL) return String(value);
  if (style === "roman") return roman(value);
  if (style === "letter") return repeatedLetter(value, LATIN);
  if (style === "russian") return repeatedLetter(value, RUSSIAN);
  if (style === "han") return han(value);
  if (style === "circle" && value <= 20) return String.fromCodePoint(0x245f + value);
  return String(value);
}

function roman(value: number): string {
  let rest = value;
  let label = "";
  for (const [size, letters] of ROMAN) {
    label += letters.repeat(Math.floor(rest / size));
    rest %= size;
  }
  return label;
}

/** a … z, aa, bb, …: Office repeats the letter where spreadsheets would count on with ab. */
function repeatedLetter(value: number, alphabet: string): string {
  const letter = alphabet[(value - 1) % alphabet.length] ?? "";
  return letter.repeat(Math.ceil(value / alphabet.length));
}

function han(value: number): string {
  const digits = String(value);
  let label = "";
  let gap = false;
  for (let at = 0; at < digits.length; at += 1) {
    const digit = Number(digits[at]);
    if (digit === 0) {
      gap = true;
      continue;
    }
    if (gap) label += "〇";
    gap = false;
    label += (HAN_DIGITS[digit] ?? "") + (HAN_UNITS[digits.length - 1 - at] ?? "");
  }
  // Ten to nineteen are written without the leading one.
  return label.replace(/^一十/, "十");
}
