import { expect, test } from "vitest";
import { type Activity, openActivity } from "../activity/activity.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import { openMetrics } from "./metrics.ts";
import type { FiguresAnswer } from "./queue-figures.ts";
import { someActivity, someFigures, someState } from "./testing/some-figures.ts";
import { awayProvider } from "./testing/some-pacing.ts";

const known: FiguresAnswer = { figures: someFigures, ageMs: 0, trouble: null };

function openWorld(state: () => WorkerState = () => someState, figures: () => FiguresAnswer = () => known) {
  const activity = openActivity();
  const metrics = openMetrics({
    activity,
    state,
    figures: async () => figures(),
    activityLog: () => someActivity,
    version: "1.2.3",
    budgetUsd: 5,
  });
  return {
    activity,
    metrics,
    readSample: async (sample: string) => sampleOf(await metrics.scrape(), sample),
  };
}

function sampleOf(text: string, sample: string): number | null {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${sample} `));
  return line === undefined ? null : Number(line.slice(sample.length + 1));
}

function sayOfEach(activity: Activity): void {
  const job = { jobId: "6f2c", documentId: "0a1b" };
  activity.say("job.claimed", {
    ...job,
    kind: "document",
    attempt: 1,
    documentKind: null,
    title: "Secret",
    version: null,
  });
  activity.say("job.progressed", {
    ...job,
    stage: "embedding",
    processedSegments: 1,
    totalSegments: 2,
    processedChunks: 3,
    totalChunks: null,
    reusedChunks: 0,
    stored: 3,
  });
  activity.say("job.completed", {
    ...job,
    durationMs: 2_000,
    chunks: 52,
    reused: 3,
    rejected: 0,
    tokens: 9,
    costUsd: 0.25,
    unchanged: false,
  });
  activity.say("job.failed", {
    jobId: "6f2c",
    documentId: null,
    code: "extract.encrypted",
    detail: "x",
    attempt: 1,
  });
  activity.say("job.retried", {
    jobId: "6f2c",
    documentId: null,
    code: "embed.unavailable",
    detail: "x",
    attempt: 1,
  });
  activity.say("job.released", { jobId: "6f2c", documentId: null, code: "embed.rate-limited", delayMs: 5 });
  activity.say("lease.lost", { jobId: "6f2c", documentId: null, heldMs: 5 });
  activity.say("jobs.reaped", { requeued: 2, failed: 1 });
  activity.say("leases.late", { lateMs: 5 });
  activity.say("original.fetched", { jobId: "6f2c", scheme: "file", bytes: 1_000, durationMs: 5 });
  activity.say("embeddings.received", {
    provider: "openai",
    model: "m",
    texts: 16,
    tokens: 900,
    durationMs: 200,
  });
  const answered = { provider: "claude", model: "m", cacheWriteTokens: 20, costUsd: 0.5, durationMs: 2000 };
  const tokens = { inputTokens: 10, cacheReadTokens: 300, outputTokens: 40 };
  activity.say("analysis.answered", { ...answered, ...tokens, code: "", batch: false });
  activity.say("analysis.answered", { ...answered, ...tokens, code: "analyse.refused", batch: true });
  activity.say("analysis.failed", { provider: "claude", code: "analyse.overloaded", durationMs: 100 });
  activity.say("analysis.uncached", { jobId: "6f2c", documentId: "d", model: "m", requests: 3 });
  activity.say("group.analysed", { jobId: "6f2c", documentId: "d", code: "", done: 1, left: 0 });
  const step = { jobId: "6f2c", elapsedMs: 900, code: "" };
  activity.say("step.ended", { ...step, step: "extract", ownMs: 500, counts: { items: 12 } });
  activity.say("step.ended", { ...step, step: "fetch", ownMs: 900, code: "source.not-found" });
  activity.say("requests.held", { provider: "openai", by: "requests", durationMs: 1_500 });
  activity.say("spans.exported", { spans: 12, code: "" });
  activity.say("spans.exported", { spans: 3, code: "trace.refused" });
  activity.say("embeddings.failed", { provider: "openai", code: "embed.unavailable", durationMs: 100 });
}

test("every event is counted under its name and labels", async () => {
  const { activity, readSample } = openWorld();

  sayOfEach(activity);

  const expected: Record<string, number> = {
    rag_jobs_claimed_total: 1,
    'rag_jobs_total{outcome="complete",code=""}': 1,
    'rag_jobs_total{outcome="failed",code="extract.encrypted"}': 1,
    'rag_jobs_total{outcome="retried",code="embed.unavailable"}': 1,
    'rag_jobs_total{outcome="released",code="embed.rate-limited"}': 1,
    'rag_jobs_total{outcome="lease_lost",code="job.lease-lost"}': 1,
    'rag_jobs_reaped_total{outcome="requeued"}': 2,
    rag_chunks_total: 52,
    rag_chunks_reused_total: 3,
    rag_chunks_stored_total: 3,
    rag_cost_usd_total: 0.25,
    rag_leases_late_total: 1,
    rag_original_bytes_total: 1_000,
    'rag_analysis_requests_total{provider="claude",code="",mode="direct"}': 1,
    'rag_analysis_requests_total{provider="claude",code="analyse.refused",mode="batch"}': 1,
    'rag_analysis_requests_total{provider="claude",code="analyse.overloaded",mode="direct"}': 1,
    'rag_analysis_tokens_total{provider="claude",kind="input"}': 20,
    'rag_analysis_tokens_total{provider="claude",kind="cache_write"}': 40,
    'rag_analysis_tokens_total{provider="claude",kind="cache_read"}': 600,
    'rag_analysis_tokens_total{provider="claude",kind="output"}': 80,
    'rag_analysis_cost_usd_total{provider="claude"}': 1,
    'rag_analysis_groups_total{code=""}': 1,
    rag_analysis_uncached_total: 3,
    'rag_embedding_requests_total{provider="openai"}': 2,
    'rag_embedding_failures_total{provider="openai",code="embed.unavailable"}': 1,
    'rag_embedding_texts_total{provider="openai"}': 16,
    'rag_embedding_tokens_total{provider="openai"}': 900,
    'rag_embedding_request_duration_seconds_count{provider="openai"}': 2,
    'rag_embedding_held_seconds_total{provider="openai",by="requests"}': 1.5,
    'rag_step_duration_seconds_sum{step="extract"}': 0.5,
    'rag_step_duration_seconds_count{step="stage"}': 0,
    'rag_step_failures_total{step="fetch",code="source.not-found"}': 1,
    'rag_trace_spans_total{code=""}': 12,
    'rag_trace_spans_total{code="trace.refused"}': 3,
    rag_job_duration_seconds_sum: 2,
  };
  for (const [sample, value] of Object.entries(expected))
    expect([sample, await readSample(sample)]).toEqual([sample, value]);
});

test("two scrapes count once, and what is said twice counts twice", async () => {
  const { activity, metrics, readSample } = openWorld();
  sayOfEach(activity);

  await metrics.scrape();
  const afterTwoScrapes = await readSample("rag_chunks_total");
  sayOfEach(activity);

  expect(afterTwoScrapes).toBe(52);
  expect(await readSample("rag_chunks_total")).toBe(104);
});

test("the text is what Prometheus reads: every sample has a type, and names follow its conventions", async () => {
  const { activity, metrics } = openWorld();
  sayOfEach(activity);

  const lines = (await metrics.scrape()).trim().split("\n").filter(Boolean);

  const types = new Map<string, string>();
  for (const line of lines) {
    const type = /^# TYPE ([a-z_][a-z0-9_]*) (counter|gauge|histogram|summary)$/.exec(line);
    if (type?.[1] !== undefined && type[2] !== undefined) types.set(type[1], type[2]);
    else if (line.startsWith("#")) expect(line).toMatch(/^# HELP [a-z_][a-z0-9_]* \S/);
    else {
      const sample = /^([a-z_][a-z0-9_]*)(\{([a-z_]+="(?:[^"\\\n]|\\.)*",?)+\})? (\S+)( \d+)?$/.exec(line);
      expect(sample, line).not.toBeNull();
      // Node's own loop histogram has no mean before its first look, which is a Nan that Prometheus reads.
      if (line.startsWith("rag_")) expect(sample?.[4], line).toMatch(/^\d+(\.\d+)?(e-?\d+)?$/);
      const family = (sample?.[1] ?? "").replace(/_(bucket|sum|count)$/, "");
      expect(types.has(family) || types.has(sample?.[1] ?? ""), line).toBe(true);
    }
  }
  const ours = [...types].filter(([name]) => name.startsWith("rag_"));
  expect(ours.length).toBeGreaterThan(20);
  for (const [name, type] of ours)
    expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
  expect(types.get("nodejs_eventloop_lag_p99_seconds")).toBe("gauge");
  expect(types.get("process_resident_memory_bytes")).toBe("gauge");
});

test("no title, id or sentence of a document becomes a label", async () => {
  const { activity, metrics } = openWorld();

  sayOfEach(activity);

  expect(await metrics.scrape()).not.toMatch(/Secret|6f2c|0a1b/);
});

test("gauges show the queue and the worker as they are now", async () => {
  let jobs = 1;
  const { readSample } = openWorld(() => ({ ...someState, jobs }));

  const before = await readSample("rag_worker_jobs");
  jobs = 3;

  expect(before).toBe(1);
  expect(await readSample("rag_worker_jobs")).toBe(3);
  expect(await readSample('rag_queue_jobs{kind="document",status="ready"}')).toBe(2);
  expect(await readSample('rag_queue_jobs{kind="document",status="delayed"}')).toBe(2);
  expect(await readSample('rag_queue_jobs{kind="document",status="processing"}')).toBe(1);
  expect(await readSample('rag_queue_jobs{kind="sync",status="ready"}')).toBe(1);
  expect(await readSample('rag_queue_jobs{kind="reembed",status="ready"}')).toBe(0);
  expect(await readSample('rag_queue_oldest_seconds{kind="document"}')).toBe(12.5);
  expect(await readSample('rag_queue_oldest_seconds{kind="reembed"}')).toBe(0);
  expect(await readSample("rag_queue_longest_job_seconds")).toBe(42);
  expect(await readSample("rag_workers")).toBe(2);
  expect(await readSample('rag_queue_waiting_jobs{reason="cap"}')).toBe(1);
  expect(await readSample('rag_queue_waiting_jobs{reason="document"}')).toBe(0);
  expect(await readSample('rag_queue_pauses{scope="all"}')).toBe(0);
  expect(await readSample("rag_queue_dead_rows")).toBe(40);
  expect(await readSample("rag_oldest_snapshot_age_seconds")).toBe(0);
  expect(await readSample('rag_worker_condition{condition="working"}')).toBe(1);
  expect(await readSample('rag_worker_condition{condition="stopped"}')).toBe(0);
  expect(await readSample('rag_build_info{version="1.2.3"}')).toBe(1);
});

test("figures that could not be read are absent, not old and not zero", async () => {
  let answer = known;
  const { readSample, metrics } = openWorld(undefined, () => answer);
  await metrics.scrape();

  answer = { ...known, trouble: "timeout" };

  expect(await readSample("rag_queue_figures_known")).toBe(0);
  expect(await readSample('rag_queue_jobs{kind="document",status="ready"}')).toBeNull();
  expect(await readSample('rag_queue_oldest_seconds{kind="document"}')).toBeNull();
  expect(await readSample("rag_workers")).toBeNull();
  expect(await readSample('rag_queue_waiting_jobs{reason="slot"}')).toBeNull();
  expect(await readSample("rag_queue_dead_rows")).toBeNull();
  expect(await readSample("rag_oldest_snapshot_age_seconds")).toBeNull();
});

test("a snapshot whose age this role may not see has no age, not the age nought", async () => {
  let seconds: number | null = 7;
  const { readSample, metrics } = openWorld(undefined, () => ({
    ...known,
    figures: { ...someFigures, oldest_snapshot_seconds: seconds },
  }));
  await metrics.scrape();

  seconds = null;

  expect(await readSample("rag_oldest_snapshot_age_seconds")).toBeNull();
  expect(await readSample("rag_queue_dead_rows")).toBe(40);
});

test("a fact below nothing does not make the listener throw", async () => {
  const { activity, readSample } = openWorld();

  activity.say("jobs.reaped", { requeued: -1, failed: Number.NaN });

  expect(await readSample('rag_jobs_reaped_total{outcome="requeued"}')).toBe(0);
});

test("after stop nothing is counted any more", async () => {
  const { activity, metrics, readSample } = openWorld();

  metrics.stop();
  sayOfEach(activity);

  expect(await readSample("rag_chunks_total")).toBe(0);
});

test("a llama-server of the embedder's own shows its state, its memory, and how often it started and died", async () => {
  const activity = openActivity();
  const server = { pid: 7, slots: 4, starts: 2, deaths: 1, code: null, says: null };
  const metrics = openMetrics({
    activity,
    state: () => someState,
    figures: async () => known,
    budgetUsd: null,
    version: "1.2.3",
    activityLog: () => someActivity,
    server: async () => ({ ...server, state: "ready", rssBytes: 98_000_000 }),
  });
  activity.say("llama.started", { pid: 6, slots: 4, durationMs: 300 });
  activity.say("llama.died", { pid: 6, exitCode: null, signal: "SIGKILL" });
  activity.say("llama.started", { pid: 7, slots: 4, durationMs: 300 });

  const text = await metrics.scrape();

  expect(sampleOf(text, 'rag_llama_server_state{state="ready"}')).toBe(1);
  expect(sampleOf(text, 'rag_llama_server_state{state="stopped"}')).toBe(0);
  expect(sampleOf(text, "rag_llama_server_resident_memory_bytes")).toBe(98_000_000);
  expect(sampleOf(text, "rag_llama_server_starts_total")).toBe(2);
  expect(sampleOf(text, "rag_llama_server_deaths_total")).toBe(1);
});

test("without one there is nothing of it", async () => {
  const { metrics } = openWorld();

  expect(await metrics.scrape()).not.toContain("llama_server");
});

test("the activity log's figures are the log's own, however often they are scraped", async () => {
  const { readSample, metrics } = openWorld();
  await metrics.scrape();

  expect(await readSample("rag_activity_queue_length")).toBe(someActivity.queue_length);
  expect(await readSample("rag_activity_stored_total")).toBe(someActivity.stored);
  expect(await readSample("rag_activity_dropped_total")).toBe(someActivity.dropped);
});

test("how the provider is paced is shown: requests under way and allowed, what limits them, the circuit", async () => {
  const { readSample } = openWorld(() => ({ ...someState, pacing: awayProvider }));

  expect(await readSample('rag_embedding_in_flight{provider="openai"}')).toBe(2);
  expect(await readSample('rag_embedding_allowed{provider="openai"}')).toBe(3);
  expect(await readSample('rag_embedding_share{provider="openai"}')).toBe(0.5);
  expect(await readSample('rag_embedding_limited{provider="openai",by="circuit"}')).toBe(1);
  expect(await readSample('rag_embedding_limited{provider="openai",by="tokens"}')).toBe(0);
  expect(await readSample('rag_embedding_breaker{provider="openai",state="open"}')).toBe(1);
  expect(await readSample('rag_embedding_breaker{provider="openai",state="closed"}')).toBe(0);
});
