// Which neighbouring snippets of text belong together: the clusters for which the similarity within is greatest.
// Source: ClusterSemanticChunker in "Evaluating Chunking Strategies for Retrieval" (Smith and Troynikov, Chroma,
// 2024), the best model-only strategy of that study. There the whole similarity matrix is kept; a cluster holds a
// budget's worth of snippets, so that a band of it is enough: time and memory are linear in the text.

export type Snippet = {
  /** What it takes of the budget by itself, in tokens. */
  readonly tokens: number;
  readonly vector: Float32Array;
  /** What must not be mixed: snippets of another group never share a cluster. */
  readonly group: string;
};

/**
 * Answers where clusters end, as indices of their last snippets, in order; the last is the last snippet.
 * No cluster of several snippets has more than `mostTokens` by their sum.
 */
export function clusterEnds(snippets: readonly Snippet[], mostTokens: number): number[] {
  const count = snippets.length;
  const starts = earliestStarts(snippets, mostTokens);
  const band = bandOf(snippets, starts);
  const usual = meanOf(band);
  // best[end]: the greatest reward of any clustering of the snippets before `end`.
  const best = new Float64Array(count + 1);
  const begin = new Int32Array(count + 1);
  // Of each snippet, by how much its similarities to all that follow it, up to now, lie above the usual.
  const above = new Float64Array(count);
  for (let last = 0; last < count; last++) {
    let reward = 0;
    best[last + 1] = Number.NEGATIVE_INFINITY;
    for (let first = last; first >= (starts[last] ?? last); first--) {
      if (first < last) above[first] = (above[first] ?? 0) + (band[last]?.[last - 1 - first] ?? 0) - usual;
      reward += above[first] ?? 0;
      const total = (best[first] ?? 0) + reward;
      if (total <= (best[last + 1] ?? 0)) continue;
      best[last + 1] = total;
      begin[last + 1] = first;
    }
  }
  const ends: number[] = [];
  for (let end = count; end > 0; end = begin[end] ?? 0) ends.push(end - 1);
  return ends.reverse();
}

/** For each snippet the first that may share a cluster with it. */
function earliestStarts(snippets: readonly Snippet[], mostTokens: number): Int32Array {
  const starts = new Int32Array(snippets.length);
  let first = 0;
  let tokens = 0;
  for (const [last, snippet] of snippets.entries()) {
    tokens += snippet.tokens;
    while (first < last && (tokens > mostTokens || snippets[first]?.group !== snippet.group)) {
      tokens -= snippets[first]?.tokens ?? 0;
      first++;
    }
    starts[last] = first;
  }
  return starts;
}

/** For each snippet its cosine to those before it that may share its cluster, the nearest first. */
function bandOf(snippets: readonly Snippet[], starts: Int32Array): Float32Array[] {
  const lengths = snippets.map(({ vector }) => Math.sqrt(dot(vector, vector)) || 1);
  return snippets.map(({ vector }, last) =>
    Float32Array.from({ length: last - (starts[last] ?? last) }, (_, back) => {
      const other = last - 1 - back;
      return dot(vector, snippets[other]?.vector ?? vector) / ((lengths[last] ?? 1) * (lengths[other] ?? 1));
    }),
  );
}

function meanOf(band: readonly Float32Array[]): number {
  let sum = 0;
  let count = 0;
  for (const row of band) {
    for (const similarity of row) sum += similarity;
    count += row.length;
  }
  return count === 0 ? 0 : sum / count;
}

function dot(one: Float32Array, other: Float32Array): number {
  let sum = 0;
  for (let at = 0; at < one.length; at++) sum += (one[at] ?? 0) * (other[at] ?? 0);
  return sum;
}
