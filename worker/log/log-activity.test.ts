import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { openActivity } from "../activity/activity.ts";
import type { Events } from "../activity/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import { openLog } from "./log.ts";
import { logActivity } from "./log-activity.ts";
import { costInWords } from "./terminal-lines.ts";

const JOB = "6f2c1d3e-0000-4000-8000-000000000001";
const DOCUMENT = "0a1b2c3d-0000-4000-8000-000000000002";

function openWorld(terminal: boolean, level: "info" | "debug" = "info") {
  const activity = openActivity();
  let text = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  const stop = logActivity(activity, openLog({ level, terminal, secrets: [], destination }));
  const lines = () => text.split("\n").filter(Boolean);
  return {
    activity,
    stop,
    text: () => text,
    json: () => lines().map((line): Record<string, unknown> => JSON.parse(line)),
    told: lines,
  };
}

const claimed = (facts: Partial<Events["job.claimed"]> = {}): Events["job.claimed"] => ({
  jobId: JOB,
  documentId: DOCUMENT,
  kind: "document",
  attempt: 1,
  documentKind: "transcript",
  title: "Weekly sync",
  version: "H-1",
  ...facts,
});

const progressed = (facts: Partial<Events["job.progressed"]> = {}): Events["job.progressed"] => ({
  jobId: JOB,
  documentId: DOCUMENT,
  stage: "embedding",
  processedSegments: 17,
  totalSegments: 52,
  processedChunks: 17,
  totalChunks: null,
  reusedChunks: 0,
  stored: 1,
  ...facts,
});

const completed = (facts: Partial<Events["job.completed"]> = {}): Events["job.completed"] => ({
  jobId: JOB,
  documentId: DOCUMENT,
  durationMs: 45_200,
  chunks: 52,
  reused: 3,
  rejected: 0,
  tokens: 9_000,
  costUsd: 0.004,
  unchanged: false,
  ...facts,
});

const failed = {
  jobId: JOB,
  documentId: null,
  code: "extract.encrypted",
  detail: "The file is protected.",
  attempt: 1,
};

test("a person at a terminal can follow a job from the start to its end", () => {
  const { activity, told } = openWorld(true);

  activity.say("worker.started", {
    workerId: "w",
    database: "embedded",
    provider: "embedded",
    model: "all-MiniLM-L6-v2",
    http: "http://127.0.0.1:8080",
  });
  activity.say("job.claimed", claimed());
  activity.say("job.measured", { jobId: JOB, documentId: DOCUMENT, segments: 52 });
  activity.say("job.progressed", progressed());
  activity.say("job.completed", completed());

  expect(told()).toEqual([
    "RAG worker ready. Polling for jobs…   database=embedded provider=embedded http=http://127.0.0.1:8080",
    'job 6f2c…  transcript "Weekly sync"  version H-1  52 segments',
    "job 6f2c…  segment 17/52 embedded (1 chunk)",
    "job 6f2c…  complete in 45.2 s  52 chunks, 3 reused, 0.4 ¢",
  ]);
});

test("a job that fails before it is measured is announced with its failure", () => {
  const { activity, told } = openWorld(true);

  activity.say("job.claimed", claimed({ documentKind: "file", title: "Plan", version: null, attempt: 2 }));
  activity.say("job.failed", failed);

  expect(told()).toEqual([
    'job 6f2c…  file "Plan"  try 2',
    "job 6f2c…  failed: extract.encrypted: The file is protected.",
  ]);
});

test("a lost lease is called lease_lost, on the terminal and in JSON", () => {
  const terminal = openWorld(true);
  const machine = openWorld(false);

  for (const { activity } of [terminal, machine])
    activity.say("lease.lost", { jobId: JOB, documentId: null, heldMs: 900 });

  expect(terminal.told()).toEqual(["job 6f2c…  lease_lost: another worker owns it; nothing was written"]);
  expect(machine.json()).toMatchObject([
    {
      level: "warn",
      event: "lease.lost",
      jobId: JOB,
      heldMs: 900,
      msg: expect.stringContaining("lease_lost"),
    },
  ]);
});

