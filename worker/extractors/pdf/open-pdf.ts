// Opens a PDF with pdf.js in Node: fonts and character maps from the package's own folders, no worker, no
// canvas, no request. Without the character maps all CJK text vanishes and it looks like success.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { PDFDocumentLoadingTask, PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import { Failure } from "../../failure/failure.ts";
import { InflateAtOnce } from "./inflate-at-once.ts";
import { loadParser } from "./load-parser.ts";
import { openLoopback } from "./loopback.ts";

const packageFolder = dirname(createRequire(import.meta.url).resolve("pdfjs-dist/package.json"));
const folder = (name: string): string => `${join(packageFolder, name)}/`;

export type OpenPdf = {
  /** Another one after `renew`: ask for it each time. */
  document(): PDFDocumentProxy;
  /** Opens the same bytes anew, for what pdf.js keeps of each page it has read (4 KB) goes only with its document. */
  renew(): Promise<void>;
  close(): Promise<void>;
};

type Opened = { readonly document: PDFDocumentProxy; close(): Promise<void> };

/**
 * Throws `extract.encrypted` where a password is needed to read and the given one does not fit, `extract.corrupt`
 * where it is no PDF inside.
 */
export async function openPdf(path: string, password?: string): Promise<OpenPdf> {
  const { buffer, byteOffset, byteLength } = await readFile(path);
  // The same bytes under the name pdf.js accepts: a copy would hold a large file twice.
  const open = () => openBytes(new Uint8Array(buffer, byteOffset, byteLength), password);
  let opened = await open();
  return {
    document: () => opened.document,
    async renew() {
      await opened.close();
      opened = await open();
    },
    close: () => opened.close(),
  };
}

async function openBytes(data: Uint8Array, password: string | undefined): Promise<Opened> {
  const { getDocument, PDFWorker, parser } = await loadPdfjs();
  const [ours, theirs] = openLoopback();
  parser.initializeFromPort(theirs);
  // SAFETY: pdf.js only posts to it and listens at it; its types know no port but none.
  const worker = new PDFWorker({ port: ours as unknown as null });
  const task: PDFDocumentLoadingTask = getDocument({
    worker,
    data,
    ...(password !== undefined && { password }),
    cMapUrl: folder("cmaps"),
    cMapPacked: true,
    standardFontDataUrl: folder("standard_fonts"),
    wasmUrl: folder("wasm"),
    iccUrl: folder("iccs"),
    useWorkerFetch: false,
    useSystemFonts: false,
    // Else the outline of each letter is computed wherever drawing operations are asked for; nobody draws them here.
    disableFontFace: false,
    // SAFETY: fonts are only put into it and taken out.
    ownerDocument: { fonts: new Set() } as unknown as undefined,
    // Gives fonts their real names, by which bold is known.
    fontExtraProperties: true,
    // Pictures are never drawn here: larger ones than a point are dropped undecoded.
    maxImageSize: 1,
    isOffscreenCanvasSupported: false,
    isImageDecoderSupported: false,
    stopAtErrors: false,
    enableXfa: false,
    verbosity: 0,
  });
  const close = async (): Promise<void> => {
    await task.destroy();
    worker.destroy();
  };
  try {
    return { document: await task.promise, close };
  } catch (cause) {
    await close();
    const name = cause instanceof Error ? cause.name : typeof cause;
    if (name === "PasswordException") throw new Failure("extract.encrypted", { cause });
    throw new Failure("extract.corrupt", { cause, facts: { format: "pdf", thrown: name } });
  }
}

/** What pdf.js constructs and a browser has; a native canvas, which it asks for otherwise, the child may not load. */
const nothings = ["DOMMatrix", "Path2D", "ImageData", "FontFace"];

/** Its code is loaded once for a process. */
export async function loadPdfjs() {
  const define = (name: string, value: unknown): unknown =>
    Object.defineProperty(globalThis, name, { value, configurable: true });
  for (const name of nothings) if (!(name in globalThis)) define(name, class {});
  define("DecompressionStream", InflateAtOnce);
  const { getDocument, OPS, PDFWorker, AnnotationMode } = await import("pdfjs-dist/legacy/build/pdf.mjs");
  return { getDocument, OPS, PDFWorker, AnnotationMode, parser: await loadParser() };
}
