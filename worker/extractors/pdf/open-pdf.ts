// Opens a PDF with pdf.js in Node: fonts and character maps from the package's own folders, no worker, no
// canvas, no request. Without the character maps all CJK text vanishes and it looks like success.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { PDFDocumentLoadingTask, PDFDocumentProxy } from "pdfjs-dist/types/src/display/api.js";
import { Failure } from "../../failure/failure.ts";

const packageFolder = dirname(createRequire(import.meta.url).resolve("pdfjs-dist/package.json"));
const folder = (name: string): string => `${join(packageFolder, name)}/`;

export type OpenPdf = { readonly pdf: PDFDocumentProxy; close(): Promise<void> };

/**
 * Throws `extract.encrypted` where a password is needed to read and the given one does not fit, `extract.corrupt`
 * where it is no PDF inside.
 */
export async function openPdf(path: string, password?: string): Promise<OpenPdf> {
  const { getDocument } = await loadPdfjs();
  const task: PDFDocumentLoadingTask = getDocument({
    data: new Uint8Array(await readFile(path)),
    ...(password !== undefined && { password }),
    cMapUrl: folder("cmaps"),
    cMapPacked: true,
    standardFontDataUrl: folder("standard_fonts"),
    wasmUrl: folder("wasm"),
    iccUrl: folder("iccs"),
    useWorkerFetch: false,
    useSystemFonts: false,
    disableFontFace: true,
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
  try {
    return { pdf: await task.promise, close: () => task.destroy() };
  } catch (cause) {
    await task.destroy();
    const name = cause instanceof Error ? cause.name : typeof cause;
    if (name === "PasswordException") throw new Failure("extract.encrypted", { cause });
    throw new Failure("extract.corrupt", { cause, facts: { format: "pdf", thrown: name } });
  }
}

/** Its code is loaded once for a process. */
export async function loadPdfjs() {
  // pdf.js constructs one of these while it loads and asks for a native canvas otherwise, which the child may
  // not load. Text needs none of them.
  for (const name of ["DOMMatrix", "Path2D", "ImageData"])
    if (!(name in globalThis))
      Object.defineProperty(globalThis, name, { value: class {}, configurable: true });
  return await import("pdfjs-dist/legacy/build/pdf.mjs");
}
