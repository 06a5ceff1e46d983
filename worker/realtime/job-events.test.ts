import { afterEach, expect, test, vi } from "vitest";
import { type Activity, openActivity } from "../activity/activity.ts";
import type { Events } from "../activity/catalogue.ts";
import type { RealtimeEvent } from "./event.ts";
import { type JobEvents, tellJobEvents } from "./job-events.ts";

const open: JobEvents[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function listen(progressMs = 1000) {
  const activity = openActivity();
  const events: RealtimeEvent[] = [];
  const told = tellJobEvents(activity, (event) => void events.push(event), progressMs);
  open.push(told);
  return { activity, events, told };
}
const claim = (activity: Activity, facts: Partial<Events["job.claimed"]> = {}) =>
  activity.say("job.claimed", {
    jobId: "j",
    documentId: "d",
    kind: "document",
    attempt: 1,
    documentKind: "file",
    title: "Secret merger",
    version: null,
    userId: "ann",
    ...facts,
  });
const progress = (activity: Activity, processedChunks: number) =>
  activity.say("job.progressed", {
    jobId: "j",
    documentId: "d",
    stage: "embedding",
    processedSegments: 1,
    totalSegments: 4,
    processedChunks,
    totalChunks: null,
    reusedChunks: 0,
    stored: 1,
  });
const complete = (activity: Activity) =>
  activity.say("job.completed", {
    ...{ jobId: "j", documentId: "d", durationMs: 5, chunks: 3, reused: 0, rejected: 0, tokens: 9 },
    costUsd: null,
    unchanged: false,
  });
const inShort = (events: readonly RealtimeEvent[]) =>
  events.map(({ type, payload }) => `${type} ${payload.status ?? payload.processed_chunks}`);

test("a job is told from its claim to its end, to the user whose document it is, without title or text", () => {
  const { activity, events } = listen();

  claim(activity);
  progress(activity, 1);
  complete(activity);

  expect(inShort(events)).toEqual([
    "job.status_updated processing",
    "job.status_updated processing",
    "job.progress 1",
    "document.status_updated ingested",
    "job.status_updated complete",
  ]);
  expect(new Set(events.map(({ user_id }) => user_id))).toEqual(new Set(["ann"]));
  expect(events[2]?.payload).toEqual({
    ...{ job_id: "j", document_id: "d", processed_segments: 1, total_segments: 4, processed_chunks: 1 },
    total_chunks: null,
  });
  expect(events.at(-1)?.payload).toEqual({
    ...{ job_id: "j", document_id: "d", status: "complete", stage: "embedding", error_code: null },
  });
  expect(JSON.stringify(events)).not.toContain("Secret");
});

test("of a hundred steps in one moment the first is told and the last, before the end", () => {
  const { activity, events } = listen();
  claim(activity);

  for (let step = 1; step <= 100; step += 1) progress(activity, step);
  complete(activity);

  expect(inShort(events).filter((line) => line.startsWith("job.progress"))).toEqual([
    "job.progress 1",
    "job.progress 100",
  ]);
  expect(inShort(events).at(-1)).toBe("job.status_updated complete");
});

test("what is owed of a job that stands still is told by itself", async () => {
  const { activity, events } = listen(20);
  claim(activity);
  progress(activity, 1);
  progress(activity, 2);

  await vi.waitFor(() => expect(inShort(events).at(-1)).toBe("job.progress 2"));
});

test("a job that failed, waits or is tried again says so with its code", () => {
  const { activity, events } = listen();

  claim(activity);
  activity.say("job.released", { jobId: "j", documentId: "d", code: "embed.rate-limited", delayMs: 5 });
  claim(activity);
  activity.say("job.failed", { jobId: "j", documentId: "d", code: "extract.empty", detail: "x", attempt: 2 });

  const ends = events.filter(({ payload }) => payload.error_code != null).map(({ payload }) => payload);
  expect(ends).toMatchObject([
    { status: "queued", error_code: "embed.rate-limited" },
    { status: "failed", error_code: "extract.empty" },
  ]);
  expect(inShort(events)).toContain("document.status_updated failed");
});

test("a job of nobody's, and one that another worker has now, are not told", () => {
  const { activity, events } = listen();

  claim(activity, { userId: null });
  complete(activity);
  claim(activity);
  progress(activity, 1);
  activity.say("lease.lost", { jobId: "j", documentId: "d", heldMs: 1 });
  progress(activity, 2);
  complete(activity);

  expect(inShort(events).filter((line) => /complete|progress 2/.test(line))).toEqual([]);
});

test("a relationships job ends without a word about the document's status", () => {
  const { activity, events } = listen();

  claim(activity, { kind: "relationships" });
  complete(activity);

  expect(inShort(events)).toEqual(["job.status_updated processing", "job.status_updated complete"]);
});
