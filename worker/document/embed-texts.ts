// The part of an embedder that a chunker may ask for: texts in, vectors out, same order.

export type EmbedTexts = (texts: readonly string[], signal: AbortSignal) => Promise<readonly Float32Array[]>;
