import { strToU8, zipSync } from "fflate";
import { expect, test } from "vitest";
import { makeDocx, paragraph } from "../testing/make-docx.ts";
import { makeEpub } from "../testing/make-epub.ts";
import { makePdf } from "../testing/make-pdf.ts";
import { failureOf, readBytes } from "../testing/read-bytes.ts";

const OLE = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

test.each([
  ["a PDF named .txt", "a.txt", makePdf({ pages: [[{ text: "Hello", y: 700 }]] }), "application/pdf"],
  [
    "a PDF behind other bytes",
    "a.pdf",
    Buffer.concat([Buffer.from("\n\njunk\n"), makePdf({ pages: [[{ text: "Hello", y: 700 }]] })]),
    "application/pdf",
  ],
  [
    "a DOCX without a name",
    "upload",
    makeDocx({ body: paragraph("Hello") }),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ],
  [
    "an EPUB named .zip",
    "a.zip",
    makeEpub({ chapters: { "1.xhtml": "<p>Hello</p>" } }),
    "application/epub+zip",
  ],
  ["a mail", "a.eml", "From: a@example.org\nSubject: Hello\n\nHello\n", "message/rfc822"],
  ["HTML named .txt", "a.txt", "<!-- x --><!DOCTYPE html><p>Hello", "text/html"],
  ["an HTML fragment named .html", "a.html", "<p>Hello</p>", "text/html"],
  ["Markdown that begins with a tag", "a.md", "<h1>Hello</h1>\n\ntext", "text/markdown"],
  ["Markdown without a name", "upload", "# Hello\n\n- one\n- two\n", "text/markdown"],
  ["text with a dash list named .txt", "a.txt", "# Hello\n\n- one\n- two\n", "text/plain"],
  ["WebVTT", "a.txt", "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n", "text/vtt"],
  ["SubRip", "a", "1\n00:00:01,000 --> 00:00:02,000\nHello\n", "application/x-subrip"],
  ["JSON", "a", '{"segments":[{"text":"Hello","start":0,"end":1}]}', "application/json"],
  ["RTF", "upload", "{\\rtf1 hello}", "application/rtf"],
  ["a word that begins like a bitmap", "a.txt", "BMW builds cars.", "text/plain"],
])("%s is known by its content", async (_, name, bytes, mediaType) => {
  const reading = await readBytes(name, bytes, { mediaType: "application/octet-stream" });

  expect(reading.extraction.mediaType).toBe(mediaType);
  expect(reading.text).not.toBe("");
});

test("a declared type that the bytes contradict is doubted, and said", async () => {
  const reading = await readBytes("a", "# Hello\n\n**bold** text", { mediaType: "application/pdf" });

  expect(reading.extraction.decisions).toContain("read as text/markdown although declared application/pdf");
});

test.each([
  ["a JPEG named .pdf", "a.pdf", Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46])],
  ["a PNG", "a.png", Buffer.from("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1")],
  ["an old Word file", "a.doc", Buffer.from([...OLE, ...Array.from({ length: 600 }, () => 0)])],
  [
    "random bytes",
    "a.bin",
    Buffer.from(Array.from({ length: 4_000 }, (_, at) => (at * at * 31 + at * 7) & 255)),
  ],
  [
    "a binary workbook",
    "a.xlsb",
    zipSync({ "[Content_Types].xml": strToU8("<Types/>"), "xl/workbook.bin": strToU8("x") }),
  ],
  ["a plain archive", "a.zip", zipSync({ "readme.txt": strToU8("hello") })],
])("%s is not supported", async (_, name, bytes) => {
  expect(await failureOf(readBytes(name, bytes))).toBe("extract.unsupported");
});

test("an encrypted DOCX, which is an OLE file, is told from an old Word file", async () => {
  const bytes = Buffer.concat([
    Buffer.from(OLE),
    Buffer.alloc(3_000),
    Buffer.from("EncryptedPackage", "utf16le"),
  ]);

  expect(await failureOf(readBytes("a.docx", bytes))).toBe("extract.encrypted");
});

test.each([
  ["WordDocument", "Workbook", "Save it as .docx"],
  ["Workbook", "WordDocument", "Save it as .xlsx"],
  ["PowerPoint Document", "", "Save it as .pptx"],
])("an old office file with the stream %s is named, whatever is embedded in it", async (stream, inside, says) => {
  const names = [stream, inside].map((name) => Buffer.from(name, "utf16le"));
  const bytes = Buffer.concat([Buffer.from(OLE), Buffer.alloc(1_000), ...names, Buffer.alloc(500)]);

  const reading = readBytes("a.doc", bytes);

  await expect(reading).rejects.toMatchObject({
    code: "extract.unsupported",
    message: expect.stringContaining(says),
  });
});

test("an archive that is cut short is corrupt", async () => {
  const whole = makeDocx({ body: paragraph("Hello") });

  expect(await failureOf(readBytes("a.docx", whole.subarray(0, whole.length / 2)))).toBe("extract.corrupt");
});
