// One page of a PDF after the other: its lines, and what went wrong with it. Pages around the one that is asked for
// are read ahead, because only neighbours show what runs along all of them; each page is parsed once.
import type { PDFPageProxy } from "pdfjs-dist/types/src/display/api.js";
import { Failure } from "../../failure/failure.ts";
import { setAccents } from "./accents.ts";
import { createNotesReader, type PageNotes } from "./annotations.ts";
import { type ComposedPage, composePage, draftPage, type PageDraft } from "./compose-page.ts";
import { joinDropCapitals } from "./drop-capitals.ts";
import { createFontFacts, type FontFacts } from "./fonts.ts";
import type { Fragment } from "./fragments.ts";
import type { OpenPdf } from "./open-pdf.ts";
import type { PageTally } from "./page-tally.ts";
import { readItems } from "./read-items.ts";
import { edgesOf, type PageEdges, runningOf, WINDOW } from "./running-text.ts";
import { runsOfPage } from "./runs.ts";
import { standUp } from "./stacked-text.ts";
import { readTags } from "./tags.ts";

export type PageText = ComposedPage & Pick<PageNotes, "texts">;

export type PageReader = {
  /** Call in order, from page 1. */
  read(page: number): Promise<PageText>;
  /** Pages before their time, to learn from; where they lie apart, running headers may still be among their lines. */
  peek(pages: readonly number[]): Promise<ComposedPage[]>;
  /** Looks up the fonts of a page that was read. */
  learnFonts(page: number): Promise<void>;
  readonly fonts: FontFacts;
};

/**
 * pdf.js keeps every string it has drawn, by font: 43 KB a page of text, 200 MB after 5,000 pages. After so many
 * pages its caches are emptied; fonts are then read again.
 */
const PAGES_PER_CLEANUP = 200;
/** What it keeps otherwise goes with the document, which is opened anew: memory stays flat in the number of pages. */
const PAGES_PER_OPENING = 500;

type Composed = { readonly page: ComposedPage; readonly running: ReadonlySet<Fragment> };
type Kept = { readonly draft: PageDraft; readonly notes: PageNotes; composed: Composed | null };

const EMPTY: PageDraft = {
  height: { low: 0, high: 0 },
  frames: [],
  tags: new Map(),
  tagged: false,
  doubled: 0,
};
const NO_NOTES: PageNotes = { texts: [], remarks: 0 };

export async function createPageReader(open: OpenPdf, tally: PageTally): Promise<PageReader> {
  const kept = new Map<number, Kept>();
  const edges = new Map<number, PageEdges>();
  const fonts = createFontFacts();
  const notesOf = createNotesReader(open);
  const pages = open.document().numPages;
  const marks = (await open
    .document()
    .getMarkInfo()
    .catch(() => null)) as { readonly Suspects?: boolean } | null;

  const draft = async (number: number): Promise<PageDraft | null> => {
    let page: PDFPageProxy | null = null;
    try {
      page = await open.document().getPage(number);
      const tags = await readTags(page);
      const items = await readItems(page, tags.size > 0);
      if (items.cut) tally.cutShort(number);
      const runs = joinDropCapitals(setAccents(standUp(runsOfPage(items))));
      await fonts.check(page, runs.frames[0]?.runs ?? []);
      return draftPage(runs, { view: page.view, tags, suspect: marks?.Suspects === true });
    } catch (thrown) {
      if (thrown instanceof Failure) throw thrown;
      tally.broke(number);
      return null;
    } finally {
      page?.cleanup();
    }
  };
  const keep = async (number: number): Promise<Kept> => {
    const known = kept.get(number);
    if (known !== undefined) return known;
    const drafted = await draft(number);
    const notes = drafted === null ? NO_NOTES : await notesOf(number);
    const page = { draft: drafted ?? EMPTY, notes, composed: null };
    kept.set(number, page);
    const [own = [], ...turned] = page.draft.frames;
    edges.set(number, edgesOf(own, page.draft.height, turned.flat()));
    return page;
  };
  const compose = (number: number, page: Kept): Composed => {
    const running = runningOf(number, edges, pages);
    return { page: composePage(page.draft, running, fonts.isGarbled), running };
  };

  return {
    fonts,
    async peek(asked) {
      for (const number of asked) await keep(number);
      const all = asked.length === pages;
      return await Promise.all(
        asked.map(async (number) => {
          const page = await keep(number);
          const composed = page.composed ?? compose(number, page);
          // Only with all pages before us is what runs along them known for good.
          if (all) page.composed = composed;
          return composed.page;
        }),
      );
    },
    async read(number) {
      if (number % PAGES_PER_OPENING === 0) await open.renew();
      else if (number % PAGES_PER_CLEANUP === 0)
        await open
          .document()
          .cleanup()
          .catch(() => undefined);
      const last = Math.min(number + WINDOW, pages);
      for (let ahead = number; ahead <= last; ahead += 1) await keep(ahead);
      const own = await keep(number);
      const { page, running } = own.composed ?? compose(number, own);
      kept.delete(number);
      edges.delete(number - WINDOW);
      const lines = page.lines.filter((line) => !line.unreadable);
      tally.read(number, { page, running, draft: own.draft, notes: own.notes });
      return { ...page, lines, texts: own.notes.texts };
    },
    async learnFonts(number) {
      const page = await open
        .document()
        .getPage(number)
        .catch(() => null);
      if (page === null) return;
      await fonts.learn(page);
      page.cleanup();
    },
  };
}
