// The llama-server that the embedder starts by itself, for Prometheus. Absent where there is none.
import { Counter, Gauge, type Registry } from "prom-client";
import type { Events } from "../activity/catalogue.ts";
import type { OwnServer } from "../embedders/embedder.ts";

const states = ["stopped", "starting", "ready", "stopping", "failed"] as const;

export type OwnServerMetrics = {
  readonly counters: {
    readonly "llama.started": (facts: Events["llama.started"]) => void;
    readonly "llama.died": (facts: Events["llama.died"]) => void;
  };
  /** Brings the gauges up to date. */
  read(): Promise<void>;
};

export function openOwnServerMetrics(registry: Registry, look: () => Promise<OwnServer>): OwnServerMetrics {
  const registers = [registry];
  const state = new Gauge({
    name: "rag_llama_server_state",
    help: "1 for the state that the llama-server of this worker is in.",
    labelNames: ["state"],
    registers,
  });
  const rss = new Gauge({
    name: "rag_llama_server_resident_memory_bytes",
    help: "Memory of the llama-server of this worker; 0 while it is stopped.",
    registers,
  });
  const starts = new Counter({
    name: "rag_llama_server_starts_total",
    help: "Starts of the llama-server of this worker.",
    registers,
  });
  const deaths = new Counter({
    name: "rag_llama_server_deaths_total",
    help: "Times that the llama-server of this worker ended by itself or was killed.",
    registers,
  });
  return {
    counters: { "llama.started": () => starts.inc(), "llama.died": () => deaths.inc() },
    async read() {
      const server = await look();
      for (const name of states) state.set({ state: name }, name === server.state ? 1 : 0);
      rss.set(server.rssBytes ?? 0);
    },
  };
}
