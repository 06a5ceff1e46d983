// One trace a job, where a collector is configured; nothing at all where none is. What goes wrong with traces is told
// once and counted, and no job waits for it.
import type { Activity } from "../activity/activity.ts";
import type { Config } from "../config/config.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { adviseOperator } from "../failure/describe.ts";
import type { Failure } from "../failure/failure.ts";
import type { TraceExport } from "./export-traces.ts";
import { followJobs } from "./follow-jobs.ts";
import type { JobTrace } from "./job-trace.ts";
import { type AskForParent, openTraceParents } from "./trace-parents.ts";

export type TracingConfig = Pick<
  Config,
  | "otelEndpoint"
  | "otelTracesEndpoint"
  | "otelHeaders"
  | "otelTimeoutMs"
  | "otelCompression"
  | "otelServiceName"
  | "otelResourceAttributes"
  | "otelSampler"
  | "otelSamplerArg"
  | "otelDisabled"
>;

export type Tracing = {
  /** Sends what is left; whoever closes says how long that may take. */
  close(): Promise<void>;
};

const NONE: Tracing = { close: async () => {} };

/** `workerId` becomes `service.instance.id`. */
export async function openTracing(
  config: TracingConfig,
  {
    activity,
    call,
    workerId,
  }: { readonly activity: Activity; readonly call: SqlCall; readonly workerId: string },
): Promise<Tracing> {
  const url = addressOf(config);
  if (url === null || config.otelDisabled) return NONE;
  // Only here: the SDK takes 0.2 s to load, and 15 MB.
  const { openTraceExport } = await import("./export-traces.ts");
  const traces = openTraceExport({
    url,
    headers: pairsOf(config.otelHeaders),
    timeoutMs: config.otelTimeoutMs,
    compression: config.otelCompression,
    resource: resourceOf(config, workerId),
    sampler: config.otelSampler,
    samplerArg: config.otelSamplerArg,
    told: tellOfExports(activity),
  });
  return sendTraces(activity, openTraceParents(call), traces);
}

function sendTraces(activity: Activity, askForParent: AskForParent, traces: TraceExport): Tracing {
  const parents = new Map<string, Promise<string | null>>();
  const sending = new Set<Promise<void>>();
  const send = async (job: JobTrace, parent: Promise<string | null> | undefined) => {
    traces.send(job, (await parent) ?? null);
  };
  const stop = followJobs(activity, {
    began: (jobId) => parents.set(jobId, askForParent(jobId)),
    ended(job) {
      const sent = send(job, parents.get(job.jobId)).finally(() => sending.delete(sent));
      parents.delete(job.jobId);
      sending.add(sent);
    },
  });
  return {
    async close() {
      stop();
      await Promise.all(sending);
      await traces.close();
    },
  };
}

/** Each export is counted; a collector that stays away is news only the first time. */
function tellOfExports(activity: Activity): (spans: number, failure: Failure | null) => void {
  let trouble: string | null = null;
  let lostAt = 0;
  return (spans, failure) => {
    activity.say("spans.exported", { spans, code: failure?.code ?? "" });
    if (failure !== null) {
      if (trouble === null) {
        lostAt = performance.now();
        activity.say("traces.lost", { code: failure.code, advice: adviseOperator(failure) });
      }
      trouble = failure.code;
    } else if (trouble !== null) {
      activity.say("traces.regained", { afterMs: Math.round(performance.now() - lostAt) });
      trouble = null;
    }
  };
}

/** As OpenTelemetry's OTLP exporter specification puts it together. */
function addressOf({ otelEndpoint, otelTracesEndpoint }: TracingConfig): string | null {
  if (otelTracesEndpoint !== null) return otelTracesEndpoint;
  return otelEndpoint === null ? null : `${otelEndpoint.replace(/\/+$/, "")}/v1/traces`;
}

function resourceOf(
  { otelServiceName, otelResourceAttributes }: TracingConfig,
  workerId: string,
): Readonly<Record<string, string>> {
  return {
    "service.name": "rag-ingestion-worker",
    "service.instance.id": workerId,
    ...pairsOf(otelResourceAttributes),
    ...(otelServiceName !== null && { "service.name": otelServiceName }),
  };
}

/** `name=value,name=value` with percent-encoded values (W3C Baggage); what is none is left out. */
export function pairsOf(text: string | null): Readonly<Record<string, string>> {
  const pairs = (text ?? "").split(",").flatMap((pair) => {
    const at = pair.indexOf("=");
    const name = pair.slice(0, Math.max(at, 0)).trim();
    return name === "" ? [] : [[name, decoded(pair.slice(at + 1).trim())] as const];
  });
  return Object.fromEntries(pairs);
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
