// What the worker and an extraction child say to each other, as far as both need it.
import type { GivenFile } from "../extractor.ts";

/** Items a child may send before the consumer has taken one: enough to keep it busy, at most 64 segments of text. */
export const CREDIT = 64;
/** Items in one message, where so many are ready together: each message is a turn of the worker's loop. */
export const MOST_ITEMS = 16;

export type ToChild =
  | { readonly type: "read"; readonly file: GivenFile; readonly credit: number }
  /** The consumer took this many items. */
  | { readonly type: "credit"; readonly count: number };
