// Which encoding a text file is in. The order is by strength of evidence: byte order mark, escape sequences,
// NUL parity (UTF-16/32), strict UTF-8 over the whole file, UTF-8 with a few broken bytes, what the file or its
// sender declares, a statistical guess, and windows-1252 last. Valid UTF-8 always wins over a declaration.

import { type ByteSurvey, surveyBytes } from "../media-type/survey-bytes.ts";
import { type Guess, guessLegacyEncoding } from "./guess-legacy-encoding.ts";
import { guessWideEncoding } from "./guess-wide-encoding.ts";
import { iconvName, looksDecoded } from "./legacy-encodings.ts";

export type EncodingChoice = {
  /** A name that decodeFile and decodeBytes know. */
  readonly encoding: string;
  /** 0 to 1. */
  readonly confidence: number;
  /** What told us, in words. */
  readonly reason: string;
  readonly survey: ByteSurvey;
};

/** Reads the whole file once (for strict UTF-8) and keeps a sample of at most 128 KiB. */
export function chooseEncoding(path: string, declared: string | null): EncodingChoice {
  const survey = surveyBytes(path);
  return { ...weigh(survey, declared), survey };
}

/** The line for `Extraction.decisions`. */
export function describeEncoding(choice: EncodingChoice): string {
  return `encoding ${choice.encoding} (${choice.reason}, confidence ${choice.confidence.toFixed(2)})`;
}

function weigh(survey: ByteSurvey, declared: string | null): Guess {
  const marked = byteOrderMark(survey.head);
  if (marked !== null) return { encoding: marked, confidence: 1, reason: "byte order mark" };
  const wide = survey.controls > 0 ? guessWideEncoding(survey.head) : null;
  if (wide !== null) return wide;
  if (survey.validUtf8) {
    if (hasJapaneseEscapes(survey.head))
      return { encoding: "iso-2022-jp", confidence: 0.95, reason: "escape sequences" };
    return { encoding: "utf-8", confidence: 1, reason: survey.ascii ? "plain ASCII" : "valid UTF-8" };
  }
  if (survey.multibyte > 20 * survey.broken)
    return { encoding: "utf-8", confidence: 0.9, reason: `UTF-8 with ${survey.broken} broken bytes` };
  const name = iconvName(declared ?? declaredInside(survey.head) ?? "");
  if (name !== null && looksDecoded(survey.sample, name))
    return { encoding: name, confidence: 0.9, reason: "declared" };
  return guessLegacyEncoding(survey.sample);
}

function byteOrderMark(head: Buffer): string | null {
  const [a, b, c, d] = head;
  if (a === 0xef && b === 0xbb && c === 0xbf) return "utf-8";
  if (a === 0xff && b === 0xfe) return c === 0 && d === 0 && head.length % 4 === 0 ? "utf-32le" : "utf-16le";
  if (a === 0xfe && b === 0xff) return "utf-16be";
  if (a === 0 && b === 0 && c === 0xfe && d === 0xff) return "utf-32be";
  return null;
}

function hasJapaneseEscapes(head: Buffer): boolean {
  const shifts = head.toString("latin1").split("\x1b");
  return shifts.some((part) => /^\$[@B][!-~]{2}/.test(part)) && shifts.some((part) => /^\([BJ]/.test(part));
}

/** `<meta charset>`, `<?xml encoding>` or a Python/Emacs-like coding line, in the first 2 KiB. */
function declaredInside(head: Buffer): string | null {
  const text = head.subarray(0, 2_048).toString("latin1");
  const found =
    /<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w:.-]{2,40})/i.exec(text) ??
    /^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w:.-]{2,40})/i.exec(text) ??
    /^[^\n]{0,80}\n?[^\n]{0,80}coding[:=]\s*([\w.-]{2,40})/i.exec(text);
  return found?.[1] ?? null;
}
