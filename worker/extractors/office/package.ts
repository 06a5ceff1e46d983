// What the packages of Word, PowerPoint and Excel have in common: parts, the relationships between them, properties.
import { posix } from "node:path";
import { decodeChunks } from "../encoding/decode-text.ts";
import type { ZipArchive } from "../zip-archive.ts";
import { createOfficeXmlReader, type XmlEvents } from "./xml.ts";

export type Relationship = {
  readonly id: string;
  /** The last word of its type: `styles`, `slide`, `notesSlide`. */
  readonly kind: string;
  /** The part's name in the archive. */
  readonly part: string;
};

/** Feeds a part to a reader as it inflates; gives control back after each chunk so that blocks can leave. */
export async function* readPart(zip: ZipArchive, name: string, events: XmlEvents): AsyncGenerator<void> {
  const reader = createOfficeXmlReader(events);
  for await (const text of decodeXml(zip.read(name))) {
    reader.write(text);
    yield;
  }
  reader.end();
}

/** The same for a part whose events are all that is wanted. */
export async function readWholePart(zip: ZipArchive, name: string, events: XmlEvents): Promise<void> {
  for await (const _ of readPart(zip, name, events));
}

/** XML is UTF-8 unless it begins with a mark of UTF-16; packages may hold no other encoding (ISO 29500-2, 9.1.4). */
async function* decodeXml(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const given = chunks[Symbol.asyncIterator]();
  const first = await given.next();
  const [one, two] = first.done ? [] : first.value;
  const encoding =
    one === 0xff && two === 0xfe ? "utf-16le" : one === 0xfe && two === 0xff ? "utf-16be" : "utf-8";
  async function* all(): AsyncGenerator<Buffer> {
    if (first.done) return;
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => given };
  }
  yield* decodeChunks(all(), encoding);
}

/** What a part refers to inside of the package, in the order of its relationships. */
export async function readRelationships(zip: ZipArchive, part: string): Promise<Relationship[]> {
  const folder = posix.dirname(part);
  const name = posix.join(folder, "_rels", `${posix.basename(part)}.rels`);
  const found: Relationship[] = [];
  if (!zip.has(name)) return found;
  await readWholePart(zip, name, {
    open(tag, { Id = "", Type = "", Target = "", TargetMode = "" }) {
      if (!tag.endsWith("Relationship") || TargetMode === "External") return;
      const path = posix.join("/", Target.startsWith("/") ? "" : folder, Target).slice(1);
      found.push({ id: Id, kind: Type.slice(Type.lastIndexOf("/") + 1), part: path });
    },
    close() {},
    text() {},
  });
  return found;
}

/** The part that the package is about; `usual` where its relationships are damaged. */
export async function findMainPart(zip: ZipArchive, usual: string): Promise<string> {
  const main = (await readRelationships(zip, "")).find(({ kind }) => kind === "officeDocument");
  return main !== undefined && zip.has(main.part) ? main.part : usual;
}

/** `dc:title` of a part with Dublin Core properties. */
export async function readTitle(zip: ZipArchive, name = "docProps/core.xml"): Promise<string | null> {
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
