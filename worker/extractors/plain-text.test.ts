import iconv from "iconv-lite";
import { expect, test } from "vitest";
import { MAX_SEGMENT_CHARS } from "./cut-segments.ts";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const GERMAN = "Die Grüße aus Köln kosten 5 €, sagte Jürgen; „schön“ ist übermäßig viel.\n".repeat(3);
const RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах.\n".repeat(3);
const JAPANESE = "これは短い日本語のテキストです。漢字とカタカナも含まれています。\n".repeat(3);
const CHINESE = "你好，世界。今天天气很好，我们一起去公园散步吧。\n".repeat(3);
const KOREAN = "안녕하세요. 이것은 한국어로 작성된 짧은 문서입니다. 감사합니다.\n".repeat(3);

test.each([
  ["windows-1252", GERMAN],
  ["utf-16le", GERMAN],
  ["utf-16be", RUSSIAN],
  ["utf-32le", GERMAN],
  ["windows-1251", RUSSIAN],
  ["koi8-r", RUSSIAN],
  ["shift_jis", JAPANESE],
  ["euc-jp", JAPANESE],
  ["utf-16le", JAPANESE],
  ["gbk", CHINESE],
  ["big5", "如何使用既有的程式庫，開發及測試軟體的速度是不容忽視的課題。\n"],
  ["cp949", KOREAN],
])("%s without any mark is read as what was written", async (encoding, written) => {
  const reading = await readBytes("note.txt", iconv.encode(written, encoding, { addBOM: false }));

  expect(reading.text).toBe(written);
  expect(reading.extraction.decisions[0]).toMatch(/^encoding /);
});

test("a byte order mark decides and is no text", async () => {
  const utf8 = await readBytes("a.txt", "\ufeffGrüße");
  const utf16 = await readBytes("b.txt", iconv.encode("Grüße", "utf-16be", { addBOM: true }));

  expect([utf8.text, utf16.text]).toEqual(["Grüße", "Grüße"]);
});

test("valid UTF-8 wins over what the sender declares", async () => {
  const reading = await readBytes("a.txt", "Grüße", { mediaType: "text/plain; charset=iso-8859-1" });

  expect(reading.text).toBe("Grüße");
});

test("a declared charset decides between encodings that the bytes cannot tell apart", async () => {
  const bytes = iconv.encode("Ș", "iso-8859-16");

  const reading = await readBytes("a.txt", bytes, { mediaType: "text/plain; charset=iso-8859-16" });

  expect(reading.text).toBe("Ș");
});

test("surrogates written as three bytes are joined, lone ones replaced, NULs dropped", async () => {
  const pair = Buffer.from([0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]);
  const bytes = Buffer.concat([
    Buffer.from("ä "),
    pair,
    Buffer.from(" b\0 "),
    pair.subarray(0, 3),
    Buffer.from(" c"),
  ]);

  const reading = await readBytes("a.txt", bytes);

  expect(reading.text).toBe("ä 😀 b \ufffd c");
});

test("a stretch that is no text, longer than a segment, is no segment; a file of nothing else is empty", async () => {
  // Far enough behind the beginning, or the file would be no text at all.
  const before = "Before the hole.\n".repeat(20_000);
  const hole = String.fromCharCode(1).repeat(3 * MAX_SEGMENT_CHARS);

  const log = await readBytes("a.log", `${before}${hole}After it.\n`);
  const page = await readBytes("a.html", `<p>${before}</p><p>And ${hole}after it.</p>`);
  const nothing = await failureOf(readBytes("b.txt", Buffer.from([0, 1, 2])));

  expect(log.text).toBe(`${before}After it.\n`);
  expect(page.text).toMatch(/And after it\.\n$/);
  expect([...log.segments, ...page.segments].filter(({ content }) => content === "")).toEqual([]);
  expect(nothing).toBe("extract.empty");
});

test("one accent far behind the first chunk decides the encoding of the file", async () => {
  const ascii = "plain words\n".repeat(60_000);

  const reading = await readBytes("a.txt", iconv.encode(`${ascii}à côté du café`, "windows-1252"));

  expect(reading.text.endsWith("à côté du café")).toBe(true);
});

test("a megabyte on one line comes whole, in segments of bounded size", async () => {
  const line = "wörter und 😀 ".repeat(80_000);

  const reading = await readBytes("a.txt", line);

  expect(reading.text).toBe(line);
  for (const segment of reading.segments)
    expect(segment.content.length).toBeLessThanOrEqual(MAX_SEGMENT_CHARS);
});

test("CRLF and CR become line feeds, also where a chunk ends between them", async () => {
  const reading = await readBytes("a.txt", `${"x".repeat((1 << 18) - 1)}\r\ny\rz`);

  expect(reading.text.slice(-4)).toBe("\ny\nz");
});

test.each([
  ["no bytes", ""],
  ["white space", " \n\t\r\n"],
  ["a byte order mark", "\ufeff"],
  ["much white space", " \n".repeat(100_000)],
])("a file of %s is empty", async (_, bytes) => {
  expect(await failureOf(readBytes("a.txt", bytes))).toBe("extract.empty");
});

test("more text than allowed ends with extract.too-large", async () => {
  expect(await failureOf(readBytes("a.txt", "words ".repeat(1_000), { maxChars: 5_000 }))).toBe(
    "extract.too-large",
  );
});
