// The parts of an EPUB (EPUB 3.3 and OPF 2): what the book is called, its chapters in reading order, what its table
// of contents calls them, and which of them are encrypted.
import { posix } from "node:path";
import { Parser } from "htmlparser2";
import { Failure } from "../../failure/failure.ts";
import { decodeChunks } from "../encoding/decode-text.ts";
import type { ZipArchive } from "../zip-archive.ts";

const CONTAINER = "META-INF/container.xml";
const ENCRYPTION = "META-INF/encryption.xml";
const CHAPTER_TYPE =
  /^(application\/xhtml\+xml|text\/html|application\/x-dtbook\+xml|text\/x-oeb1-document)$/i;
/** Scrambling of fonts alone: the text is in the clear. */
const FONT_SCRAMBLING = /idpf\.org\/2008\/embedding|ns\.adobe\.com\/pdf\/enc#RC/i;
/** Parts about the book are read whole: names and lists, not text. */
const MAX_PART_CHARS = 16 << 20;
const MAX_CHAPTERS = 10_000;

export type EpubChapter = {
  /** Its entry in the archive. */
  readonly path: string;
  /** What the table of contents calls it, or null. */
  readonly label: string | null;
};

export type EpubBook = {
  readonly title: string | null;
  readonly chapters: readonly EpubChapter[];
  /** Chapters that the archive lacks. */
  readonly missing: number;
  /** Whether the table of contents is among what would be read. */
  readonly contents: boolean;
};

type Item = { readonly id: string; readonly path: string; readonly type: string; readonly contents: boolean };

/** Throws `extract.corrupt` for a book without a readable package, `extract.encrypted` for one with locked chapters. */
export async function openBook(zip: ZipArchive): Promise<EpubBook> {
  const packagePath = await findPackage(zip);
  const { title, items, spine, ncx } = await readPackage(zip, packagePath);
  const readable = items.filter(({ type }) => CHAPTER_TYPE.test(type));
  const byId = new Map(readable.map((item) => [item.id, item]));
  const inOrder = spine.flatMap((id) => byId.get(id) ?? []);
  // A package without a reading order still lists its parts.
  const listed = (inOrder.length > 0 ? inOrder : readable).slice(0, MAX_CHAPTERS);
  const unique = [...new Map(listed.map((item) => [item.path, item])).values()];
  const chapters = unique.filter(({ contents, path }) => !contents && zip.has(path));
  await refuseLocked(zip, chapters);
  const nav =
    items.find(({ contents }) => contents) ?? items.find(({ id, type }) => id === ncx || /dtbncx/.test(type));
  const labels =
    nav === undefined || !zip.has(nav.path) ? new Map<string, string>() : await readLabels(zip, nav.path);
  return {
    title,
    chapters: chapters.map(({ path }) => ({ path, label: labels.get(path) ?? null })),
    missing: unique.filter(({ path }) => !zip.has(path)).length,
    contents: unique.some(({ contents }) => contents),
  };
}

async function findPackage(zip: ZipArchive): Promise<string> {
  let path: string | null = null;
  if (zip.has(CONTAINER))
    await readXml(zip, CONTAINER, (name, attributes) => {
      if (name === "rootfile") path ??= attributes["full-path"] ?? null;
    });
  const found = path !== null && zip.has(path) ? path : zip.names.find((name) => name.endsWith(".opf"));
  if (found === undefined)
    throw new Failure("extract.corrupt", { facts: { format: "epub", missing: "package" } });
  return found;
}

async function readPackage(zip: ZipArchive, path: string) {
  const items: Item[] = [];
  const spine: string[] = [];
  let ncx: string | null = null;
  let title = "";
  let titles = 0;
  await readXml(
    zip,
    path,
    (name, attributes) => {
      if (name === "title") titles += 1;
      if (name === "item" && attributes.href !== undefined)
        items.push({
          id: attributes.id ?? "",
          path: resolvePath(path, attributes.href),
          type: attributes["media-type"] ?? "",
          contents: /(^|\s)nav(\s|$)/.test(attributes.properties ?? ""),
        });
      if (name === "spine") ncx = attributes.toc ?? null;
      if (name === "itemref" && attributes.idref !== undefined) spine.push(attributes.idref);
    },
    (text, inside) => {
      if (inside === "title" && titles === 1) title += text;
    },
  );
  const tidy = title.replace(/\s+/g, " ").trim();
  return { title: tidy === "" ? null : tidy, items, spine, ncx };
}

