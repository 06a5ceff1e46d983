// What the extraction bench compares: each reads a file to the texts of its pages, as its documentation says.
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import type { Extracted } from "../../../worker/extractors/extractor.ts";
import { readFileSegments } from "../../../worker/extractors/open-extractor.ts";
import { loadPeer } from "../peers.ts";

/** Texts by page; one text where the contestant tells no pages. Headings where it tells them. */
export type Read = (path: string) => Promise<readonly Page[]>;
export type Page = { readonly text: string; readonly page: number | null; readonly section: string | null };

export type ReaderName =
  | "ours"
  | "ours, two children"
  | "pdfjs, naive"
  | "unpdf"
  | "mammoth"
  | "officeparser"
  | "pdftotext";

type UnPdf = {
  getDocumentProxy(data: Uint8Array): Promise<unknown>;
  extractText(pdf: unknown, options: { mergePages: false }): Promise<{ text: string[] }>;
};
type Mammoth = { extractRawText(input: { path: string }): Promise<{ value: string }> };
type OfficeParser = {
  parseOffice(path: string): Promise<{ to(format: "text"): Promise<{ value: string }> }>;
};
type PdfJs = {
  getDocument(options: object): {
    promise: Promise<{
      numPages: number;
      getPage(at: number): Promise<{ getTextContent(): Promise<{ items: { str?: string }[] }> }>;
    }>;
    destroy(): Promise<void>;
  };
};

const MOST_CHARS = 400_000_000;
const MOST_OUTPUT = 1 << 28;
const run = promisify(execFile);

export async function openReader(name: ReaderName): Promise<Read> {
  switch (name) {
    case "ours":
      return readOurs;
    case "ours, two children":
      return await readIsolated(2);
    case "pdfjs, naive":
      return readNaively;
    case "unpdf": {
      const { getDocumentProxy, extractText } = await loadPeer<UnPdf>("unpdf");
      return async (path) => {
        const pdf = await getDocumentProxy(new Uint8Array(await readFile(path)));
        return pagesOf((await extractText(pdf, { mergePages: false })).text);
      };
    }
    case "mammoth": {
      const { extractRawText } = await loadPeer<Mammoth>("mammoth");
      return async (path) => whole((await extractRawText({ path })).value);
    }
    case "officeparser": {
      const { parseOffice } = await loadPeer<OfficeParser>("officeparser");
      return async (path) => whole((await (await parseOffice(path)).to("text")).value);
    }
    case "pdftotext":
      return async (path) => {
        const { stdout } = await run("pdftotext", ["-enc", "UTF-8", path, "-"], { maxBuffer: MOST_OUTPUT });
        return pagesOf(stdout.split("\f").slice(0, -1));
      };
  }
}

async function readOurs(path: string): Promise<readonly Page[]> {
  const file = { path, name: path, byteSize: (await stat(path)).size, declaredMediaType: null };
  return await pagesFrom(readFileSegments({ ...file, maxChars: MOST_CHARS }));
}

/** As a worker reads: in children that are isolated and stay for the next file. */
async function readIsolated(concurrency: number): Promise<Read> {
  const { openExtractors } = await import("../../../worker/extractors/isolation/extract-isolated.ts");
  const limits = { timeoutMs: 120_000, memoryMb: 1_024, maxChars: MOST_CHARS };
  const { extract } = openExtractors({ limits, concurrency });
  const never = new AbortController().signal;
  return async (path) => {
    const { size } = await stat(path);
    const file = { path, name: path, byteSize: size, sha256: "", declaredMediaType: null };
    return await pagesFrom(extract({ ...file, dispose: async () => {} }, never));
  };
}

async function pagesFrom(items: AsyncIterable<Extracted>): Promise<readonly Page[]> {
  const pages: Page[] = [];
  for await (const message of items)
    if (message.kind === "segment") {
      const { content, pageNumber, section } = message.segment;
      pages.push({ text: content, page: pageNumber, section });
    }
  return pages;
}

/** What a first try with pdf.js gives: the items joined by spaces. */
async function readNaively(path: string): Promise<readonly Page[]> {
  const pdfjs = (await import("pdfjs-dist/legacy/build/pdf.mjs")) as unknown as PdfJs;
  const loading = pdfjs.getDocument({ data: new Uint8Array(await readFile(path)), verbosity: 0 });
  try {
    const pdf = await loading.promise;
    const texts: string[] = [];
    for (let at = 1; at <= pdf.numPages; at += 1) {
      const { items } = await (await pdf.getPage(at)).getTextContent();
      texts.push(items.map((item) => item.str ?? "").join(" "));
    }
    return pagesOf(texts);
  } finally {
    await loading.destroy();
  }
}

const pagesOf = (texts: readonly string[]) =>
  texts.map((text, at) => ({ text, page: at + 1, section: null }));
const whole = (text: string) => [{ text, page: null, section: null }];
