// Where originals come from. A source copies the bytes of one document to a temporary file, hashing as it
// goes, so that everything after it reads the same unchanging bytes.
import type { Document, Original } from "../document/document.ts";

export type Source = {
  /** The part of source_uri before the colon. */
  readonly scheme: string;
  /** Throws Failure `source.*`. Removes its temporary file when it throws or the signal fires. */
  fetch(document: Document, signal: AbortSignal): Promise<Original>;
};
