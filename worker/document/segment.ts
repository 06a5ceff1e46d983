// A stretch of a document's source text with one location.
// The source of a document is its segments' contents joined with nothing between them, in order of seq:
// an extractor ends a segment with the line break that belongs there.

export type Segment = {
  /** Ascending from 1 within a document's generation. */
  readonly seq: number;
  /** Sanitised text: no NUL, no lone surrogate. */
  readonly content: string;
  /** From 1; the number of a slide or sheet; null where the format has no pages. */
  readonly pageNumber: number | null;
  /** Heading path from the outermost in, joined by SECTION_SEPARATOR. */
  readonly section: string | null;
  readonly speaker: string | null;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
};

export const SECTION_SEPARATOR = " > ";
