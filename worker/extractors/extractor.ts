// Bytes to segments. The type is decided by content; names and declared types are hints.
// A reader of one format (ReadSegments) runs inside the child process and trusts nothing in its file;
// ExtractSegments is what the rest of the worker sees.
import type { Original } from "../document/document.ts";
import type { Segment } from "../document/segment.ts";

/** What was found out and decided while reading; for the document's row, logs and `--explain`. */
export type Extraction = {
  readonly mediaType: string;
  /** Pages of the document, where the format has them; slides and sheets count as pages. */
  readonly pages: number | null;
  readonly title: string | null;
  /** Decisions in words, such as `encoding windows-1252 (confidence 0.8)`. */
  readonly decisions: readonly string[];
};

export type ExtractLimits = {
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** UTF-16 units of text one document may give. */
  readonly maxChars: number;
};

/**
 * One message of an extraction, in order: what is known first, then segments as they are read.
 * An extraction is said again at the end when reading brought more decisions (a broken page); the last one holds.
 */
export type Extracted =
  | { readonly kind: "extraction"; readonly extraction: Extraction }
  | { readonly kind: "segment"; readonly segment: Segment }
  | { readonly kind: "progress"; readonly page: number; readonly pages: number };

/**
 * Reads an original in a child process; back-pressure reaches the child. Ends the child when the signal
 * fires, when the consumer stops early, at the time limit and at the memory limit.
 * Throws Failure `extract.*`.
 */
export type ExtractSegments = (original: Original, signal: AbortSignal) => AsyncIterable<Extracted>;

/** What a child is given to read. */
export type GivenFile = {
  readonly path: string;
  readonly name: string;
  readonly byteSize: number;
  readonly declaredMediaType: string | null;
  /** UTF-16 units of text the document may give. */
  readonly maxChars: number;
  /** Opens an encrypted file; never logged. */
  readonly password?: string;
};

/** A file whose type is decided. */
export type FileToRead = GivenFile & {
  readonly mediaType: string;
  /** How its text is to be decoded; null for binary formats and archives. */
  readonly encoding: string | null;
  /** What was decided on the way here. */
  readonly decisions: readonly string[];
};

/** Reads one format. Throws Failure `extract.*`; anything else it throws counts as a damaged file. */
export type ReadSegments = (file: FileToRead) => AsyncIterable<Extracted>;

/** Raised whenever the same bytes may give other segments: part of a generation's plan. */
export const EXTRACTION_VERSION = 3;