test("a title stands on the terminal and never in a JSON line", () => {
  const terminal = openWorld(true, "debug");
  const machine = openWorld(false, "debug");

  for (const { activity } of [terminal, machine]) {
    activity.say("job.claimed", claimed({ title: "Merger with Initech" }));
    activity.say("job.measured", { jobId: JOB, documentId: DOCUMENT, segments: 1 });
    activity.say("job.failed", failed);
  }

  expect(terminal.text()).toContain("Merger");
  expect(machine.text()).not.toContain("Merger");
  expect(machine.json().map((line) => line.event)).toEqual(["job.claimed", "job.measured", "job.failed"]);
});

test("JSON at info tells what changed a job's state, not every batch", () => {
  const { activity, json } = openWorld(false);

  activity.say("job.claimed", claimed());
  activity.say("job.progressed", progressed());
  activity.say("job.completed", completed());

  expect(json().map((line) => line.msg)).toEqual(["job claimed", "job complete"]);
  expect(json()[1]).toMatchObject({ jobId: JOB, chunks: 52, reused: 3, tokens: 9_000, costUsd: 0.004 });
});

test("what nobody expected is an error, a document that cannot succeed is a warning", () => {
  const { activity, json } = openWorld(false);

  activity.say("job.failed", failed);
  activity.say("job.retried", { ...failed, code: "unexpected" });
  activity.say("job.retried", { ...failed, code: "a.code.from.elsewhere" });
  activity.say("worker.misconfigured", { code: "embed.denied", advice: "Check OPENAI_API_KEY." });

  expect(json().map((line) => line.level)).toEqual(["warn", "error", "warn", "error"]);
});

test("a defect's place is told, on the terminal and in JSON, and an expected failure's is not on the terminal", () => {
  const terminal = openWorld(true);
  const machine = openWorld(false);
  const defect = new Failure("unexpected", { cause: new RangeError("the document's text") });

  for (const { activity } of [terminal, machine]) {
    activity.say("job.retried", { ...failed, code: "unexpected", detail: "Unexpected.", failure: defect });
    activity.say("job.failed", { ...failed, failure: new Failure("extract.encrypted") });
  }

  expect(terminal.text()).toMatch(
    /^job 6f2c… {2}try 1 failed: unexpected: Unexpected\.\n {4}RangeError\n {4}at .*\n(?: {4}at .*\n)*job 6f2c… {2}failed: extract\.encrypted: [^\n]*\n$/,
  );
  expect(machine.json()[0]).toMatchObject({
    level: "error",
    err: {
      code: "unexpected",
      cause: { type: "RangeError", stack: expect.arrayContaining([expect.any(String)]) },
    },
  });
  expect(terminal.text() + machine.text()).not.toContain("document's text");
});

test("after it is told to stop, nothing is logged any more", () => {
  const { activity, stop, text } = openWorld(false);

  stop();
  activity.say("job.failed", failed);

  expect(text()).toBe("");
});

test.each<[Partial<Events["job.progressed"]>, string]>([
  [{ stored: 16 }, "segment 17/52 embedded (16 chunks)"],
  [{ totalSegments: null }, "segment 17 embedded (1 chunk)"],
  [{ stored: 0 }, "segment 17/52 was there already"],
  [{ processedSegments: 0, processedChunks: 16, stored: 16 }, "chunk 16 embedded (16 chunks)"],
])("progress %j reads %s", (facts, line) => {
  const { activity, told } = openWorld(true);

  activity.say("job.progressed", progressed(facts));

  expect(told()).toEqual([`job 6f2c…  ${line}`]);
});

test.each<[Partial<Events["job.completed"]>, string]>([
  [{ costUsd: null }, "complete in 45.2 s  52 chunks, 3 reused"],
  [{ costUsd: 0, chunks: 1, reused: 0 }, "complete in 45.2 s  1 chunk, 0 reused"],
  [{ unchanged: true, durationMs: 120 }, "complete in 0.12 s  unchanged, 52 chunks, 0.4 ¢"],
])("an end %j reads %s", (facts, line) => {
  const { activity, told } = openWorld(true);

  activity.say("job.completed", completed(facts));

  expect(told()).toEqual([`job 6f2c…  ${line}`]);
});

test.each([
  [0.004, "0.4 ¢"],
  [0.00001, "less than 0.01 ¢"],
  [0.12345, "12 ¢"],
  [1.2, "$1.20"],
  [0, null],
  [null, null],
])("%s dollars read %s", (usd, words) => {
  expect(costInWords(usd)).toBe(words);
});
