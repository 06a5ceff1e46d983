import type { TextItem } from "pdfjs-dist/types/src/display/api.js";
import { expect, test } from "vitest";
import { heightOf, runsOfPage } from "./runs.ts";
import { standUp } from "./stacked-text.ts";

type Item = { readonly str: string; readonly transform: readonly number[]; readonly fontName?: string };

function read(items: readonly Item[], vertical = false) {
  const all = items.map(({ str, transform, fontName = "f" }) => ({
    str,
    transform: [...transform],
    fontName,
    dir: "ltr",
    width: vertical ? 10 : str.length * 5,
    height: vertical ? str.length * 10 : 10,
    hasEOL: false,
  })) satisfies TextItem[];
  return runsOfPage({ items: all, styles: { f: { vertical } } });
}

const upright = (str: string, x: number, y: number): Item => ({ str, transform: [10, 0, 0, 10, x, y] });

test("text drawn twice at one place, as for bold, is read once; twice side by side is twice", () => {
  const bold = [upright("Bold", 50, 700), upright("Bold", 50.4, 700)];

  const { frames, doubled } = read([...bold, upright("Bold", 80, 700), upright("Bold", 50, 688)]);

  expect(frames[0]?.runs).toHaveLength(3);
  expect(doubled).toBe(1);
});

test("each direction has a frame in which its lines run to the right and down", () => {
  const up = (str: string, x: number): Item => ({ str, transform: [0, 10, -10, 0, x, 100] });

  const { frames } = read([upright("level text", 50, 700), up("one", 300), up("two", 312)]);

  expect(frames.map(({ angle, runs }) => [angle, runs.map((run) => run.text)])).toEqual([
    [0, ["level text"]],
    [90, ["one", "two"]],
  ]);
  const [one, two] = frames[1]?.runs ?? [];
  expect(one?.x).toBeCloseTo(two?.x ?? 0);
  expect(one?.y).toBeGreaterThan(two?.y ?? 0);
});

test("vertical writing is a frame whose lines follow each other from right to left", () => {
  const { frames } = read([upright("一列目の文字", 300, 700), upright("二列目の文字", 280, 700)], true);

  const [first, second] = frames[0]?.runs ?? [];
  expect(frames[0]?.angle).toBe(270);
  expect(first?.y).toBeGreaterThan(second?.y ?? 0);
  expect(first?.right).toBeCloseTo((first?.x ?? 0) + 60);
});

test("signs that a horizontal font set below each other are vertical writing too", () => {
  const signs = [..."縦書きの文章を読む"].map((sign, at) => upright(sign, 300, 700 - 10 * at));

  const { frames } = standUp(read(signs));

  expect(frames.map((frame) => frame.angle)).toEqual([270]);
  expect(frames[0]?.runs.map((run) => Math.round(run.y))).toEqual(signs.map(() => 305));
});

test("controls count as meaningless, and between letters they are spaces", () => {
  const { frames } = read([upright("The\x02degree", 50, 700), upright("\x03\x04", 50, 688)]);

  expect(frames[0]?.runs.map(({ text, meaningless }) => [text, meaningless])).toEqual([
    ["The degree", 1],
    ["\ufffd", 2],
  ]);
});

test("a page whose text is turned reaches from one of its sides to the other", () => {
  expect(heightOf([10, 20, 595, 842], 0)).toEqual({ low: 20, high: 842 });
  const { low, high } = heightOf([10, 20, 595, 842], 90);
  expect([low, high].map(Math.round)).toEqual([-595, -10]);
});
