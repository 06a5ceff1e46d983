// Each contestant as its documentation sets it up for token budgets.
import { openChunker } from "../../../worker/chunkers/open-chunker.ts";
import type { Segment } from "../../../worker/document/segment.ts";
import { openTokenizer } from "../../../worker/tokenizers/open-tokenizer.ts";
import { loadPeer } from "../peers.ts";
import type { Split, SplitterName, SplitterOptions } from "./splitter.ts";

type Count = (text: string) => number;
export type LangChain = {
  RecursiveCharacterTextSplitter: new (options: {
    chunkSize: number;
    chunkOverlap: number;
    lengthFunction: Count;
  }) => { splitText(text: string): Promise<string[]> };
};
type GptTokenizer = { countTokens: Count };
type JsTiktoken = { getEncoding(name: "cl100k_base"): { encode(text: string): number[] } };
type LlamaIndex = {
  SentenceSplitter: new (options: {
    chunkSize: number;
    chunkOverlap: number;
  }) => { splitText(text: string): string[] };
};

// As large as the extractors' own.
const SEGMENT_CHARS = 8000;

export async function openSplitter(name: SplitterName, options: SplitterOptions): Promise<Split> {
  switch (name) {
    case "ours":
      return cutAs("recursive", options);
    case "langchain":
      return langChain(
        options,
        (await loadPeer<GptTokenizer>("gpt-tokenizer/encoding/cl100k_base")).countTokens,
      );
    case "langchain, js-tiktoken": {
      const encoding = (await loadPeer<JsTiktoken>("js-tiktoken")).getEncoding("cl100k_base");
      return langChain(options, (text) => encoding.encode(text).length);
    }
    case "llamaindex": {
      const { SentenceSplitter } = await loadPeer<LlamaIndex>("@llamaindex/core/node-parser");
      const splitter = new SentenceSplitter({
        chunkSize: options.tokens,
        chunkOverlap: options.overlapTokens,
      });
      return async (text) => splitter.splitText(text);
    }
  }
}

function cutAs(strategy: string, { tokens, overlapTokens }: SplitterOptions): Split {
  const limits = { tokens, overlapTokens, chars: 0 };
  const { cut } = openChunker(strategy, limits, openTokenizer("cl100k_base"));
  return async (text) => {
    const chunks: string[] = [];
    for await (const chunk of cut(segmentsOf(text), async () => [])) chunks.push(chunk.content);
    return chunks;
  };
}

/** The text in pieces that end at a line break where there is one, as an extractor gives them. */
export async function* segmentsOf(text: string): AsyncGenerator<Segment> {
  let seq = 0;
  for (let from = 0; from < text.length; ) {
    const line = text.lastIndexOf("\n", from + SEGMENT_CHARS);
    const end =
      from + SEGMENT_CHARS >= text.length ? text.length : line > from ? line + 1 : from + SEGMENT_CHARS;
    seq += 1;
    yield {
      seq,
      content: text.slice(from, end),
      pageNumber: null,
      section: null,
      speaker: null,
      startedMs: null,
      endedMs: null,
    };
    from = end;
  }
}

async function langChain({ tokens, overlapTokens }: SplitterOptions, count: Count): Promise<Split> {
  const { RecursiveCharacterTextSplitter } = await loadPeer<LangChain>("@langchain/textsplitters");
  const splitter = new RecursiveCharacterTextSplitter({
    chunkSize: tokens,
    chunkOverlap: overlapTokens,
    lengthFunction: count,
  });
  return (text) => splitter.splitText(text);
}
