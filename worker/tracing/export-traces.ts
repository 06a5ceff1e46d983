// Traces of jobs to a collector, by OTLP over HTTP. The only file that knows OpenTelemetry's SDK, which is loaded
// when somebody wants traces and not before. Spans are made when a job has ended, with the times at which things
// happened: until then nothing is held but plain data, and the hot path sees no context and no span.
import { type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  type IdGenerator,
  ParentBasedSampler,
  RandomIdGenerator,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { Failure } from "../failure/failure.ts";
import { within } from "../timing/durations.ts";
import type { JobTrace, TracedStep } from "./job-trace.ts";

export type TraceExportOptions = {
  /** Where spans are posted. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly compression: "none" | "gzip";
  readonly resource: Readonly<Record<string, string>>;
  readonly sampler: SamplerName;
  /** Of the samplers by ratio, 0 to 1. */
  readonly samplerArg: number;
  /** Spans that the collector took, or that are lost and why. */
  readonly told: (spans: number, failure: Failure | null) => void;
};

export type TraceExport = {
  /** `parent`: a W3C traceparent. Without one the trace has the id of the job, so that all its runs are one trace. */
  send(job: JobTrace, parent: string | null): void;
  /** Sends what is left. What the collector has not taken within a second and a half is told as lost. */
  close(): Promise<void>;
};

export type SamplerName =
  | "always_on"
  | "always_off"
  | "traceidratio"
  | "parentbased_always_on"
  | "parentbased_always_off"
  | "parentbased_traceidratio";

// About 1 KB each while they wait. A collector that is away must not cost a worker its memory.
const MOST_SPANS = 8_192;
// OpenTelemetry's own defaults (BatchSpanProcessor), and the jitter of its time limit.
const SPANS_AN_EXPORT = 512;
const EXPORT_EVERY_MS = 5_000;
const LATE_MS = 1_000;
// A worker that ends waits two seconds for all that is still open.
const CLOSE_MS = 1_500;

export function openTraceExport(options: TraceExportOptions): TraceExport {
  const ids = new JobIds();
  let waiting = 0;
  let closed = false;
  const exporter = tellingOfExports(options, (spans, failure) => {
    waiting -= spans;
    if (!closed) options.told(spans, failure);
  });
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ ...options.resource })),
    sampler: samplerOf(options.sampler, options.samplerArg),
    idGenerator: ids,
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: MOST_SPANS,
        maxExportBatchSize: SPANS_AN_EXPORT,
        scheduledDelayMillis: EXPORT_EVERY_MS,
        exportTimeoutMillis: options.timeoutMs + LATE_MS,
      }),
    ],
  });
  const tracer = provider.getTracer("rag-ingestion-worker");

  return {
    send(job, parent) {
      ids.next = job.jobId.replaceAll("-", "");
      const { kind, startMs: startTime, attributes } = job;
      const root = tracer.startSpan(
        `job ${kind}`,
        { kind: SpanKind.CONSUMER, startTime, attributes },
        contextOf(parent),
      );
      ids.next = null;
      if (!root.isRecording()) return;
      const spans = job.steps.length + 1;
      // All of a trace or none of it.
      if (waiting + spans > MOST_SPANS) {
        options.told(spans, new Failure("trace.too-many"));
        return;
      }
      waiting += spans;
      const inside = trace.setSpan(ROOT_CONTEXT, root);
      for (const step of job.steps) sendStep(step, inside);
      if (job.code !== "") root.setAttribute("error.type", job.code);
      if (job.isError) root.setStatus({ code: SpanStatusCode.ERROR, message: job.code });
      root.end(job.endMs);
    },
    async close() {
      await within(CLOSE_MS, provider.shutdown());
      closed = true;
      if (waiting > 0) options.told(waiting, new Failure("trace.unreachable"));
    },
  };

  function sendStep(step: TracedStep, inside: Context): void {
    const kind = step.kind === "client" ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const { startMs: startTime, attributes } = step;
    const span = tracer.startSpan(step.name, { kind, startTime, attributes }, inside);
    if (step.code !== "") {
      span.setAttribute("error.type", step.code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: step.code });
    }
    span.end(step.endMs);
  }
}

/** A job's own id is the id of its trace: both are 128 bits, and whoever has the one finds the other. */
class JobIds implements IdGenerator {
  next: string | null = null;
  readonly #random = new RandomIdGenerator();

  generateTraceId(): string {
    return this.next ?? this.#random.generateTraceId();
  }

  generateSpanId(): string {
    return this.#random.generateSpanId();
  }
}

/** Exports whose end is told. The SDK hears of none that failed: it would have nothing to do but to log it. */
function tellingOfExports(
  options: TraceExportOptions,
  over: (spans: number, failure: Failure | null) => void,
): SpanExporter {
  const { url, headers, timeoutMs: timeoutMillis, compression } = options;
  const exporter = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis,
    // SAFETY: the values of CompressionAlgorithm, an enum that this package does not export.
    compression: compression as never,
  });
  return {
    export(spans, done) {
      exporter.export(spans, ({ error }) => {
        over(spans.length, error === undefined ? null : failureOf(error));
        done({ code: 0 });
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

/** Never the error itself: it quotes what the collector said. */
function failureOf(error: Error & { readonly code?: unknown }): Failure {
  const { code } = error;
  return typeof code === "number"
    ? new Failure("trace.refused", { facts: { status: code } })
    : new Failure("trace.unreachable");
}

function contextOf(parent: string | null): Context {
  const [, traceId, spanId, flags] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(parent ?? "") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags, 16) & 1;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function samplerOf(name: SamplerName, ratio: number): Sampler {
  switch (name) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio":
      return new TraceIdRatioBasedSampler(ratio);
    case "parentbased_always_on":
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case "parentbased_always_off":
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case "parentbased_traceidratio":
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}
