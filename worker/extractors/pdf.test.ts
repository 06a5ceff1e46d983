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
    { pageNumber: 1, content: `${PROSE.join(" ")}\n\n` },
    { pageNumber: 2, content: "Second page.\n" },
  ]);
  expect(extraction.pages).toBe(2);
});

test("a word that a line end cuts is made whole; a hyphen the document writes elsewhere stays", async () => {
  const lines = ["A well-known exam-", "ple of a well-", "known word."];

  const { text } = await read({ pages: [body(700, lines)] });

  expect(text).toBe("A well-known example of a well-known word.\n");
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

test("a scan's invisible text layer is its text", async () => {
  const { text } = await read({ pages: [[{ text: "Read by a machine", y: 700, invisible: true }]] });

  expect(text).toBe("Read by a machine\n");
});

test("columns are read one after the other and told", async () => {
  const left = [
    "one column of text is here and",
    "goes on in its second line and",
    "ends with the third of them",
  ];
  const right = [
    "another column begins here and",
    "its lines are drawn between the",
    "lines of the first column here",
  ];
  const page = left.flatMap((text, at) => [
    { text, x: 72, y: 700 - 12 * at },
    { text: right[at] ?? "", x: 320, y: 700 - 12 * at },
  ]);

  const { text, extraction } = await read({ pages: [page] });

  expect(text.replace(/\s+/g, " ").trim()).toBe([...left, ...right].join(" "));
  expect(extraction.decisions).toContain("pages read by columns: 1");
});

test("running headers, footers and page numbers are left out and counted", async () => {
  const pages = [1, 2, 3, 4].map((page) => [
    { text: "Journal of Examples", y: 800 },
    ...body(700, [`Page text ${"abcd"[page]} of its own`, "and a second line of it."]),
    { text: `${page + 10}`, x: 290, y: 40 },
  ]);

  const { text, extraction } = await read({ pages });

  expect(text).not.toContain("Journal");
  expect(text).not.toMatch(/1\d/);
  expect(extraction.decisions).toContain(
    "running headers, footers and page numbers left out: 8 pieces (84 characters) on 4 pages",
  );
});

test("text turned to the side is read after the page's own, in its own direction", async () => {
  const page: PdfText[] = [
    { text: "up the margin", x: 30, y: 300, turned: 90 },
    ...body(700, PROSE),
    { text: "on its head", x: 300, y: 60, turned: 180 },
  ];

  const { text } = await read({ pages: [page] });

  expect(text).toBe(`${PROSE.join(" ")}\n\nup the margin\n\non its head\n`);
});

test("a word whose letters are set apart is a word", async () => {
  const { text } = await read({ pages: [[{ text: "CONTENTS", y: 700, spacing: 2.5 }]] });

  expect(text).toBe("CONTENTS\n");
});

test("text drawn twice at one place is read once and told", async () => {
  const twice = { text: "Fake bold", y: 700 };

  const { text, extraction } = await read({ pages: [[twice, { ...twice, x: 72.3 }]] });

  expect(text).toBe("Fake bold\n");
  expect(extraction.decisions).toContain("text drawn twice at one place, read once: 1 pieces");
});

test("text whose font does not tell its characters is left out; a document of nothing else has no text", async () => {
  const secret = { text: "The quick brown fox says why and by the way", y: 640, unmapped: true };

  const { text, extraction } = await read({ pages: [[...body(700, PROSE), secret]] });

  expect(text).toBe(`${PROSE.join(" ")}\n`);
  expect(extraction.decisions).toContain(
    "pages with lines left out because their fonts do not tell their characters: 1",
  );
  expect(await failureOf(read({ pages: [[secret]] }))).toBe("extract.no-text");
});

test("text boxes are read, a reviewer's remarks are counted and left out, hidden ones are not there", async () => {
  const box = "/Subtype /FreeText /DA (/F1 10 Tf)";
  const { text, extraction } = await read({
    pages: [body(700, ["Body."])],
    annotations: [
      `${box} /F 4 /Contents (Typed on the page)`,
      "/Subtype /Text /F 4 /Contents (Please rewrite)",
      `${box} /F 2 /Contents (Nobody sees this)`,
    ],
  });

  expect(text).toContain("Typed on the page");
  expect(text).not.toMatch(/rewrite|Nobody/);
  expect(extraction.decisions).toContain("reviewers' remarks left out: 1");
});

test("the document's password opens it, a wrong one does not", async () => {
  const bytes = makePdf({ pages: [body(700, ["Secret"])], password: "user" });

  const { text } = await readBytes("a.pdf", bytes, { password: "user" });

  expect(text).toBe("Secret\n");
  expect(await failureOf(readBytes("a.pdf", bytes, { password: "other" }))).toBe("extract.encrypted");
});

test("a document that is opened anew on the way gives its text and bold headings to the end", async () => {
  const pages = Array.from({ length: 1_050 }, (_, at) => [
    ...body(740, PROSE),
    { text: `${at + 1}.1 Part`, y: 690, bold: true },
    ...body(670, [`What page ${at + 1} tells of its own`, "is told in two lines."]),
  ]);

  const { segments } = await read({ pages, password: "owner" });

  const told = segments.filter(({ content }) => content.includes("tells"));
  expect(told.map(({ pageNumber, section, content }) => [pageNumber, section, content.trim()])).toEqual(
    pages.map((_, at) => [
      at + 1,
      `${at + 1}.1 Part`,
      `${at + 1}.1 Part\n\nWhat page ${at + 1} tells of its own is told in two lines.`,
    ]),
  );
});
