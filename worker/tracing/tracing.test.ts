import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openActivity } from "../activity/activity.ts";
import { readConfig } from "../config/config.ts";
import { type OtlpCollector, startOtlpCollector } from "../tests/stand-ins/otlp-collector.ts";
import { openTraceExport } from "./export-traces.ts";
import { followJobs } from "./follow-jobs.ts";
import type { JobTrace } from "./job-trace.ts";
import { openTracing, pairsOf } from "./open-tracing.ts";
import { openTraceParents } from "./trace-parents.ts";

const JOB = "0001aaaa-bbbb-4ccc-8ddd-eeeeffff0000";
const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

let collector: OtlpCollector;
beforeEach(async () => {
  collector = await startOtlpCollector();
});
afterEach(() => collector.close());

const claimed = (jobId = JOB) => ({
  jobId,
  documentId: null,
  kind: "document",
  attempt: 2,
  documentKind: null,
  title: "Secret",
  version: null,
  userId: "ann",
});
const completed = (jobId = JOB) => ({
  jobId,
  documentId: null,
  durationMs: 1,
  chunks: 3,
  reused: 0,
  rejected: 0,
  tokens: 9,
  costUsd: null,
  unchanged: false,
});
const step = (name: "stage" | "embed") => ({
  jobId: JOB,
  step: name,
  elapsedMs: 0,
  ownMs: 0,
  code: "",
});

async function trace(settings: Record<string, string>, call = async (): Promise<unknown> => ({})) {
  const activity = openActivity();
  const told: [string, object][] = [];
  activity.listen((name, facts) => void told.push([name, facts]));
  const config = readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...settings });
  const tracing = await openTracing(config, { activity, call, workerId: "host/1" });
  const runJob = (jobId = JOB) => {
    activity.say("job.claimed", claimed(jobId));
    activity.say("job.completed", completed(jobId));
  };
  const news = () => told.filter(([name]) => name.startsWith("traces.") || name.startsWith("spans."));
  return { activity, tracing, runJob, news };
}

test("of a step that comes often the first are spans, and the rest is counted", () => {
  const activity = openActivity();
  const traces: JobTrace[] = [];
  followJobs(activity, { began: () => {}, ended: (ended) => traces.push(ended) });

  activity.say("job.claimed", claimed());
  for (let times = 0; times < 100; times += 1) activity.say("step.ended", step("stage"));
  activity.say("step.ended", step("embed"));
  activity.say("job.completed", completed());

  expect(traces[0]?.steps).toHaveLength(65);
  expect(traces[0]?.attributes).toMatchObject({ "rag.left_out.stage": 36, "rag.job.attempt": 2 });
  expect(JSON.stringify(traces)).not.toMatch(/Secret|ann/);
});

test.each([
  ["job.failed", { code: "extract.encrypted", detail: "Secret", attempt: 1 }, "failed", true],
  ["job.retried", { code: "embed.unavailable", detail: "Secret", attempt: 1 }, "retried", true],
  ["job.released", { code: "embed.rate-limited", delayMs: 5 }, "released", false],
  ["lease.lost", { heldMs: 5 }, "lease_lost", true],
] as const)("%s ends a trace", (name, facts, outcome, isError) => {
  const activity = openActivity();
  const traces: JobTrace[] = [];
  followJobs(activity, { began: () => {}, ended: (ended) => traces.push(ended) });

  activity.say("job.claimed", claimed());
  activity.say(name, { jobId: JOB, documentId: null, ...facts } as never); // SAFETY: as the table has them.

  expect(traces).toMatchObject([{ outcome, isError, jobId: JOB }]);
  expect(JSON.stringify(traces)).not.toContain("Secret");
});

test("jobs that were not claimed here, and ends that come twice, make no trace", () => {
  const activity = openActivity();
  const traces: JobTrace[] = [];
  followJobs(activity, { began: () => {}, ended: (ended) => traces.push(ended) });

  activity.say("step.ended", step("stage"));
  activity.say("job.completed", completed());
  activity.say("job.claimed", claimed());
  activity.say("job.completed", completed());
  activity.say("job.completed", completed());

  expect(traces).toHaveLength(1);
});

