import { expect, test } from "vitest";
import { makePdf, type PdfText } from "./testing/make-pdf.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (spec: Parameters<typeof makePdf>[0]) => readBytes("a.pdf", makePdf(spec));

/** Lines of body text, one below the other. */
function body(from: number, lines: readonly string[]): PdfText[] {
  return lines.map((text, at) => ({ text, y: from - at * 12 }));
}

const PROSE = ["Some plain text that runs over the page", "and goes on in the next line of it."];

test("each page gives its text with its number", async () => {
  const { segments, extraction } = await read({ pages: [body(700, PROSE), body(700, ["Second page."])] });

  expect(segments.map(({ pageNumber, content }) => ({ pageNumber, content }))).toEqual([
    { pageNumber: 1, content: `${PROSE.join("\n")}\n\n` },
    { pageNumber: 2, content: "Second page.\n" },
  ]);
  expect(extraction.pages).toBe(2);
});

test("a word that a line end cuts is made whole; a hyphen the document writes elsewhere stays", async () => {
  const lines = ["A well-known exam-", "ple of a well-", "known word."];

  const { text } = await read({ pages: [body(700, lines)] });

  expect(text).toBe("A well-known example\nof a well-known\nword.\n");
});

test("lines far apart are paragraphs", async () => {
  const { text } = await read({ pages: [[...body(700, ["One."]), ...body(660, ["Two."])]] });

  expect(text).toBe("One.\n\nTwo.\n");
});

test("larger and bold lines that stand apart are headings", async () => {
  const page = [
    { text: "Chapter", y: 740, size: 18 },
    ...body(710, PROSE),
    { text: "1.1 Part", y: 660, bold: true },
    ...body(640, PROSE),
  ];

  const { segments, extraction } = await read({ pages: [page, body(700, PROSE)] });

  expect(segments.map((segment) => segment.section)).toEqual([
    "Chapter",
    "Chapter > 1.1 Part",
    "Chapter > 1.1 Part",
  ]);
  expect(extraction.decisions).toContain("headings by fonts");
});

test("captions, sentences and running headers in bold are no headings", async () => {
  const page = (number: number): PdfText[] => [
    { text: `Annual Report ${number}`, y: 800, bold: true },
    ...body(700, PROSE),
    { text: "Figure 1 Growth", y: 600, bold: true },
    { text: "This is all important, so it is bold.", y: 560, bold: true },
  ];

  const { segments } = await read({ pages: [page(1), page(2), page(3), page(4)] });

  expect(new Set(segments.map((segment) => segment.section))).toEqual(new Set([null]));
});

test("bookmarks give the path, also where the text does not spell them", async () => {
  const pages = [[{ text: "Introduction", y: 740 }, ...body(700, PROSE)], body(700, ["Second page."])];
  const bookmarks = [
    { title: "Introduction", page: 1 },
    { title: "Unwritten", page: 2 },
  ];

  const { segments, text } = await read({ pages, bookmarks });

  expect(segments.map((segment) => segment.section)).toEqual(["Introduction", "Unwritten"]);
  expect(text).not.toContain("Unwritten");
});

test("typed form values are read with their field's name", async () => {
  const { text } = await read({
    pages: [body(700, ["Form"])],
    fields: [{ name: "Surname", value: "Lovelace" }],
  });

  expect(text).toContain("Surname: Lovelace");
});

test("a document whose owner only forbids copying is read", async () => {
  const { text } = await read({ pages: [body(700, ["Protected but readable"])], password: "owner" });

  expect(text).toBe("Protected but readable\n");
});

test("a document that needs a password to open is encrypted", async () => {
  expect(await failureOf(read({ pages: [body(700, ["Secret"])], password: "user" }))).toBe(
    "extract.encrypted",
  );
});

test("pages without text are a scan", async () => {
  expect(await failureOf(read({ pages: [[], []] }))).toBe("extract.no-text");
});

test("a header with nothing behind it is corrupt", async () => {
  expect(await failureOf(readBytes("a.pdf", "%PDF-1.7\nnothing"))).toBe("extract.corrupt");
});

test("what a printer driver wrote as a title is none", async () => {
  const driver = await read({ pages: [body(700, ["x y"])], title: "Microsoft Word - a.doc" });
  const author = await read({ pages: [body(700, ["x y"])], title: "On Computable Numbers" });

  expect([driver.extraction.title, author.extraction.title]).toEqual([null, "On Computable Numbers"]);
});

test("sparse bookmarks hold the path above the headings that fonts show", async () => {
  const page = [...body(700, PROSE), { text: "Details", y: 640, size: 14 }, ...body(610, PROSE)];

  const { segments } = await read({ pages: [page], bookmarks: [{ title: "The Whole", page: 1 }] });

  expect(segments.map((segment) => segment.section)).toEqual(["The Whole", "The Whole > Details"]);
});

test("a page that cannot be read is named and does not cost the others", async () => {
  const { segments, extraction } = await read({
    pages: [body(700, ["First."]), null, body(700, ["Third."])],
  });

  expect(segments.map((segment) => segment.pageNumber)).toEqual([1, 3]);
  expect(extraction.decisions).toContain("pages that could not be read: 2");
});

test("pages without text are named", async () => {
  const { extraction } = await read({ pages: [body(700, ["First."]), [], body(700, ["Third."])] });

  expect(extraction.decisions).toContain("pages without text (pictures or blank): 2");
});
