// The embedded model on WebAssembly, for machines without the native runtime: the same vectors, ten times slower.
// The package's tokenizer file cuts at 128 tokens and pads to 128, and reads `[SEP]` in a text as a command to
// the model: all three are taken out of the copy that the engine gets.
import { createRequire } from "node:module";
import { z } from "zod";
import type { Engine } from "./engine.ts";
import { MINILM_POSITIONS, openModelFiles } from "./minilm-model.ts";

type WasmModule = {
  readonly Embedder: new (
    weights: Uint8Array,
    tokenizer: Uint8Array,
    config: Uint8Array,
    maxTokens: number,
  ) => { embed(texts: string[]): unknown; free(): void };
};

const Answer = z.tuple([z.union([z.array(z.number()), z.instanceof(Float32Array)])]);

/** Throws `embed.model-missing` for missing or damaged files of the model. */
export async function openWasmEngine(options: {
  readonly weightsPath?: string | undefined;
}): Promise<Engine> {
  const files = openModelFiles(options.weightsPath);
  const engine = new (loadEngine().Embedder)(
    files.weights(),
    withoutCutting(files.tokenizer()),
    files.config(),
    MINILM_POSITIONS,
  );
  return {
    async embed({ text }) {
      return Float32Array.from(Answer.parse(engine.embed([text]))[0]);
    },
    async close() {
      engine.free();
    },
  };
}

// The package exports only a front with threads and batches of its own; its engine is the file beside it.
function loadEngine(): WasmModule {
  const require = createRequire(import.meta.resolve("@lat.md/embed"));
  return require("./engine.cjs") as WasmModule; // SAFETY: pinned version; the contract suite runs it.
}

function withoutCutting(tokenizer: Buffer): Buffer {
  const settings = z.record(z.string(), z.unknown()).parse(JSON.parse(tokenizer.toString("utf8")));
  return Buffer.from(JSON.stringify({ ...settings, truncation: null, padding: null, added_tokens: [] }));
}
