import { expect, test } from "vitest";
import { makeDocx, paragraph } from "./testing/make-docx.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const STYLES = `
  <w:style w:type="paragraph" w:styleId="Titel"><w:name w:val="Title"/></w:style>
  <w:style w:type="paragraph" w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>
  <w:style w:type="paragraph" w:styleId="Eigene"><w:name w:val="Mine"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
  <w:style w:type="paragraph" w:styleId="Kind"><w:name w:val="Child"/><w:basedOn w:val="Eigene"/></w:style>
  <w:style w:type="paragraph" w:styleId="A"><w:name w:val="a"/><w:basedOn w:val="B"/></w:style>
  <w:style w:type="paragraph" w:styleId="B"><w:name w:val="b"/><w:basedOn w:val="A"/></w:style>
  <w:style w:type="character" w:styleId="Versteckt"><w:name w:val="Hidden"/><w:rPr><w:vanish/></w:rPr></w:style>`;

const run = (text: string, properties = ""): string =>
  `<w:r><w:rPr>${properties}</w:rPr><w:t>${text}</w:t></w:r>`;
const read = (spec: Parameters<typeof makeDocx>[0]) => readBytes("a.docx", makeDocx(spec));

test("headings are known by the English name behind a local style, by outline level and by inheritance", async () => {
  const body =
    paragraph("Report", "Titel") +
    paragraph("Eins", "berschrift1") +
    paragraph("text") +
    paragraph("Zwei", "Eigene") +
    paragraph("text") +
    paragraph("Drei", "Kind") +
    paragraph("text", "A");

  const { segments } = await read({ body, styles: STYLES });

  expect(segments.map((segment) => segment.section)).toEqual([
    "Report",
    "Report > Eins",
    "Report > Eins > Zwei",
    "Report > Eins > Drei",
  ]);
});

test("tables come row by row, list items line by line, paragraphs apart", async () => {
  const cell = (text: string): string => `<w:tc>${paragraph(text)}</w:tc>`;
  const row = (...cells: string[]): string => `<w:tr>${cells.map(cell).join("")}</w:tr>`;
  const item = (text: string): string =>
    `<w:p><w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr>${run(text)}</w:p>`;
  const body = `${paragraph("Before")}<w:tbl>${row("a", "b")}${row("c", "d")}</w:tbl>${item("one")}${item("two")}${paragraph("After")}`;

  const { text } = await read({ body });

  expect(text).toBe("Before\n\na | b\nc | d\n\n- one\n- two\n\nAfter\n");
});

test("tracked changes read as accepted: insertions in, deletions and moved-away text out", async () => {
  const body = `<w:p>${run("keep ")}<w:ins>${run("new ")}</w:ins><w:del><w:r><w:delText>old </w:delText></w:r></w:del><w:moveFrom>${run("gone ")}</w:moveFrom><w:moveTo>${run("here")}</w:moveTo></w:p>`;

  const { text } = await read({ body });

  expect(text).toBe("keep new here\n");
});

test("a deleted paragraph mark joins two paragraphs", async () => {
  const body = `<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr>${run("first ")}</w:p><w:p>${run("second")}</w:p>`;

  const { text } = await read({ body });

  expect(text).toBe("first second\n");
});

test("hidden text, field codes and comments are left out", async () => {
  const body = `<w:p>${run("seen ")}${run("direct ", "<w:vanish/>")}${run("styled ", '<w:rStyle w:val="Versteckt"/>')}${run("shown", '<w:vanish w:val="0"/>')}<w:r><w:instrText>PAGEREF</w:instrText></w:r></w:p>`;

  const reading = await read({ body, styles: STYLES, entries: { "word/comments.xml": "<c>remark</c>" } });

  expect(reading.text).toBe("seen shown\n");
  expect(reading.extraction.decisions).toContain("comments left out");
});

test("a text box is read once, after its paragraph", async () => {
  const box = `<w:txbxContent>${paragraph("in the box")}</w:txbxContent>`;
  const body = `<w:p>${run("before")}<w:r><mc:AlternateContent><mc:Choice>${box}</mc:Choice><mc:Fallback>${box}</mc:Fallback></mc:AlternateContent></w:r>${run(" after")}</w:p>`;

  const { text } = await read({ body });

  expect(text).toBe("before after\n\nin the box\n");
});

test("a footnote follows the paragraph that refers to it; separators do not", async () => {
  const footnotes = `<w:footnote w:type="separator" w:id="0">${paragraph("line")}</w:footnote><w:footnote w:id="2">${paragraph("the note")}</w:footnote>`;
  const body = `<w:p>${run("claim")}<w:r><w:footnoteReference w:id="2"/></w:r></w:p>${paragraph("next")}`;

  const { text } = await read({ body, footnotes });

  expect(text).toBe("claim\n\nthe note\n\nnext\n");
});

test("the strict namespace and an unusual prefix are read alike", async () => {
  const strict = "http://purl.oclc.org/ooxml/wordprocessingml/main";
  const document = `<x:document xmlns:x="${strict}"><x:body><x:p><x:r><x:t>Hello</x:t></x:r></x:p></x:body></x:document>`;

  const { text } = await read({ body: "", document });

  expect(text).toBe("Hello\n");
});

test("an entity bomb expands to nothing", async () => {
  const bomb = `<!DOCTYPE d [<!ENTITY a "${"x".repeat(1_000)}"><!ENTITY b "${"&a;".repeat(1_000)}">]>`;
  const document = `<?xml version="1.0"?>${bomb}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>${paragraph("a &b; z")}</w:body></w:document>`;

  const { text } = await read({ body: "", document });

  expect(text.length).toBeLessThan(100);
});

test("a zip bomb is refused by what comes out", async () => {
  const entries = { "word/document.xml": new Uint8Array(40 << 20) };

  expect(await failureOf(read({ body: "", entries }))).toBe("extract.too-large");
});

test("more entries than any document has are refused", async () => {
  const entries = Object.fromEntries(Array.from({ length: 10_001 }, (_, at) => [`word/media/${at}`, ""]));

  expect(await failureOf(read({ body: paragraph("x"), entries }))).toBe("extract.too-large");
});

test("a main part that ends in the middle is corrupt, although the archive is whole", async () => {
  const document =
    '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>cut';

  expect(await failureOf(read({ body: "", document }))).toBe("extract.corrupt");
});

test("a changed byte inside an entry is corrupt", async () => {
  const bytes = makeDocx({ body: paragraph("Hello ".repeat(2_000)) });
  const at = Buffer.from(bytes).indexOf("word/document.xml") + 60;
  bytes[at] = (bytes[at] ?? 0) ^ 255;

  expect(await failureOf(readBytes("a.docx", bytes))).toBe("extract.corrupt");
});

test("a document without text is empty, one with pictures only has no text", async () => {
  const empty = await failureOf(read({ body: paragraph(" ") }));
  const scan = await failureOf(read({ body: paragraph(""), entries: { "word/media/image1.png": "x" } }));

  expect([empty, scan]).toEqual(["extract.empty", "extract.no-text"]);
});
