// Which neighbouring pieces of text belong together: the clusters for which the similarity within is greatest.
// Source: ClusterSemanticChunker in "Evaluating Chunking Strategies for Retrieval" (Smith and Troynikov, Chroma,
// 2024), the best model-only strategy of that study. There the whole similarity matrix is kept; a cluster holds a
// budget's worth of pieces, so that a band of it is enough: time and memory are linear in the text.

export type Piece = {
  /** What it takes of the budget by itself, in tokens. */
  readonly tokens: number;
  readonly vector: Float32Array;
  /** What must not be mixed: pieces of another group never share a cluster. */
  readonly group: string;
};

/**
 * Answers where clusters end, as indices of their last pieces, in order; the last is the last piece.
 * No cluster of several pieces has more than `mostTokens` by their sum.
 */
export function clusterEnds(pieces: readonly Piece[], mostTokens: number): number[] {
  const count = pieces.length;
  const starts = earliestStarts(pieces, mostTokens);
  const band = bandOf(pieces, starts);
  const usual = meanOf(band);
  // best[end]: the greatest reward of any clustering of the pieces before `end`.
  const best = new Float64Array(count + 1);
  const begin = new Int32Array(count + 1);
  // Of each piece, by how much its similarities to all that follow it, up to now, lie above the usual.
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

/** For each piece the first that may share a cluster with it. */
function earliestStarts(pieces: readonly Piece[], mostTokens: number): Int32Array {
  const starts = new Int32Array(pieces.length);
  let first = 0;
  let tokens = 0;
  for (const [last, piece] of pieces.entries()) {
    tokens += piece.tokens;
    while (first < last && (tokens > mostTokens || pieces[first]?.group !== piece.group)) {
      tokens -= pieces[first]?.tokens ?? 0;
      first++;
    }
    starts[last] = first;
  }
  return starts;
}

/** For each piece its cosine to those before it that may share its cluster, the nearest first. */
function bandOf(pieces: readonly Piece[], starts: Int32Array): Float32Array[] {
  const lengths = pieces.map(({ vector }) => Math.sqrt(dot(vector, vector)) || 1);
  return pieces.map(({ vector }, last) =>
    Float32Array.from({ length: last - (starts[last] ?? last) }, (_, back) => {
      const other = last - 1 - back;
      return dot(vector, pieces[other]?.vector ?? vector) / ((lengths[last] ?? 1) * (lengths[other] ?? 1));
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
