// One file as chunks, exactly as a worker would cut it, without a database.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { CutChunks, EmbedSnippets } from "../../chunkers/chunker.ts";
import type { Chunk } from "../../document/chunk.ts";
import type { Original } from "../../document/document.ts";
import type { Segment } from "../../document/segment.ts";
import type { Extraction, ExtractSegments } from "../../extractors/extractor.ts";
import { Failure } from "../../failure/failure.ts";
import { pathFailure } from "../../ingress/files/find-files.ts";

export type Reading = {
  readonly extract: ExtractSegments;
  readonly cut: CutChunks;
  /** For a strategy that compares what snippets mean. */
  embed(texts: readonly string[], signal: AbortSignal): ReturnType<EmbedSnippets>;
  readonly maxBytes: number;
};

export type ReadDocument = { readonly extraction: Extraction | null; readonly chunks: readonly Chunk[] };

/** How far the reading of a file is; pages where the format has them. */
export type ReadProgress = {
  readonly page: number | null;
  readonly pages: number | null;
  readonly chunks: number;
};

/** Throws Failure `source.*`, `extract.*`. Memory is that of one document's chunks. */
export async function readFile(
  path: string,
  reading: Reading,
  tell: (progress: ReadProgress) => void,
  signal: AbortSignal,
): Promise<ReadDocument> {
  const original = await originalOf(path, reading.maxBytes);
  let extraction: Extraction | null = null;
  let at: Pick<ReadProgress, "page" | "pages"> = { page: null, pages: null };
  async function* segments(): AsyncIterable<Segment> {
    for await (const message of reading.extract(original, signal)) {
      if (message.kind === "extraction") extraction = message.extraction;
      if (message.kind === "progress") at = { page: message.page, pages: message.pages };
      if (message.kind === "segment") yield message.segment;
    }
  }
  const embed = (texts: readonly string[]) => reading.embed(texts, signal);
  const chunks: Chunk[] = [];
  for await (const chunk of reading.cut(segments(), embed)) {
    chunks.push(chunk);
    tell({ ...at, chunks: chunks.length });
  }
  if (chunks.length === 0) throw new Failure("extract.empty");
  return { extraction, chunks };
}

/** The file itself, not a copy: nobody disposes of it. */
async function originalOf(path: string, maxBytes: number): Promise<Original> {
  const met = await stat(path).catch((thrown: unknown) => {
    throw pathFailure(thrown);
  });
  if (!met.isFile()) throw new Failure("source.unsupported", { says: "The path names no file." });
  if (met.size > maxBytes)
    throw new Failure("source.too-large", { facts: { bytes: met.size, mostBytes: maxBytes } });
  return {
    path,
    name: basename(path),
    byteSize: met.size,
    sha256: await hashOf(path),
    declaredMediaType: null,
    dispose: async () => {},
  };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  } catch (thrown) {
    throw pathFailure(thrown);
  }
  return hash.digest("hex");
}
