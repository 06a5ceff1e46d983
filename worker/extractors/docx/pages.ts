// Where pages ended when Word last laid the document out (`w:lastRenderedPageBreak`): a hint that Word leaves in the
// text. A page break of the author is not counted, because Word marks the page that follows it as well, and without
// Word's marks the breaks alone would count too few pages, which is worse than none.
import type { Block } from "../cut-segments.ts";

export type PageCounter = {
  /** A page ended while a row of a table was read; `started`: words of the row stand before it. */
  endInRow(started: boolean): void;
  /** Each cell of a row that runs over a page end has the mark: the row ends as many as its cell with most. */
  closeCell(): void;
  openRow(): void;
  /** Pages that end before the row and in it. */
  closeRow(): { readonly before: number; readonly after: number };
  /** The block for the page that begins now. */
  advance(pages: number): Block | null;
  readonly page: number;
};

export function createPageCounter(): PageCounter {
  let page = 1;
  let before = 0;
  let inCell = 0;
  let inRow = 0;
  return {
    endInRow(started) {
      if (started) inCell += 1;
      else before += 1;
    },
    closeCell() {
      inRow = Math.max(inRow, inCell);
      inCell = 0;
    },
    openRow() {
      before = 0;
      inCell = 0;
      inRow = 0;
    },
    closeRow: () => ({ before, after: Math.max(inRow, inCell) }),
    advance(pages) {
      if (pages === 0) return null;
      page += pages;
      return { kind: "page", page };
    },
    get page() {
      return page;
    },
  };
}
