// Traces of jobs as an operator's collector receives them: real workers, and a collector that is well, refuses, or
// hangs.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type CollectedSpan, type OtlpCollector, startOtlpCollector } from "../stand-ins/otlp-collector.ts";
import { openWorld, type RagWorld } from "./rag-process.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 30_000 });
const CANARY = "fortnight";
const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const KEY = "canary-collector-key";

let world: RagWorld;
let collector: OtlpCollector;

beforeEach(async () => {
  world = await openWorld();
  collector = await startOtlpCollector();
  await writeFile(join(world.folder, "note.md"), `# Lending\n\nA drill may be kept for a ${CANARY}.\n`);
});

afterEach(async () => {
  await collector.close();
  await world.close();
});

const traced = (more: Readonly<Record<string, string>> = {}) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
  ...more,
});

const jobsOf = (spans: readonly CollectedSpan[]) => spans.filter(({ name }) => name.startsWith("job "));

test("a job is one trace: what its steps were, how long each took, under its own id, and none of its text", async () => {
  await world.rag(["ingest", "note.md", "--title", "Merger"]);

  const ran = await world.rag(
    ["worker", "--once"],
    traced({
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${KEY}`,
      OTEL_SERVICE_NAME: "docs-worker",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
    }),
  );

  expect(ran.code, ran.err).toBe(0);
  const [job, ...others] = jobsOf(collector.spans);
  expect(others).toEqual([]);
  expect(job).toMatchObject({ name: "job document", kind: 5, parentSpanId: "", status: 0 });
  expect(job?.attributes).toMatchObject({
    "rag.job.kind": "document",
    "rag.job.attempt": 1,
    "rag.job.outcome": "complete",
    "rag.chunks": 1,
  });
  expect(job?.traceId).toBe(String(job?.attributes["rag.job.id"]).replaceAll("-", ""));
  expect(job?.resource).toMatchObject({
    "service.name": "docs-worker",
    "deployment.environment.name": "test",
  });
  const steps = collector.spans.filter(({ spanId }) => spanId !== job?.spanId);
  expect(steps.map(({ name }) => name).toSorted()).toEqual(
    ["begin", "chunk", "embed", "embed request", "extract", "fetch", "publish", "reuse", "stage"].toSorted(),
  );
  for (const step of steps) {
    expect([step.name, step.traceId, step.parentSpanId]).toEqual([step.name, job?.traceId, job?.spanId]);
    expect(step.startMs).toBeGreaterThanOrEqual(job?.startMs ?? 0);
    expect(step.endMs).toBeLessThanOrEqual((job?.endMs ?? 0) + 1);
    expect(step.endMs).toBeGreaterThanOrEqual(step.startMs);
  }
  expect(steps.find(({ name }) => name === "embed request")).toMatchObject({
    kind: 3,
    attributes: { "rag.provider": "embedded", "rag.texts": 1 },
  });
  expect(collector.requests[0]).toMatchObject({
    path: "/v1/traces",
    headers: { authorization: `Bearer ${KEY}` },
  });
  const sent = Buffer.concat(collector.bodies).toString("latin1");
  for (const secret of [CANARY, "Merger", "note.md", KEY]) expect(sent).not.toContain(secret);
  expect(ran.out + ran.err).not.toContain(KEY);
});

test("a job hangs under the span of whoever enqueued it", async () => {
  const app = await world.rag(["ingest", "note.md", "--json"], { TRACEPARENT: PARENT });

  await world.rag(["worker", "--once"], traced());

  expect(app.code, app.err).toBe(0);
  const [job] = jobsOf(collector.spans);
  expect([job?.traceId, job?.parentSpanId]).toEqual(["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"]);
});

test("a job that fails is told with its code, and its runs are one trace", async () => {
  await writeFile(join(world.folder, "broken.pdf"), "%PDF-1.7\nno more than that");
  await world.rag(["ingest", "broken.pdf"]);
  await world.rag(["worker", "--once"], traced());
  const [first] = jobsOf(collector.spans);
  await world.rag(["retry", String(first?.attributes["rag.job.id"])]);

  await world.rag(["worker", "--once"], traced());

  const jobs = jobsOf(collector.spans);
  expect(jobs.map(({ traceId }) => traceId)).toEqual([first?.traceId, first?.traceId]);
  for (const job of jobs) {
    expect(job.status).toBe(2);
    expect(job.attributes).toMatchObject({ "rag.job.outcome": "failed" });
    expect(job.attributes["error.type"]).toMatch(/^extract\./);
  }
  const extracts = collector.spans.filter(({ name }) => name === "extract");
  expect(extracts.map(({ status }) => status)).toEqual([2, 2]);
});

test.each([
  "refuse",
  "hang",
] as const)("a collector that should %s harms no job, and is told of once", async (mode) => {
  collector.mode = mode;
  await world.rag(["ingest", "note.md"]);

  const ran = await world.rag(["worker", "--once"], traced({ LOG_LEVEL: "info" }));

  expect(ran.code, ran.err).toBe(0);
  expect(collector.requests.length).toBeGreaterThan(0);
  const events = ran.records.map(({ event }) => event);
  expect(events).toContain("job.completed");
  if (mode === "refuse") {
    expect(events.filter((event) => event === "traces.lost")).toHaveLength(1);
    expect(ran.records.find(({ event }) => event === "traces.lost")).toMatchObject({ code: "trace.refused" });
  }
});

test("without a collector, or with OTEL_SDK_DISABLED, nothing is sent", async () => {
  await world.rag(["ingest", "note.md"]);

  const ran = await world.rag(["worker", "--once"], traced({ OTEL_SDK_DISABLED: "true" }));

  expect(ran.code).toBe(0);
  expect(collector.requests).toEqual([]);
});

test("a sampler that takes none sends none", async () => {
  await world.rag(["ingest", "note.md"]);

  await world.rag(
    ["worker", "--once"],
    traced({ OTEL_TRACES_SAMPLER: "parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" }),
  );

  expect(collector.spans).toEqual([]);
});