test("jobs that come together are asked about at once, and no answer is no parent", async () => {
  const asked: unknown[] = [];
  const ask = openTraceParents(async (_, given) => {
    asked.push(given);
    return { one: PARENT };
  });
  const lost = openTraceParents(() => Promise.reject(new Error("away")));

  expect(await Promise.all([ask("one"), ask("two")])).toEqual([PARENT, null]);
  expect(asked).toEqual([{ p_job_ids: ["one", "two"] }]);
  expect(await lost("one")).toBeNull();
});

test("a trace goes on from the span under which its job was enqueued", async () => {
  const { tracing, runJob } = await trace({}, async () => ({ [JOB]: PARENT }));

  runJob();
  await tracing.close();

  expect(collector.spans).toMatchObject([
    { traceId: PARENT.split("-")[1], parentSpanId: PARENT.split("-")[2], name: "job document" },
  ]);
});

test("a span that its caller does not sample is not sent", async () => {
  const { tracing, runJob } = await trace({}, async () => ({ [JOB]: PARENT.replace(/01$/, "00") }));

  runJob();
  await tracing.close();

  expect(collector.spans).toEqual([]);
});

test("a collector that refuses is news once, and again when it is back; what was lost is counted", async () => {
  collector.mode = "refuse";
  const { tracing, runJob, news } = await trace({});
  // As many as make an export.
  for (let times = 0; times < 512; times += 1) runJob();
  await vi.waitFor(() => expect(news().map(([name]) => name)).toContain("traces.lost"));
  for (let times = 0; times < 512; times += 1) runJob();
  await vi.waitFor(() => expect(news()).toHaveLength(3));

  collector.mode = "take";
  runJob();
  await tracing.close();

  expect(news().map(([name]) => name)).toEqual([
    "spans.exported",
    "traces.lost",
    "spans.exported",
    "spans.exported",
    "traces.regained",
  ]);
  expect(news()[0]?.[1]).toEqual({ spans: 512, code: "trace.refused" });
  expect(news()[3]?.[1]).toEqual({ spans: 1, code: "" });
});

test("with a collector that hangs no more is kept than there is room for, and the rest is counted as lost", () => {
  collector.mode = "hang";
  const lost: [number, string | undefined][] = [];
  const traces = openTraceExport({
    url: `${collector.url}/v1/traces`,
    headers: {},
    timeoutMs: 60_000,
    compression: "gzip",
    resource: {},
    sampler: "always_on",
    samplerArg: 1,
    told: (spans, failure) => lost.push([spans, failure?.code]),
  });
  const one: JobTrace = {
    jobId: JOB,
    kind: "document",
    startMs: 1,
    endMs: 2,
    outcome: "complete",
    code: "",
    isError: false,
    attributes: {},
    steps: [],
  };

  for (let times = 0; times < 8_200; times += 1) traces.send(one, null);

  expect(lost).toHaveLength(8);
  expect(new Set(lost.map(([, code]) => code))).toEqual(new Set(["trace.too-many"]));
});

test("what a collector that nobody runs has not taken when the worker ends is told as lost, once", async () => {
  await collector.close();
  const { tracing, runJob, news } = await trace({});
  runJob();

  await tracing.close();

  expect(news()).toEqual([
    ["spans.exported", { spans: 1, code: "trace.unreachable" }],
    ["traces.lost", { code: "trace.unreachable", advice: expect.any(String) }],
  ]);
});

test("headers and attributes are read as OpenTelemetry writes them", () => {
  expect(pairsOf("a=b%20c, d = e=f ,nonsense,=x,g=%")).toEqual({ a: "b c", d: "e=f", g: "%" });
  expect(pairsOf(null)).toEqual({});
});
