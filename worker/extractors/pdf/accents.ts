// Accents drawn as signs of their own over or under a letter, as TeX's older fonts do: the letter with its accent.
import type { Frame, PageRuns, Run } from "./runs.ts";

/** Ems by which an accent's box and its letter's overlap; neighbours in a word overlap by less. */
const OVERLAP = { min: 0.2, max: 1 };
/** Ems by which it may be raised for a capital. */
const RAISED = 0.5;

const COMBINING = new Map([
  ["`", "\u0300"],
  ["´", "\u0301"],
  ["ˆ", "\u0302"],
  ["^", "\u0302"],
  ["˜", "\u0303"],
  ["~", "\u0303"],
  ["¯", "\u0304"],
  ["˘", "\u0306"],
  ["˙", "\u0307"],
  ["¨", "\u0308"],
  ["˚", "\u030a"],
  ["˝", "\u030b"],
  ["ˇ", "\u030c"],
  ["¸", "\u0327"],
  ["˛", "\u0328"],
]);
/** An accent takes the place of the dot. */
const DOTLESS = new Map([
  ["ı", "i"],
  ["ȷ", "j"],
]);

/** The same page with each accent on its letter. */
export function setAccents(page: PageRuns): PageRuns {
  return { ...page, frames: page.frames.map(setIn) };
}

function setIn(frame: Frame): Frame {
  if (!frame.runs.some(({ text }) => COMBINING.has(text.charAt(0)) || COMBINING.has(text.at(-1) ?? "")))
    return frame;
  const runs: Run[] = [];
  for (const run of frame.runs) {
    const last = runs.at(-1);
    const set = last?.seq === run.seq - 1 ? setBetween(last, run) : null;
    if (set === null) runs.push(run);
    else runs.splice(-1, 1, ...set);
  }
  return { ...frame, runs };
}

/** Two runs that follow each other as they read once an accent between them stands on its letter, else null. */
function setBetween(before: Run, run: Run): readonly Run[] | null {
  const size = Math.max(before.size, run.size);
  const overlap = before.right - run.x;
  if (overlap < OVERLAP.min * size || overlap > OVERLAP.max * size) return null;
  if (Math.abs(before.y - run.y) > RAISED * size) return null;
  return accentFirst(before, run) ?? letterFirst(before, run);
}

function accentFirst(before: Run, run: Run): readonly Run[] | null {
  const letter = compose(run.text.charAt(0), before.text.at(-1) ?? "");
  if (letter === null) return null;
  const kept = before.text.slice(0, -1);
  const text = letter + run.text.slice(1);
  if (kept === "") return [{ ...run, text, spaced: before.spaced }];
  return [
    { ...before, text: kept.trimEnd(), right: run.x },
    { ...run, text, spaced: kept.endsWith(" ") },
  ];
}

function letterFirst(before: Run, run: Run): readonly Run[] | null {
  const letter = compose(before.text.at(-1) ?? "", run.text.charAt(0));
  if (letter === null) return null;
  const accented = { ...before, text: before.text.slice(0, -1) + letter };
  const rest = run.text.slice(1);
  if (rest === "") return [accented];
  return [
    accented,
    { ...run, text: rest.trimStart(), x: Math.max(run.x, before.right), spaced: rest.startsWith(" ") },
  ];
}

/** Null where the two make no letter that anybody writes: a bar over an x is a formula's. */
function compose(letter: string, accent: string): string | null {
  const mark = COMBINING.get(accent);
  if (mark === undefined) return null;
  const composed = ((DOTLESS.get(letter) ?? letter) + mark).normalize("NFC");
  return composed.length === 1 ? composed : null;
}
