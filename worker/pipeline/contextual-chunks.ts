// Chunks with a line before them that says where they stand in their document. The line is embedded and found by its
// words; what is cited is the text of the document alone.
import { type ChunkHead, headOf } from "../analysts/prompt.ts";
import type { ChunkLimits } from "../chunkers/chunker.ts";
import type { Chunk } from "../document/chunk.ts";
import type { Tokenizer } from "../document/tokenizer.ts";

/** Behind the line; searches by words read what stands before it (rag_context_of). */
const SEPARATOR = "\n\n";

/** Cuts once to know the chunks by, and keeps nothing else of them. */
export async function headsOf(chunks: AsyncIterable<Chunk>): Promise<readonly ChunkHead[]> {
  const heads: ChunkHead[] = [];
  for await (const { segmentFrom, content } of chunks) heads.push({ segmentFrom, head: headOf(content) });
  return heads;
}

/** `contexts` in order of the chunks; one that is empty leaves its chunk as it is. */
export async function* withContexts(
  chunks: AsyncIterable<Chunk>,
  contexts: readonly string[],
  room: NonNullable<ChunkLimits["context"]>,
  tokenizer: Tokenizer,
): AsyncIterable<Chunk> {
  for await (const chunk of chunks) {
    const line = fitTo(contexts[chunk.chunkIndex] ?? "", room, tokenizer);
    if (line === "") {
      yield chunk;
      continue;
    }
    const embedPrefix = `${line}${SEPARATOR}${chunk.embedPrefix}`;
    yield { ...chunk, embedPrefix, tokenCount: tokenizer.count(embedPrefix + chunk.content) };
  }
}

/** The words of the line that fit, with what separates it. */
function fitTo(line: string, room: NonNullable<ChunkLimits["context"]>, tokenizer: Tokenizer): string {
  let words = line.split(" ");
  // Each turn leaves at least one word out, so this ends.
  while (words.length > 0) {
    const text = words.join(" ");
    const isShort = text.length + SEPARATOR.length <= room.chars;
    if (isShort && tokenizer.count(text + SEPARATOR) <= room.tokens) return text;
    words = words.slice(0, Math.min(words.length - 1, Math.floor(words.length * 0.9)));
  }
  return "";
}
