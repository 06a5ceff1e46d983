// BM25 as the textbook has it, over words in lower case, in memory: what the text side is held against.
// Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
const K1 = 1.2;
const B = 0.75;

export type MemoryBm25 = (question: string, most: number) => readonly number[];

/** Answers the places of the best texts, best first. */
export function openMemoryBm25(texts: Iterable<string>): MemoryBm25 {
  const postings = new Map<string, number[]>();
  const lengths: number[] = [];
  for (const text of texts) {
    const words = wordsOf(text);
    const counts = new Map<string, number>();
    for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
    for (const [word, count] of counts) {
      const list = postings.get(word);
      if (list === undefined) postings.set(word, [lengths.length, count]);
      else list.push(lengths.length, count);
    }
    lengths.push(words.length);
  }
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  return (question, most) => {
    const scores = new Map<number, number>();
    for (const word of new Set(wordsOf(question))) {
      const list = postings.get(word) ?? [];
      const containing = list.length / 2;
      const weight = Math.log(1 + (lengths.length - containing + 0.5) / (containing + 0.5));
      for (let at = 0; at < list.length; at += 2) {
        const text = list[at] ?? 0;
        const count = list[at + 1] ?? 0;
        const norm = K1 * (1 - B + (B * (lengths[text] ?? 0)) / mean);
        scores.set(text, (scores.get(text) ?? 0) + (weight * count * (K1 + 1)) / (count + norm));
      }
    }
    return [...scores]
      .sort((one, other) => other[1] - one[1] || one[0] - other[0])
      .slice(0, most)
      .map(([text]) => text);
  };
}

const wordsOf = (text: string): readonly string[] => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
