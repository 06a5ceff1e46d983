import { expect, test } from "vitest";
import { makeEpub, xhtml } from "./testing/make-epub.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const read = (spec: Parameters<typeof makeEpub>[0]) => readBytes("a.epub", makeEpub(spec));
const ENCRYPTION = (path: string, algorithm: string): string =>
  `<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><enc:EncryptedData xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptionMethod Algorithm="${algorithm}"/><enc:CipherData><enc:CipherReference URI="${path}"/></enc:CipherData></enc:EncryptedData></encryption>`;

test("chapters come in the order of the spine, with their headings as path and the book's title", async () => {
  const { text, segments, extraction } = await read({
    title: "Two &amp; Two",
    chapters: {
      "z.xhtml": "<h1>One</h1><p>First.</p><h2>Part</h2><p>Deep.</p>",
      "a.xhtml": "<h1>Two</h1><p>Last.</p>",
    },
  });

  expect(text).toBe("One\n\nFirst.\n\nPart\n\nDeep.\n\nTwo\n\nLast.\n");
  expect(segments.map((segment) => segment.section)).toEqual(["One", "One > Part", "Two"]);
  expect(extraction.title).toBe("Two & Two");
  expect(extraction.mediaType).toBe("application/epub+zip");
});

test.each(["ncx", "nav"] as const)("a chapter without a heading is called what the %s says", async (kind) => {
  const { segments, text } = await read({
    chapters: { "1.xhtml": "<p>Dark.</p>", "2.xhtml": "<h1>Own Name</h1><p>Bright.</p>" },
    [kind]: { "1.xhtml": "Chapter the First", "2.xhtml": "Other" },
  });

  expect(segments.map((segment) => segment.section)).toEqual(["Chapter the First", "Own Name"]);
  expect(text).toBe("Dark.\n\nOwn Name\n\nBright.\n");
});

test("a chapter that another file goes on with stays under its heading", async () => {
  const { segments } = await read({ chapters: { "1.xhtml": "<h1>One</h1><p>a</p>", "2.xhtml": "<p>b</p>" } });

  expect(new Set(segments.map((segment) => segment.section))).toEqual(new Set(["One"]));
});

test("file names with spaces and other letters are found", async () => {
  const { text } = await read({
    chapters: { "kapitel%201.xhtml": "" },
    entries: { "OEBPS/kapitel%201.xhtml": null, "OEBPS/kapitel 1.xhtml": xhtml("<p>Grüße</p>") },
  });

  expect(text).toBe("Grüße\n");
});

test("a chapter in UTF-16 is read by its byte order mark", async () => {
  const { text } = await read({
    chapters: { "1.xhtml": "" },
    entries: { "OEBPS/1.xhtml": Buffer.from(`\ufeff${xhtml("<p>Wörter</p>")}`, "utf16le") },
  });

  expect(text).toBe("Wörter\n");
});

test("an encrypted chapter makes the book encrypted, a scrambled font does not", async () => {
  const chapters = { "1.xhtml": "<p>Text</p>" };
  const lock = ENCRYPTION("OEBPS/1.xhtml", "http://www.w3.org/2001/04/xmlenc#aes128-cbc");
  const font = ENCRYPTION("OEBPS/f.otf", "http://www.idpf.org/2008/embedding");

  const locked = await failureOf(read({ chapters, entries: { "META-INF/encryption.xml": lock } }));
  const scrambled = await read({ chapters, entries: { "META-INF/encryption.xml": font } });

  expect(locked).toBe("extract.encrypted");
  expect(scrambled.text).toBe("Text\n");
});

test("a book without a package is corrupt, one without a container is read by the package it has", async () => {
  const chapters = { "1.xhtml": "<p>Text</p>" };

  const without = await failureOf(read({ chapters, entries: { "OEBPS/book.opf": null } }));
  const lost = await read({ chapters, entries: { "META-INF/container.xml": "<container/>" } });

  expect(without).toBe("extract.corrupt");
  expect(lost.text).toBe("Text\n");
});

test("a truncated book is corrupt", async () => {
  const whole = makeEpub({ chapters: { "1.xhtml": "<p>Text</p>" } });

  expect(await failureOf(readBytes("a.epub", whole.subarray(0, whole.length - 40)))).toBe("extract.corrupt");
});

test("a chapter that the archive lacks is told, and costs itself", async () => {
  const { text, extraction } = await read({
    chapters: { "1.xhtml": "<p>Here</p>", "2.xhtml": "" },
    entries: { "OEBPS/2.xhtml": null },
  });

  expect(text).toBe("Here\n");
  expect(extraction.decisions).toContain("1 chapters are not in the archive");
});

test("a damaged chapter costs itself", async () => {
  const bytes = makeEpub({
    chapters: { "1.xhtml": `<p>${"abcdefgh ".repeat(500)}</p>`, "2.xhtml": "<p>Whole</p>" },
  });
  const name = Buffer.from(bytes).indexOf("OEBPS/1.xhtml");
  bytes.fill(0xff, name + 14, name + 60);

  const { text, extraction } = await readBytes("a.epub", bytes);

  expect(text).toContain("Whole");
  expect(extraction.decisions.join()).toMatch(/1 damaged chapters/);
});

test("a book of pictures has no text, a book of nothing is empty", async () => {
  const pictures = await failureOf(
    read({ chapters: { "1.xhtml": "<img src='a.png'/>" }, entries: { "OEBPS/a.png": "x" } }),
  );
  const nothing = await failureOf(read({ chapters: { "1.xhtml": "<p> </p>" } }));

  expect(pictures).toBe("extract.no-text");
  expect(nothing).toBe("extract.empty");
});

test("a chapter that unpacks to more than allowed ends with extract.too-large", async () => {
  const bomb = read({ chapters: { "1.xhtml": `<p>${"a ".repeat(20 << 20)}</p>` } });

  expect(await failureOf(bomb)).toBe("extract.too-large");
}, 60_000);
