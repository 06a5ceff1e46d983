// The activity log's own figures for Prometheus; read when somebody scrapes.
import { Counter, Gauge, type Registry } from "prom-client";
import type { ActivityLogFigures } from "../activity/activity-log.ts";

export function openActivityMetrics(registry: Registry, read: () => ActivityLogFigures): void {
  const registers = [registry];
  new Gauge({
    name: "rag_activity_queue_length",
    help: "Entries of the activity log that wait to be written.",
    registers,
    collect() {
      this.set(read().queue_length);
    },
  });
  const counters = {
    stored: "Entries of the activity log that the database has.",
    spilled: "Entries of the activity log that had to wait in a file.",
    dropped: "Entries of the activity log that were lost: the queue or the file was full.",
  } as const;
  for (const [name, help] of Object.entries(counters) as [keyof typeof counters, string][]) {
    new Counter({
      name: `rag_activity_${name}_total`,
      help,
      registers,
      collect() {
        // A counter only takes differences; what it stands at is the log's to say.
        this.reset();
        this.inc(read()[name]);
      },
    });
  }
}
