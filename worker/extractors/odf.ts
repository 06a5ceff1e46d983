// OpenDocument: texts (ODT), spreadsheets (ODS) and presentations (ODP), streamed out of one part of the archive.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { ODS } from "./media-type/detect-zip-type.ts";
import { createOdfBody } from "./odf/body.ts";
import { createOdfSheets } from "./odf/sheet.ts";
import { createOdfStyles, type OdfStyles } from "./odf/styles.ts";
import { readPart, readTitle, readWholePart } from "./office/package.ts";
import type { XmlEvents } from "./office/xml.ts";
import { readsZip } from "./reads-zip.ts";
import type { ZipArchive } from "./zip-archive.ts";

export const readOpenDocument = readsZip(readPackage);

async function* readPackage(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  await refuseEncrypted(zip);
  const styles = createOdfStyles();
  const quiet = { close() {}, text() {} };
  if (zip.has("styles.xml")) await readWholePart(zip, "styles.xml", { open: styles.open, ...quiet });
  const title = await readTitle(zip, "meta.xml");
  const { mediaType, decisions } = file;
  yield { kind: "extraction", extraction: { mediaType, pages: null, title, decisions } };

  const cutter = createSegmentCutter(file.maxChars);
  const blocks: Block[] = [];
  let pages: number | null = null;
  const emit = (block: Block): void => {
    if (block.kind === "page") pages = block.page;
    blocks.push(block);
  };
  const sheets = mediaType === ODS ? createOdfSheets(styles, emit) : null;
  const body = sheets ?? createOdfBody(styles, file.maxChars, emit);
  for await (const _ of readPart(zip, "content.xml", withStyles(styles, body)))
    for (const block of blocks.splice(0))
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  for (const block of blocks.splice(0))
    for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count === 0) {
    const pictures = zip.names.filter((name) => /^Pictures\/./.test(name)).length;
    throw new Failure(pictures > 0 ? "extract.no-text" : "extract.empty", { facts: { pictures } });
  }
  const hidden = sheets !== null && sheets.hidden > 0 ? [`hidden sheets left out (${sheets.hidden})`] : [];
  if (pages !== null || hidden.length > 0)
    yield {
      kind: "extraction",
      extraction: { mediaType, pages, title, decisions: [...decisions, ...hidden] },
    };
}

/** The styles of content.xml stand before its body; nothing of them is text. */
function withStyles(styles: OdfStyles, body: XmlEvents): XmlEvents {
  let inBody = false;
  return {
    open(name, attributes) {
      if (inBody) body.open(name, attributes);
      else if (name === "office:body") inBody = true;
      else styles.open(name, attributes);
    },
    text(text) {
      if (inBody) body.text(text);
    },
    close(name) {
      if (name === "office:body") inBody = false;
      if (inBody) body.close(name);
    },
  };
}

/** Encrypted parts are not ZIP-encrypted: the manifest says so (OpenDocument 1.3, part 2, 3.4). */
async function refuseEncrypted(zip: ZipArchive): Promise<void> {
  if (!zip.has("META-INF/manifest.xml")) return;
  await readWholePart(zip, "META-INF/manifest.xml", {
    open(name) {
      if (name === "manifest:encryption-data") throw new Failure("extract.encrypted");
    },
    close() {},
    text() {},
  });
}
