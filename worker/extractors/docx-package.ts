// The parts of a DOCX package: where the body, styles, notes and properties lie, and their text as XML events.
import { posix } from "node:path";
import { decodeChunks } from "./decode-text.ts";
import { createOfficeXmlReader, type XmlEvents } from "./office-xml.ts";
import type { ZipArchive } from "./zip-archive.ts";

export type DocxParts = {
  readonly body: string;
  readonly styles: string | null;
  readonly footnotes: string | null;
  readonly endnotes: string | null;
};

/** Feeds a part to a reader as it inflates; gives control back after each chunk so that blocks can leave. */
export async function* readPart(zip: ZipArchive, name: string, events: XmlEvents): AsyncGenerator<void> {
  const reader = createOfficeXmlReader(events);
  for await (const text of decodeChunks(zip.read(name), "utf-8")) {
    reader.write(text);
    yield;
  }
  reader.end();
}

/** The same for a part whose events are all that is wanted. */
export async function readWholePart(zip: ZipArchive, name: string, events: XmlEvents): Promise<void> {
  for await (const _ of readPart(zip, name, events));
}

/** Follows the package's relationships; falls back on the usual names where they are damaged. */
export async function findParts(zip: ZipArchive): Promise<DocxParts> {
  const main = (await relationships(zip, "_rels/.rels")).find(({ type }) => type.endsWith("/officeDocument"));
  const named = main === undefined ? null : posix.join("/", main.target).slice(1);
  const body = named !== null && zip.has(named) ? named : "word/document.xml";
  const folder = posix.dirname(body);
  const parts = await relationships(zip, `${folder}/_rels/${posix.basename(body)}.rels`);
  const find = (kind: string): string | null => {
    const target = parts.find(({ type }) => type.endsWith(`/${kind}`))?.target ?? `${kind}.xml`;
    const path = target.startsWith("/") ? target.slice(1) : posix.join(folder, target);
    return zip.has(path) ? path : null;
  };
  return { body, styles: find("styles"), footnotes: find("footnotes"), endnotes: find("endnotes") };
}

async function relationships(zip: ZipArchive, name: string): Promise<{ type: string; target: string }[]> {
  const found: { type: string; target: string }[] = [];
  if (!zip.has(name)) return found;
  await readWholePart(zip, name, {
    open(tag, attributes) {
      if (!tag.endsWith("Relationship") || attributes.TargetMode === "External") return;
      found.push({ type: attributes.Type ?? "", target: attributes.Target ?? "" });
    },
    close() {},
    text() {},
  });
  return found;
}

/** `dc:title` of the core properties. */
export async function readTitle(zip: ZipArchive): Promise<string | null> {
  const name = "docProps/core.xml";
  if (!zip.has(name)) return null;
  let inside = false;
  let title = "";
  const events: XmlEvents = {
    open(tag) {
      inside = tag === "dc:title";
    },
    close() {
      inside = false;
    },
    text(text) {
      if (inside) title += text;
    },
  };
  // A damaged property part is no reason to lose the document.
  await readWholePart(zip, name, events).catch(() => undefined);
  return title.trim() === "" ? null : title.replace(/\s+/g, " ").trim();
}
