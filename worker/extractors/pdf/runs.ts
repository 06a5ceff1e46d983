// Text items of a page to runs: each stands in a frame in which its own writing direction points right and its
// lines follow each other downwards, so that rotated pages, rotated captions and vertical Japanese are all read
// by the same rules.
import type { TextItem, TextMarkedContent, TextStyle } from "pdfjs-dist/types/src/display/api.js";

/** A stretch of text with one font; lengths in points of its frame, y grows upwards. */
export type Run = {
  readonly text: string;
  readonly rtl: boolean;
  readonly x: number;
  readonly right: number;
  /** Baseline. */
  readonly y: number;
  readonly size: number;
  /** The document-wide name pdf.js gives its font. */
  readonly font: string;
  /** The tagged content it stands in. */
  readonly mark: string | null;
  /** Marked by its producer as no part of the document's own content: page furniture, backgrounds. */
  readonly artifact: boolean;
  /** Its place in the content stream. */
  readonly seq: number;
  /** The stream has a space before it. */
  readonly spaced: boolean;
  /** How many of its characters mean nothing: private use, unassigned, replacement, control. */
  readonly meaningless: number;
};

/** The runs of one writing direction. */
export type Frame = {
  /** Degrees counter-clockwise from the page's unrotated x axis, 0 to 359. */
  readonly angle: number;
  readonly runs: readonly Run[];
};

/** Where something begins and ends, along one axis of a frame. */
export type Extent = { readonly low: number; readonly high: number };

export type PageRuns = {
  /** The direction with the most text first. */
  readonly frames: readonly Frame[];
  /** Runs drawn twice at one place, as some producers make bold. */
  readonly doubled: number;
};

export type PageItems = {
  readonly items: readonly (TextItem | TextMarkedContent)[];
  readonly styles: Readonly<Record<string, Pick<TextStyle, "vertical">>>;
};

/** A page says its text once within this share of the size: farther apart it is written twice. */
const DOUBLE_SHIFT = 0.2;
/** Runs of one text that are compared with a new one. */
const MAX_TWINS = 12;

export function runsOfPage({ items, styles }: PageItems): PageRuns {
  const frames = new Map<number, { chars: number; runs: Run[] }>();
  const marks = createMarkStack();
  const isTwin = createTwinFinder();
  let doubled = 0;
  let spaced = false;
  let seq = 0;
  for (const item of items) {
    if (!("str" in item)) {
      marks.take(item);
      continue;
    }
    const { text, meaningless } = cleanText(item.str);
    if (text.trim() === "") {
      spaced ||= text !== "";
      continue;
    }
    seq += 1;
    const { angle, ...box } = placeOf(item, styles[item.fontName]?.vertical === true);
    const shown = text.trim();
    if (isTwin(shown, angle, box)) {
      doubled += 1;
      continue;
    }
    const frame = frames.get(angle) ?? { chars: 0, runs: [] };
    frames.set(angle, frame);
    frame.chars += shown.length;
    frame.runs.push({
      ...box,
      text: shown,
      rtl: item.dir === "rtl",
      font: fontOf(item.fontName),
      mark: marks.id,
      artifact: marks.artifact,
      seq,
      spaced: spaced || text.startsWith(" "),
      meaningless,
    });
    spaced = text.endsWith(" ");
  }
  const ordered = [...frames].sort((a, b) => b[1].chars - a[1].chars);
  return { frames: ordered.map(([angle, { runs }]) => ({ angle, runs })), doubled };
}

/**
 * A font by its number in the file, which stays when the document is opened anew; one without a number is told by
 * pdf.js's name for it (pdf.js, evaluator.js, loadFont).
 */
export const fontOf = (name: string): string => name.replace(/^g_d\d+_(?=f\d+R)/, "");

/** A control character between letters is a space whose font does not say so; nothing but them is no text. */
function cleanText(raw: string): { text: string; meaningless: number } {
  if (PLAIN.test(raw)) return { text: raw, meaningless: 0 };
  const meaningless = raw.match(MEANINGLESS)?.length ?? 0;
  const text = raw.replace(/[\s\p{Cc}]+/gu, " ");
  return { text: text.trim() === "" && meaningless > 0 ? "\ufffd" : text, meaningless };
}

const PLAIN = /^[\x20-\x7e]*$/;
const MEANINGLESS = /(?!\s)[\p{Co}\p{Cn}\ufffd\p{Cc}]/gu;

type Box = Pick<Run, "x" | "right" | "y" | "size">;

function placeOf(item: TextItem, vertical: boolean): Box & { angle: number } {
  const at = (index: number): number => Number(item.transform[index] ?? 0);
  const [a, b, c, d] = [at(0), at(1), at(2), at(3)];
  const size = (vertical ? Math.hypot(a, b) : Math.hypot(c, d)) || item.height || 1;
  const written = (Math.atan2(b, a) * 180) / Math.PI - (vertical ? 90 : 0);
  const angle = ((Math.round(written) % 360) + 360) % 360;
  const turn = (-angle * Math.PI) / 180;
  const [cos, sin] = [Math.cos(turn), Math.sin(turn)];
  const x = at(4) * cos - at(5) * sin;
  const y = at(4) * sin + at(5) * cos;
  return { angle, x, right: x + (vertical ? item.height : item.width), y, size };
}

/** How far a page reaches across the lines of a frame. `view` is its box before it is turned. */
export function heightOf(view: readonly number[], angle: number): Extent {
  const [left = 0, bottom = 0, right = 0, top = 0] = view;
  const turn = (-angle * Math.PI) / 180;
  const ys = [left, right].flatMap((x) => [bottom, top].map((y) => x * Math.sin(turn) + y * Math.cos(turn)));
  return { low: Math.min(...ys), high: Math.max(...ys) };
}

type MarkStack = {
  take(item: TextMarkedContent): void;
  readonly id: string | null;
  readonly artifact: boolean;
};

function createMarkStack(): MarkStack {
  const open: { id: string | null; artifact: boolean }[] = [];
  return {
    take(item) {
      if (item.type === "endMarkedContent") open.pop();
      else {
        const above = open.at(-1);
        const id = item.type === "beginMarkedContentProps" ? (item.id ?? null) : null;
        // SAFETY: pdf.js gives the tag of marked content, and forgot it in its types.
        const { tag } = item as { readonly tag?: string | null };
        open.push({
          id: id ?? above?.id ?? null,
          artifact: tag === "Artifact" || above?.artifact === true,
        });
      }
    },
    get id() {
      return open.at(-1)?.id ?? null;
    },
    get artifact() {
      return open.at(-1)?.artifact ?? false;
    },
  };
}

function createTwinFinder(): (text: string, angle: number, box: Box) => boolean {
  const seen = new Map<string, Box[]>();
  return (text, angle, box) => {
    const key = `${angle} ${text}`;
    const twins = seen.get(key);
    if (twins === undefined) {
      seen.set(key, [box]);
      return false;
    }
    const shift = Math.min(DOUBLE_SHIFT * box.size, (box.right - box.x) / 2);
    const found = twins.some(
      (twin) => Math.abs(twin.x - box.x) < shift && Math.abs(twin.y - box.y) < DOUBLE_SHIFT * box.size,
    );
    if (found) return true;
    twins.push(box);
    if (twins.length > MAX_TWINS) twins.shift();
    return false;
  };
}
