// Small EPUBs for tests, from the bodies of their chapters.
import { strToU8, zipSync } from "fflate";

export type EpubSpec = {
  readonly title?: string;
  /** Chapters in reading order: the name of the file and what stands in its body. */
  readonly chapters: Readonly<Record<string, string>>;
  /** Labels of the table of contents by file; as NCX or as EPUB 3 `nav`. */
  readonly ncx?: Readonly<Record<string, string>>;
  readonly nav?: Readonly<Record<string, string>>;
  /** More entries of the archive, or other content for those above; null leaves one out. */
  readonly entries?: Readonly<Record<string, string | Uint8Array | null>>;
};

export function makeEpub({ title = "The Book", chapters, ncx, nav, entries = {} }: EpubSpec): Uint8Array {
  const names = Object.keys(chapters);
  const items = names.map(
    (name, at) => `<item id="c${at}" href="${name}" media-type="application/xhtml+xml"/>`,
  );
  if (ncx !== undefined) items.push('<item id="toc" href="toc.ncx" media-type="application/x-dtbncx+xml"/>');
  if (nav !== undefined)
    items.push('<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>');
  const spine = names.map((_, at) => `<itemref idref="c${at}"/>`).join("");
  const all: Record<string, string | Uint8Array | null> = {
    mimetype: "application/epub+zip",
    "META-INF/container.xml":
      '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>',
    "OEBPS/book.opf": `<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>${title}</dc:title></metadata><manifest>${items.join("")}</manifest><spine toc="toc">${nav === undefined ? "" : '<itemref idref="nav"/>'}${spine}</spine></package>`,
    ...Object.fromEntries(names.map((name) => [`OEBPS/${name}`, xhtml(chapters[name] ?? "")])),
    ...(ncx === undefined ? {} : { "OEBPS/toc.ncx": ncxOf(ncx) }),
    ...(nav === undefined ? {} : { "OEBPS/nav.xhtml": xhtml(navOf(nav)) }),
    ...entries,
  };
  const files: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(all))
    if (content !== null) files[name] = typeof content === "string" ? strToU8(content) : content;
  return zipSync(files);
}

export function xhtml(body: string): string {
  return `<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="x.js"/></head><body>${body}</body></html>`;
}

function ncxOf(labels: Readonly<Record<string, string>>): string {
  const points = Object.entries(labels).map(
    ([file, label]) =>
      `<navPoint><navLabel><text>${label}</text></navLabel><content src="${file}#start"/></navPoint>`,
  );
  return `<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap>${points.join("")}</navMap></ncx>`;
}

function navOf(labels: Readonly<Record<string, string>>): string {
  const links = Object.entries(labels).map(([file, label]) => `<li><a href="${file}">${label}</a></li>`);
  return `<nav><ol>${links.join("")}</ol></nav>`;
}
