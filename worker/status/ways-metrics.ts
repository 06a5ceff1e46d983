// Ways in and events out, as Prometheus sees them.
import { Counter, Gauge, type Registry } from "prom-client";
import type { Events } from "../activity/catalogue.ts";

/** Counters by event; the gauge of sockets reads itself when somebody scrapes. */
export function openWaysMetrics(
  registry: Registry,
  gateway: { readonly figures: () => Readonly<Record<string, string | number>> } | undefined,
) {
  const registers = [registry];
  const messages = new Counter({
    name: "rag_messages_total",
    help: "Messages by way and what became of them; code is empty for those that became jobs.",
    labelNames: ["way", "outcome", "code"],
    registers,
  });
  const files = new Counter({
    name: "rag_root_files_total",
    help: "Files of the watched document root by what became of them.",
    labelNames: ["outcome"],
    registers,
  });
  const dropped = new Counter({
    name: "rag_gateway_dropped_total",
    help: "Sockets that the gateway ended, by why.",
    labelNames: ["why"],
    registers,
  });
  if (gateway !== undefined)
    new Gauge({
      name: "rag_gateway_sockets",
      help: "Sockets of signed-in users that are open.",
      registers,
      collect() {
        this.set(Number(gateway.figures().sockets));
      },
    });
  return {
    "message.accepted": ({ way }: Events["message.accepted"]) =>
      messages.inc({ way, outcome: "accepted", code: "" }),
    "message.buried": ({ way, code }: Events["message.buried"]) =>
      messages.inc({ way, outcome: "buried", code }),
    "root.scanned": ({ enqueued, moved, deleted, failed }: Events["root.scanned"]) => {
      for (const [outcome, count] of Object.entries({ enqueued, moved, deleted, failed }))
        files.inc({ outcome }, count);
    },
    "gateway.dropped": ({ why }: Events["gateway.dropped"]) => dropped.inc({ why }),
  };
}
