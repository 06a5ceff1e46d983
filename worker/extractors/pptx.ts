// PPTX, slide by slide: a slide is a page, its title a heading, its speaker's notes follow it under a heading of their
// own. Comments and what the layouts draw on every slide are left out.
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { readGraphic } from "./office/graphics.ts";
import { findMainPart, readRelationships, readTitle, readWholePart } from "./office/package.ts";
import { createSlideReader } from "./pptx/slide.ts";
import { readsZip } from "./reads-zip.ts";
import type { ZipArchive } from "./zip-archive.ts";

export const readPptx = readsZip(readPackage);

async function* readPackage(zip: ZipArchive, file: FileToRead): AsyncGenerator<Extracted> {
  const slides = await listSlides(zip);
  const comments = zip.names.filter((name) => /^ppt\/comments\//.test(name)).length;
  const decisions = [...file.decisions, ...(comments > 0 ? ["comments left out"] : [])];
  const title = await readTitle(zip);
  yield {
    kind: "extraction",
    extraction: { mediaType: file.mediaType, pages: slides.length, title, decisions },
  };
  const cutter = createSegmentCutter(file.maxChars);
  for (const [at, slide] of slides.entries()) {
    for (const block of await readSlide(zip, slide, at + 1))
      for (const segment of cutter.add(block)) yield { kind: "segment", segment };
    yield { kind: "progress", page: at + 1, pages: slides.length };
  }
  for (const segment of cutter.end()) yield { kind: "segment", segment };
  if (cutter.count > 0) return;
  const pictures = zip.names.filter((name) => name.startsWith("ppt/media/")).length;
  throw new Failure(pictures > 0 ? "extract.no-text" : "extract.empty", {
    facts: { slides: slides.length, pictures },
  });
}

/** The parts of the slides, in their order. */
async function listSlides(zip: ZipArchive): Promise<string[]> {
  const main = await findMainPart(zip, "ppt/presentation.xml");
  const related = new Map((await readRelationships(zip, main)).map(({ id, part }) => [id, part]));
  const slides: string[] = [];
  await readWholePart(zip, main, {
    open(name, attributes) {
      const part = name === "p:sldId" ? related.get(attributes["r:id"] ?? "") : undefined;
      if (part !== undefined && zip.has(part)) slides.push(part);
    },
    close() {},
    text() {},
  });
  return slides;
}

/** One slide is held at a time: its title may be the last of its shapes. */
async function readSlide(zip: ZipArchive, part: string, number: number): Promise<Block[]> {
  const reader = createSlideReader("slide");
  await readWholePart(zip, part, reader);
  const { title, blocks, graphics } = reader.content;
  const related = await readRelationships(zip, part);
  const heading: Block =
    title === null
      ? { kind: "section", level: 1, text: `Slide ${number}` }
      : { kind: "heading", level: 1, text: title };
  const all = [[{ kind: "page", page: number } as const, heading], blocks];
  for (const id of graphics) {
    const graphic = related.find((relation) => relation.id === id)?.part;
    if (graphic === undefined || !zip.has(graphic)) continue;
    all.push([{ kind: "gap" }], [...(await readGraphic(zip, graphic))]);
  }
  const notes = related.find(({ kind }) => kind === "notesSlide")?.part;
  if (notes !== undefined && zip.has(notes)) all.push(await readNotes(zip, notes));
  return all.flat();
}

async function readNotes(zip: ZipArchive, part: string): Promise<Block[]> {
  const reader = createSlideReader("notes");
  await readWholePart(zip, part, reader);
  const { blocks } = reader.content;
  const first = blocks.findIndex((block) => "text" in block);
  if (first < 0) return [];
  // The mark stands in the text too: a reader of one chunk has to know that the audience did not see it.
  const marked = blocks.map(
    (block, at): Block =>
      at === first && "text" in block ? { kind: "paragraph", text: `Notes: ${block.text}` } : block,
  );
  return [{ kind: "section", level: 2, text: "Notes" }, ...marked];
}
