import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test, vi } from "vitest";
import { makePdf, type PdfText } from "../testing/make-pdf.ts";
import { loadParser, type Parser, rewrites } from "./load-parser.ts";
import { openLoopback } from "./loopback.ts";
import { loadPdfjs } from "./open-pdf.ts";

const file = createRequire(import.meta.url).resolve("pdfjs-dist/legacy/build/pdf.worker.mjs");
const standardFontDataUrl = `${join(file, "../../../standard_fonts")}/`;

async function loadShipped(): Promise<Parser> {
  // A name of its own, so that it is not the module that was loaded before.
  const url = `${pathToFileURL(file).href}?as-shipped`;
  return ((await import(/* @vite-ignore */ url)) as { WorkerMessageHandler: Parser }).WorkerMessageHandler;
}

async function itemsOf(pdf: Uint8Array, parser: Parser): Promise<object[]> {
  const { getDocument, PDFWorker } = await loadPdfjs();
  const [ours, theirs] = openLoopback();
  parser.initializeFromPort(theirs);
  const worker = new PDFWorker({ port: ours as unknown as null });
  const task = getDocument({ worker, data: new Uint8Array(pdf), standardFontDataUrl });
  const { items } = await (await (await task.promise).getPage(1)).getTextContent();
  await task.destroy();
  // The names of fonts begin with the document's number.
  return items.map((item) => ({ ...item, fontName: "fontName" in item && item.fontName.split("_").at(-1) }));
}

test.each(rewrites.map(({ from }) => [from]))("the installed pdf.js writes %s once", (from) => {
  expect(readFileSync(file, "utf8").split(from)).toHaveLength(2);
});

test("text is found where pdf.js as it is shipped finds it", async () => {
  const text = "Some words";
  const lines: PdfText[] = [
    { text, y: 800 },
    { text, y: 780, bold: true, spacing: 0.8, operators: "83 Tz -3 Ts" },
    { text, y: 700, x: 300, turned: 90, operators: "4 Ts" },
    { text, y: 600, operators: "q 0.9 0.1 -0.1 1.1 3 4 cm 2 Tw" },
    { text, y: 500, turned: 180, x: 400, operators: "(Word) Tj Q 12 TL (Line) ' q q" },
    { text, y: 400, unmapped: true, operators: "0.3 0.2 0 0.5 7 9 cm" },
  ];
  const pdf = makePdf({ pages: [lines] });

  const items = await itemsOf(pdf, await loadParser());

  expect(items.length).toBeGreaterThan(lines.length);
  expect(items).toEqual(await itemsOf(pdf, await loadShipped()));
});

test("the parser that reads has been rewritten", async () => {
  const pdf = makePdf({ pages: [[{ text: "Some words", y: 800 }]] });
  const made = vi.spyOn(globalThis, "Float32Array");
  const statesWithMatrixOfAnotherKind = async (parser: Parser): Promise<number> => {
    made.mockClear();
    await itemsOf(pdf, parser);
    return (made.mock.calls as unknown[][]).filter(([given]) => String(given) === "1,0,0,1,0,0").length;
  };

  expect(await statesWithMatrixOfAnotherKind(await loadShipped())).toBeGreaterThan(0);
  expect(await statesWithMatrixOfAnotherKind((await loadPdfjs()).parser)).toBe(0);
});

test("letters that stand for signs are read as the signs", async () => {
  const pdf = makePdf({ pages: [[{ text: "4 l", y: 800, signs: true }]] });
  const read = async (parser: Parser): Promise<string> =>
    (await itemsOf(pdf, parser)).map((item) => ("str" in item ? item.str : "")).join("");

  expect([await read(await loadShipped()), await read(await loadParser())]).toEqual(["4 l", "✔ ●"]);
});

test.each([1.5, 4, 8])("words whose letters are spaced by %d points are words", async (spacing) => {
  const pdf = makePdf({ pages: [[{ text: "TITLE PAGE", y: 800, spacing }]] });
  const read = async (parser: Parser): Promise<string> =>
    (await itemsOf(pdf, parser)).map((item) => ("str" in item ? item.str : "")).join("");

  expect(await read(await loadShipped())).toContain("T I T L E");
  expect(await read(await loadParser())).toBe("TITLE PAGE");
});

test("signs that are placed farther apart than a letter is large stay signs", async () => {
  const pdf = makePdf({ pages: [[{ text: "XYZ", y: 800, spacing: 30 }]] });

  const items = await itemsOf(pdf, await loadParser());

  expect(items).toEqual(await itemsOf(pdf, await loadShipped()));
});
