// What was decided and what went wrong on the pages of a document, counted for the decisions that are told:
// nothing that a rule leaves out is left out silently. Counts and page numbers only, never text.
import type { PageNotes } from "./annotations.ts";
import type { ComposedPage, PageDraft } from "./compose-page.ts";
import type { Fragment } from "./fragments.ts";

/** Decisions name the first of many pages. */
const MAX_NAMED_PAGES = 20;

type ReadPage = {
  readonly page: ComposedPage;
  readonly running: ReadonlySet<Fragment>;
  readonly draft: PageDraft;
  readonly notes: PageNotes;
};

export type PageTally = {
  broke(page: number): void;
  /** Only a part of it was read. */
  cutShort(page: number): void;
  read(page: number, found: ReadPage): void;
  readonly brokenPages: number;
  readonly unreadablePages: number;
  describe(): string[];
};

export function createPageTally(): PageTally {
  const broken: number[] = [];
  const short: number[] = [];
  const blank: number[] = [];
  const unreadable: number[] = [];
  const counts = { columns: 0, tagged: 0, turned: 0, doubled: 0, rows: 0, remarks: 0 };
  const running = { lines: 0, chars: 0, pages: 0 };
  return {
    broke: (page) => void broken.push(page),
    cutShort: (page) => void short.push(page),
    read(number, { page, running: left, draft, notes }) {
      const lost = page.lines.filter((line) => line.unreadable).length;
      if (lost > 0) unreadable.push(number);
      const nothing = page.lines.length === 0 && left.size === 0 && notes.texts.length === 0;
      if (nothing && !broken.includes(number)) blank.push(number);
      if (page.columns > 1) counts.columns += 1;
      if (draft.tagged) counts.tagged += 1;
      counts.turned += page.turned;
      counts.doubled += draft.doubled;
      counts.rows += page.lines.filter((line) => line.row).length;
      counts.remarks += notes.remarks;
      if (left.size > 0) running.pages += 1;
      running.lines += left.size;
      for (const { runs } of left) for (const { text } of runs) running.chars += text.length;
    },
    get brokenPages() {
      return broken.length;
    },
    get unreadablePages() {
      return unreadable.length;
    },
    describe() {
      const told = (count: number, text: string): string[] => (count > 0 ? [text] : []);
      return [
        ...told(counts.tagged, `pages in the order of their tags: ${counts.tagged}`),
        ...told(counts.columns, `pages read by columns: ${counts.columns}`),
        ...told(counts.rows, `table rows: ${counts.rows}`),
        ...told(counts.turned, `lines in another direction than their page's: ${counts.turned}`),
        ...told(
          running.pages,
          `running headers, footers and page numbers left out: ${running.lines} pieces (${running.chars} characters) on ${running.pages} pages`,
        ),
        ...told(counts.doubled, `text drawn twice at one place, read once: ${counts.doubled} pieces`),
        ...told(counts.remarks, `reviewers' remarks left out: ${counts.remarks}`),
        ...listPages("pages that could not be read", broken),
        ...listPages("pages read in part (too many pieces of text)", short),
        ...listPages("pages without text (pictures or blank)", blank),
        ...listPages(
          "pages with lines left out because their fonts do not tell their characters",
          unreadable,
        ),
      ];
    },
  };
}

function listPages(what: string, pages: readonly number[]): string[] {
  if (pages.length === 0) return [];
  const sorted = pages.toSorted((a, b) => a - b);
  const more = pages.length > MAX_NAMED_PAGES ? ` and ${pages.length - MAX_NAMED_PAGES} more` : "";
  return [`${what}: ${sorted.slice(0, MAX_NAMED_PAGES).join(", ")}${more}`];
}
