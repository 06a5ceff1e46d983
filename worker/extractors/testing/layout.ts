// Synthetic layout for tests: runs, fragments and lines as data, without a PDF around them.
import { type Fragment, fragmentsOf } from "../pdf/fragments.ts";
import { linesOfRegion, type PdfLine } from "../pdf/lines.ts";
import type { Run } from "../pdf/runs.ts";

/** Ems a character of the test font is wide. */
const CHAR_WIDTH = 0.5;

export function run(text: string, x: number, y: number, more: Partial<Run> = {}): Run {
  const size = more.size ?? 10;
  return {
    text,
    rtl: false,
    x,
    right: x + text.length * CHAR_WIDTH * size,
    y,
    size,
    font: "f",
    mark: null,
    artifact: false,
    seq: 0,
    spaced: false,
    meaningless: 0,
    ...more,
  };
}

/** Runs numbered in the order in which they are given, as the content stream draws them. */
export function drawn(...runs: readonly Run[]): Run[] {
  return runs.map((one, at) => ({ ...one, seq: at + 1 }));
}

/** One fragment for each run. */
export function fragments(...runs: readonly Run[]): Fragment[] {
  return drawn(...runs).flatMap((one) => fragmentsOf([one]));
}

export function lines(...runs: readonly Run[]): PdfLine[] {
  return linesOfRegion(fragmentsOf(drawn(...runs)), { block: 0 });
}

/** Lines of one column from `y` down, 12 points apart. */
export function column(texts: readonly string[], x: number, y: number, more: Partial<Run> = {}): Run[] {
  return texts.map((text, at) => run(text, x, y - 12 * at, more));
}

/** As many different lines of prose as wanted, each about `chars` long, most of them starting within a sentence. */
export function prose(name: string, count: number, chars = 40): string[] {
  return Array.from({ length: count }, (_, at) => `${name}${at} runs on as prose does `.padEnd(chars, "x"));
}