/** A chapter whose bytes are encrypted cannot be read; that only its fonts are does not matter. */
async function refuseLocked(zip: ZipArchive, chapters: readonly Item[]): Promise<void> {
  if (!zip.has(ENCRYPTION)) return;
  const locked = new Set<string>();
  let scrambled = false;
  await readXml(zip, ENCRYPTION, (name, attributes) => {
    if (name === "EncryptionMethod") scrambled = FONT_SCRAMBLING.test(attributes.Algorithm ?? "");
    if (name === "CipherReference" && !scrambled) locked.add(resolvePath("", attributes.URI ?? ""));
  });
  if (chapters.some(({ path }) => locked.has(path))) throw new Failure("extract.encrypted");
}

/** First label of each file, from an EPUB 3 `nav` or an NCX. A damaged table of contents costs only the labels. */
async function readLabels(zip: ZipArchive, path: string): Promise<Map<string, string>> {
  const labels = new Map<string, string>();
  const points: { label: string; path: string | null }[] = [];
  const put = (point: { label: string; path: string | null } | undefined): void => {
    const label = point?.label.replace(/\s+/g, " ").trim() ?? "";
    if (label !== "" && point?.path != null && !labels.has(point.path)) labels.set(point.path, label);
  };
  const open = (name: string, attributes: Readonly<Record<string, string>>): void => {
    if (name === "a") points.push({ label: "", path: resolvePath(path, attributes.href ?? "") });
    if (name === "navPoint") points.push({ label: "", path: null });
    const point = points.at(-1);
    // An NCX says the label before the target, and both before the points below it.
    if (name === "content" && point !== undefined && point.path === null) {
      point.path = resolvePath(path, attributes.src ?? "");
      put(point);
    }
  };
  const text = (piece: string, inside: string): void => {
    const point = points.at(-1);
    if (point !== undefined && (inside === "text" || point.path !== null)) point.label += piece;
  };
  const close = (name: string): void => {
    if (name === "a") put(points.pop());
    if (name === "navPoint") points.pop();
  };
  await readXml(zip, path, open, text, close).catch(() => undefined);
  return labels;
}

function resolvePath(from: string, reference: string): string {
  const path = reference.split(/[?#]/, 1)[0] ?? "";
  return posix.join(posix.dirname(from), decode(path)).replace(/^(\.\/|\/)+/, "");
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** Events with names less their prefixes; `inside` is the innermost open element. */
async function readXml(
  zip: ZipArchive,
  name: string,
  open: (name: string, attributes: Readonly<Record<string, string>>) => void,
  text: (text: string, inside: string) => void = () => undefined,
  close: (name: string) => void = () => undefined,
): Promise<void> {
  const stack: string[] = [];
  let chars = 0;
  const parser = new Parser(
    {
      onopentag(tag, attributes) {
        if (stack.length > 1_000) throw new Failure("extract.too-large", { facts: { depth: stack.length } });
        const local = tag.slice(tag.indexOf(":") + 1);
        stack.push(local);
        open(local, attributes);
      },
      ontext: (piece) => text(piece, stack.at(-1) ?? ""),
      onclosetag(tag) {
        stack.pop();
        close(tag.slice(tag.indexOf(":") + 1));
      },
    },
    { xmlMode: true },
  );
  for await (const piece of decodeChunks(zip.read(name), "utf-8")) {
    chars += piece.length;
    if (chars > MAX_PART_CHARS) throw new Failure("extract.too-large", { facts: { entry: name } });
    parser.write(piece);
  }
  parser.end();
}
