// How long the steps of jobs take, and what becomes of the traces that are made of them.
import { Counter, Histogram, type Registry } from "prom-client";
import { type Events, stepNames } from "../activity/catalogue.ts";
import { positive } from "./positive.ts";

const STEP_SECONDS = [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000];

export function openStepMetrics(registry: Registry) {
  const registers = [registry];
  const steps = new Histogram({
    name: "rag_step_duration_seconds",
    help: "Time of one step of a job, without what it waited for the step before it where they run as one stream. embed, reuse and stage are of one batch of chunks; embed waits for the provider's pace too.",
    labelNames: ["step"],
    buckets: STEP_SECONDS,
    registers,
  });
  // A step that has not come yet is there with nothing, so that a rate over it is 0 and not unknown.
  for (const step of stepNames) steps.zero({ step });
  const failures = new Counter({
    name: "rag_step_failures_total",
    help: "Steps of jobs that ended with a failure.",
    labelNames: ["step", "code"],
    registers,
  });
  const spans = new Counter({
    name: "rag_trace_spans_total",
    help: "Spans of traces that the collector took (code is empty), or that were lost and why.",
    labelNames: ["code"],
    registers,
  });
  for (const code of ["", "trace.unreachable", "trace.refused", "trace.too-many"]) spans.inc({ code }, 0);
  return {
    "step.ended": ({ step, ownMs, code }: Events["step.ended"]) => {
      steps.observe({ step }, positive(ownMs) / 1000);
      if (code !== "") failures.inc({ step, code });
    },
    "spans.exported": ({ spans: count, code }: Events["spans.exported"]) => spans.inc({ code }, count),
  };
}
