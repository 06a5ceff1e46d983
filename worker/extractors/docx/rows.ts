// Tables of a DOCX: rows and cells as they open and close, in whichever story they stand.
import type { Block } from "../cut-segments.ts";
import type { PageCounter } from "./pages.ts";
import type { Story } from "./story.ts";

/** What of the reader around it a table needs. */
type Reader = {
  story(): Story;
  closeParagraph(): void;
  turnPage(pages: number): void;
  /** The outermost table of a story is over. */
  left(notes: readonly Block[]): void;
  readonly pages: PageCounter | null;
};

export type RowReader = { open(name: string): void; close(name: string): void };

export function createRowReader({ story, closeParagraph, turnPage, left, pages }: Reader): RowReader {
  const openTable = (own: Story): void => {
    closeParagraph();
    own.folder.openTable();
    own.tables.push({ rowDeleted: false, cellDeleted: false, started: false });
  };
  const closeTable = (own: Story): void => {
    own.folder.closeTable();
    own.tables.pop();
    if (own.tables.length === 0) left(own.notes.splice(0));
  };
  /** Pages are told between the rows of the body's own tables, not inside of one. */
  const countsPages = (own: Story): boolean => own.main && own.tables.length === 1;
  const closeRow = (own: Story): void => {
    const turned = countsPages(own) ? pages?.closeRow() : undefined;
    turnPage(turned?.before ?? 0);
    own.folder.closeRow();
    turnPage(turned?.after ?? 0);
  };
  return {
    open(name) {
      const own = story();
      if (name === "w:tbl") openTable(own);
      const table = own.tables.at(-1);
      if (table === undefined) return;
      table.cellDeleted = false;
      if (name === "w:tc") own.folder.openCell();
      if (name !== "w:tr") return;
      own.folder.openRow();
      table.rowDeleted = false;
      table.started = false;
      if (countsPages(own)) pages?.openRow();
    },
    close(name) {
      const own = story();
      if (own.tables.length === 0) return;
      closeParagraph();
      if (name === "w:tbl") closeTable(own);
      else if (name === "w:tr") closeRow(own);
      else if (countsPages(own)) pages?.closeCell();
    },
  };
}
