// Chunks for the writing benches: about a thousand characters each, with vectors that lie in clusters as embeddings do,
// so that an index has neighbours to find.
import { createHash } from "node:crypto";
import type { EmbeddedChunk } from "../../../worker/document/chunk.ts";

export const MODEL = "bench-model";
const CLUSTERS = 200;
const NOISE = 0.6;
const WORDS = "the quick brown fox jumps over the lazy dog and runs along the quiet river bank at dawn ";

/** The same rows for the same numbers. */
export function openRows(dimensions: number) {
  let seed = 42;
  const random = () => {
    // mulberry32
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296 - 0.5;
  };
  const centres = Float32Array.from({ length: CLUSTERS * dimensions }, random);
  const noise = Float32Array.from({ length: 1 << 20 }, random);

  const vector = (at: number): Float32Array => {
    const centre = (Math.imul(at, 2_654_435_761) >>> 0) % CLUSTERS;
    const from = (Math.imul(at + 1, 40_503) >>> 0) % (noise.length - dimensions);
    const made = new Float32Array(dimensions);
    for (let axis = 0; axis < dimensions; axis += 1)
      made[axis] = (centres[centre * dimensions + axis] ?? 0) + NOISE * (noise[from + axis] ?? 0);
    return made;
  };
  const chunk = (at: number, chunkIndex: number): EmbeddedChunk => {
    const content = `${at} ${WORDS.repeat(11)}`;
    const sha = createHash("sha256").update(content).digest("hex");
    return {
      chunkIndex,
      content,
      contentSha256: sha,
      embedSha256: sha,
      embedPrefix: "",
      charStart: 0,
      charEnd: content.length,
      tokenCount: 220,
      pageNumber: null,
      section: "Section",
      speaker: null,
      startedMs: null,
      endedMs: null,
      segmentFrom: 1,
      segmentTo: 1,
      embedding: vector(at),
    };
  };
  return { vector, chunk };
}
export type Rows = ReturnType<typeof openRows>;
