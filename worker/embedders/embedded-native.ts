// The embedded model on ONNX Runtime's native CPU kernels. Runs inside a worker thread, one run at a time.
// The runtime is an optional dependency: not every platform has it.
import type { Engine } from "./engine.ts";
import { cachedGraph } from "./graph-cache.ts";
import { buildMiniLmGraph, GRAPH_INPUT, MINILM_GRAPH_VERSION, type Precision } from "./minilm-graph.ts";
import { MINILM_NAME, openModelFiles, WEIGHTS_SHA256 } from "./minilm-model.ts";
import { openSafetensors } from "./safetensors.ts";

export type NativeOptions = {
  readonly cacheDir: string;
  readonly weightsPath?: string | undefined;
  /** Default int8; float32 is what it is measured by. */
  readonly precision?: Precision;
};

/** Throws `embed.model-missing` for missing weights; anything else means that the runtime does not work here. */
export async function openNativeEngine(options: NativeOptions): Promise<Engine> {
  const { InferenceSession, Tensor } = await import("onnxruntime-node");
  const { precision = "int8" } = options;
  const name = `${MINILM_NAME}-${precision}-v${MINILM_GRAPH_VERSION}-${WEIGHTS_SHA256.slice(0, 16)}.onnx`;
  const graph = cachedGraph(options.cacheDir, name, () =>
    buildMiniLmGraph(openSafetensors(openModelFiles(options.weightsPath).weights()), precision),
  );
  const session = await InferenceSession.create(graph, {
    // Threads of our own scale better than the runtime's on texts this short, and leave no pool spinning.
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: "sequential",
    graphOptimizationLevel: "all",
    logSeverityLevel: 3,
  });
  const output = session.outputNames[0] ?? "";
  return {
    async embed({ ids }) {
      const answer = await session.run({ [GRAPH_INPUT]: new Tensor("int64", ids, [ids.length]) });
      const vector = answer[output]?.data;
      return vector instanceof Float32Array ? vector : new Float32Array();
    },
    async close() {
      await session.release();
    },
  };
}
