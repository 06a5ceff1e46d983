// Vertical Chinese and Japanese that was set with a horizontal font, sign below sign: told by signs that stand
// alone, each right under the one before. Such signs are given the vertical frame they are read in.
import type { Frame, PageRuns, Run } from "./runs.ts";

/** Fewer signs under each other are a label or a table's column. */
const MIN_STACKED = 8;
const MIN_SHARE = 0.6;
const SIGN = /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー々〇]$/u;
/** A sign's body reaches this far above its baseline, in ems. */
const TOP = 0.88;

const DOWNWARDS = 270;

/** The same page with such signs in the frame of vertical writing. */
export function standUp(page: PageRuns): PageRuns {
  const level = page.frames.find((frame) => frame.angle === 0);
  const signs = level?.runs.filter((run) => SIGN.test(run.text)) ?? [];
  if (level === undefined || !areStacked(signs)) return page;
  const turned = new Set(signs);
  const down = page.frames.find((frame) => frame.angle === DOWNWARDS)?.runs ?? [];
  const frames = [
    { angle: DOWNWARDS, runs: [...down, ...signs.map(turn)].sort((a, b) => a.seq - b.seq) },
    { angle: 0, runs: level.runs.filter((run) => !turned.has(run)) },
    ...page.frames.filter(({ angle }) => angle !== 0 && angle !== DOWNWARDS),
  ];
  const filled = frames.filter((frame) => frame.runs.length > 0);
  return { ...page, frames: filled.sort((a, b) => charsOf(b) - charsOf(a)) };
}

const charsOf = ({ runs }: Frame): number => runs.reduce((sum, run) => sum + run.text.length, 0);

function areStacked(signs: readonly Run[]): boolean {
  const under = signs.filter((run, at) => {
    const above = signs[at - 1];
    return above !== undefined && standsUnder(above, run);
  });
  return under.length >= MIN_STACKED && under.length >= MIN_SHARE * signs.length;
}

function standsUnder(above: Run, run: Run): boolean {
  const step = above.y - run.y;
  return step > 0.8 * run.size && step < 1.6 * run.size && Math.abs(above.x - run.x) < 0.3 * run.size;
}

function turn(run: Run): Run {
  const x = -(run.y + TOP * run.size);
  return { ...run, x, right: x + run.size, y: run.x + run.size / 2 };
}
