// The checker against histories made by hand: a good one passes, and each way to be bad is told by its rule.
import { expect, test } from "vitest";
import { check } from "./check.ts";
import type {
  CallEntry,
  ChunksEntry,
  CommitEntry,
  History,
  HistoryEntry,
  JobEntry,
  LiveEntry,
} from "./history.ts";
import type { Outcome, Upload } from "./outcome.ts";

const LEASE_MS = 2000;
const JOB = "job-1";
const DOCUMENT = "document-1";
const WORKER = "worker-1";

type Unnumbered<Entry> = Entry extends HistoryEntry ? Omit<Entry, "seq" | "at"> : never;

/** Numbers the entries; `txAt` is each one's own. */
const historyOf = (...entries: readonly Unnumbered<HistoryEntry>[]): History =>
  entries.map((entry, at) => ({ ...entry, seq: at + 1, at: entry.txAt }) as HistoryEntry);

const rulesOf = (history: History, outcome: Outcome | null = null) =>
  check(history, outcome, { leaseMs: LEASE_MS }).map((violation) => violation.rule);

const job = (fields: Partial<JobEntry>): Unnumbered<JobEntry> => ({
  kind: "job",
  txAt: 0,
  job_id: JOB,
  document_id: DOCUMENT,
  job_kind: "document",
  by: null,
  acting_worker: null,
  acting_token: null,
  transition: null,
  from: "queued",
  to: "processing",
  from_token: null,
  to_token: null,
  from_worker: null,
  to_worker: null,
  from_attempts: 0,
  to_attempts: 0,
  max_attempts: 5,
  error_code: null,
  watched: null,
  alive_at: null,
  ...fields,
});
const inserted = (fields: Partial<JobEntry> = {}) =>
  job({ by: "rag_enqueue", from: null, to: "queued", ...fields });
const claimed = (token: string, attempts: number, fields: Partial<JobEntry> = {}) =>
  job({
    by: "rag_claim_jobs",
    acting_worker: WORKER,
    to_token: token,
    to_worker: WORKER,
    from_attempts: attempts - 1,
    to_attempts: attempts,
    ...fields,
  });
/** What ends a claim: from processing, by whoever names the token. */
const ended = (by: string, to: JobEntry["to"], token: string, fields: Partial<JobEntry> = {}) =>
  job({
    by,
    acting_token: token,
    from: "processing",
    to,
    from_token: token,
    to_token: to === "queued" ? null : token,
    from_worker: WORKER,
    to_worker: to === "queued" ? null : WORKER,
    from_attempts: 1,
    to_attempts: 1,
    ...fields,
  });
const completed = (token: string, fields: Partial<JobEntry> = {}) =>
  ended("rag_complete_job", "complete", token, fields);
const rescued = (txAt: number, fields: Partial<JobEntry> = {}) =>
  ended("rag_reap", "queued", "1", { txAt, acting_token: null, watched: false, alive_at: 0, ...fields });
const alive = (session: boolean, txAt = 0): Unnumbered<HistoryEntry> => ({
  kind: "alive",
  txAt,
  worker_id: WORKER,
  session,
});
const standing = (token: string | null, fields: Partial<NonNullable<CallEntry["standing"]>> = {}) => ({
  status: "processing" as const,
  token,
  generation: 1,
  ours: true,
  ...fields,
});
const call = (
  by: string,
  token: string,
  answer: string,
  stands: CallEntry["standing"],
): Unnumbered<CallEntry> => ({
  kind: "call",
  txAt: 0,
  by,
  job_id: JOB,
  lease_token: token,
  transition: null,
  standing: stands,
  answer,
});
const written = (fields: Partial<ChunksEntry> = {}): Unnumbered<ChunksEntry> => ({
  kind: "chunks",
  txAt: 0,
  by: "rag_stage_chunks",
  document_id: DOCUMENT,
  generation: 1,
  chunks: 2,
  first: 0,
  last: 1,
  job_id: JOB,
  acting_token: "1",
  standing: standing("1"),
  live: false,
  ...fields,
});
const committed = (token: string, stands: CommitEntry["standing"]): Unnumbered<CommitEntry> => ({
  kind: "commit",
  txAt: 0,
  of: 1,
  job_id: JOB,
  acting_token: token,
  standing: stands,
});
const wentLive = (from: number | null, to: number, digest: string): Unnumbered<LiveEntry> => ({
  kind: "live",
  txAt: 0,
  by: "rag_complete_job",
  document_id: DOCUMENT,
  from,
  to,
  digest,
});

const upload = (fields: Partial<Upload> = {}): Upload => ({
  jobId: JOB,
  documentId: DOCUMENT,
  version: 1,
  digest: "one",
  fate: "whole",
  cancelled: false,
  ...fields,
});
const row = (fields: Partial<Outcome["jobs"][number]> = {}): Outcome["jobs"][number] => ({
  id: JOB,
  document_id: DOCUMENT,
  status: "complete",
  attempts: 1,
  max_attempts: 5,
  error_code: null,
  error_detail: null,
  ...fields,
});
const outcomeOf = (fields: Partial<Outcome> = {}): Outcome => ({
  uploads: [upload()],
  jobs: [row()],
  documents: [{ id: DOCUMENT, live_generation: 1, live: [1], digest: "one" }],
  ...fields,
});
const whole = [
  inserted(),
  claimed("1", 1),
  written(),
  committed("1", standing("1")),
  wentLive(null, 1, "one"),
  completed("1"),
];

test("a job that was claimed, written and completed under one token breaks no rule", () => {
  expect(rulesOf(historyOf(...whole), outcomeOf())).toEqual([]);
});

test("a crash that is rescued after its lease, and charged, breaks no rule", () => {
  const history = historyOf(
    inserted(),
    claimed("1", 1),
    rescued(LEASE_MS + 1),
    claimed("2", 2, { txAt: LEASE_MS + 2 }),
    wentLive(null, 1, "one"),
    completed("2", { from_attempts: 2, to_attempts: 2 }),
  );

  expect(rulesOf(history, outcomeOf({ jobs: [row({ attempts: 2 })] }))).toEqual([]);
});

test("releases, orphans, resets by hand, cancels and requeues in their right charge break no rule", () => {
  const history = historyOf(
    inserted(),
    claimed("1", 1),
    ended("rag_release_job", "queued", "1", { to_attempts: 0 }),
    claimed("2", 1),
    ended("rag_keep_leases", "queued", "2", { acting_token: null, acting_worker: WORKER, to_attempts: 0 }),
    claimed("3", 1),
    job({
      from: "processing",
      to: "queued",
      from_token: "3",
      from_worker: WORKER,
      from_attempts: 1,
      to_attempts: 1,
    }),
    job({ by: "rag_cancel_jobs", to: "cancelled", from_attempts: 1, to_attempts: 1 }),
    job({ by: "rag_requeue_jobs", from: "cancelled", to: "queued", from_attempts: 1, to_attempts: 0 }),
    claimed("4", 1),
    wentLive(null, 1, "one"),
    completed("4"),
  );

  expect(rulesOf(history, outcomeOf())).toEqual([]);
});

test.each([
  ["completed by an older token", completed("2", { acting_token: "1", from_attempts: 2, to_attempts: 2 })],
  [
    "failed by an older token",
    ended("rag_fail_job", "failed", "2", { acting_token: "1", from_attempts: 2, to_attempts: 2 }),
  ],
  [
    "settled by an older token in a batch",
    ended("rag_settle_and_claim", "complete", "2", {
      acting_token: "1",
      transition: "complete",
      from_attempts: 2,
      to_attempts: 2,
    }),
  ],
  [
    "made complete by hand",
    completed("2", { by: null, acting_token: null, from_attempts: 2, to_attempts: 2 }),
  ],
  [
    "given back by another worker",
    ended("rag_retire_worker", "queued", "2", {
      acting_token: null,
      acting_worker: "other",
      from_attempts: 2,
    }),
  ],
  [
    "changed by a function that nobody knows",
    completed("2", { by: "rag_odd", from_attempts: 2, to_attempts: 2 }),
  ],
])("a job that is %s is a stale transition", (_name, last) => {
  const before = [inserted(), claimed("1", 1), rescued(LEASE_MS), claimed("2", 2, { txAt: LEASE_MS })];

  expect(rulesOf(historyOf(...before, last))).toEqual(["stale-transition"]);
});

test("a waiting job that is completed is a stale transition", () => {
  const history = historyOf(
    inserted(),
    job({ by: "rag_complete_job", acting_token: "1", from: "queued", to: "complete" }),
  );

  expect(rulesOf(history)).toEqual(["stale-transition"]);
});

test("a claim of a job that somebody holds is two at once", () => {
  const history = historyOf(
    inserted(),
    claimed("1", 1),
    claimed("2", 2, { from: "processing", from_token: "1", from_worker: WORKER }),
  );

  expect(rulesOf(history)).toEqual(["two-at-once"]);
});

test("a token that is given twice, or is lower than the one before, is two at once", () => {
  const given = [inserted(), claimed("5", 1), rescued(LEASE_MS, { from_token: "5" })];
  const other = { job_id: "job-2", document_id: "document-2" };

  expect(rulesOf(historyOf(...given, claimed("4", 2, { txAt: LEASE_MS })))).toEqual(["two-at-once"]);
  expect(rulesOf(historyOf(...given, inserted(other), claimed("5", 1, other)))).toEqual(["two-at-once"]);
});

test("two jobs of one document at work are two at once", () => {
  const other = { job_id: "job-2" };

  expect(rulesOf(historyOf(inserted(), inserted(other), claimed("1", 1), claimed("2", 1, other)))).toEqual([
    "two-at-once",
  ]);
});

test("a history in which a row changes between its entries is broken", () => {
  expect(rulesOf(historyOf(inserted(), claimed("1", 1), completed("2")))).toContain("broken-history");
});

test("a settlement that was answered with success without the row's token is stale; its echo and lease_lost are not", () => {
  const success = call("rag_complete_job", "1", "complete", standing("1"));
  const echo = call("rag_complete_job", "1", "complete", standing("1", { status: "complete" }));
  const repeated = call("rag_release_job", "2", "queued", standing("2"));
  const repeat = call("rag_release_job", "2", "queued", standing(null, { status: "queued" }));
  const stale = call("rag_complete_job", "3", "complete", standing("4"));
  const refused = call("rag_complete_job", "3", "lease_lost", standing("4"));

  expect(rulesOf(historyOf(success, echo, repeated, repeat, refused))).toEqual([]);
  expect(rulesOf(historyOf(stale))).toEqual(["stale-transition"]);
});

test("a generation begun, or chunks staged, without the row's token are stale, also the second time", () => {
  const stale = call("rag_stage_chunks", "1", "staged", standing("2"));

  expect(rulesOf(historyOf(stale, stale))).toEqual(["stale-chunk", "stale-chunk"]);
  expect(rulesOf(historyOf(call("rag_begin_generation", "1", "begun", null)))).toEqual(["stale-chunk"]);
});

test.each([
  ["by an older token", { standing: standing("2") }],
  ["while the job waits", { standing: standing(null, { status: "queued" as const }) }],
  ["without a lock on the job", { standing: standing("1", { ours: false }) }],
  ["into another generation", { standing: standing("1", { generation: 2 }) }],
  ["for no job", { standing: null, acting_token: null }],
  ["into what readers see", { live: true }],
])("chunks written %s are stale", (_name, fields) => {
  expect(rulesOf(historyOf(written(fields)))).toEqual(["stale-chunk"]);
});

test("chunks whose token was current when they were written and is not when they are committed are stale", () => {
  expect(rulesOf(historyOf(written(), committed("1", standing("2"))))).toEqual(["stale-chunk"]);
});

test("chunks that were copied are judged by how the row stood at their commit", () => {
  const copied = written({ by: "rag_open_copy", standing: standing("1", { ours: false }) });

  expect(rulesOf(historyOf(copied, committed("1", standing("1"))))).toEqual([]);
  expect(rulesOf(historyOf(copied, committed("1", standing("1", { ours: false }))))).toEqual(["stale-chunk"]);
  expect(rulesOf(historyOf(copied))).toEqual(["stale-chunk"]);
});

test("chunks that readers see and somebody deletes are told", () => {
  const gone = {
    kind: "gone",
    txAt: 0,
    by: "rag_collect_garbage",
    document_id: DOCUMENT,
    generation: 1,
    chunks: 3,
  } as const;

  expect(rulesOf(historyOf(gone))).toEqual(["wrong-live"]);
});

test.each([
  ["a claim that counts nothing", claimed("1", 1, { to_attempts: 0 })],
  ["a claim that counts twice", claimed("1", 1, { to_attempts: 2 })],
])("%s charges wrongly", (_name, claim) => {
  expect(rulesOf(historyOf(inserted(), claim))).toEqual(["wrong-attempts"]);
});

test.each([
  ["a release that keeps the attempt", ended("rag_release_job", "queued", "1")],
  ["a crash that gives it back", rescued(LEASE_MS, { to_attempts: 0 })],
  ["a crash that charges two", rescued(LEASE_MS, { to_attempts: 2 })],
  ["a retry that gives it back", ended("rag_retry_job", "queued", "1", { to_attempts: 0 })],
  ["a completion that changes it", completed("1", { to_attempts: 0 })],
])("%s charges wrongly", (_name, end) => {
  expect(rulesOf(historyOf(inserted(), claimed("1", 1), end))).toEqual(["wrong-attempts"]);
});

test("a rescue before the lease of the claim has run out is early", () => {
  expect(rulesOf(historyOf(inserted(), claimed("1", 1), rescued(LEASE_MS - 1)))).toEqual(["early-rescue"]);
});

test("a rescue from a worker whose sign of life the reaper could see is early, whatever the row said", () => {
  const history = historyOf(
    inserted(),
    claimed("1", 1),
    alive(false, 1500),
    rescued(3000, { alive_at: 1500 }),
  );

  expect(rulesOf(history)).toEqual(["early-rescue"]);
});

test("a worker whose session has ended may be robbed at once, one whose session is there may not", () => {
  const before = [alive(true), inserted(), claimed("1", 1)];

  expect(rulesOf(historyOf(...before, rescued(100)))).toEqual([]);
  expect(rulesOf(historyOf(...before, rescued(100, { watched: true })))).toEqual(["early-rescue"]);
  // Without a session ever seen, its absence says nothing.
  expect(rulesOf(historyOf(alive(false), inserted(), claimed("1", 1), rescued(100)))).toEqual([
    "early-rescue",
  ]);
});

test.each([
  ["whose row is gone", { jobs: [] }],
  ["that still waits", { jobs: [row({ status: "queued" })] }],
  ["that is still at work", { jobs: [row({ status: "processing" })] }],
  ["that was cancelled by nobody", { jobs: [row({ status: "cancelled" })] }],
  ["that failed and was whole", { jobs: [row({ status: "failed" })] }],
  ["that was poisoned and is complete", { uploads: [upload({ fate: "poison" })] }],
  [
    "that was poisoned and failed otherwise",
    { uploads: [upload({ fate: "poison" })], jobs: [row({ status: "failed", error_code: "job.stalled" })] },
  ],
  [
    "that was fragile and had attempts left",
    { uploads: [upload({ fate: "fragile" })], jobs: [row({ status: "failed" })] },
  ],
] as const)("a job %s is lost", (_name, fields) => {
  expect(rulesOf(historyOf(...whole), outcomeOf(fields))).toEqual(["lost-job"]);
});

test("a job may be cancelled by us or by a newer upload, fail when poisoned, spend its attempts when fragile", () => {
  const started = [inserted(), claimed("1", 1)];
  const documents = [{ id: DOCUMENT, live_generation: null, live: [], digest: null }];
  const rules = (
    fields: Partial<Upload>,
    last: Partial<Outcome["jobs"][number]>,
    more: readonly Upload[] = [],
  ) =>
    rulesOf(
      historyOf(...started),
      outcomeOf({
        documents,
        uploads: [upload(fields), ...more],
        jobs: [row(last), row({ id: "job-2", status: "failed", error_code: "embed.input-rejected" })],
      }),
    ).filter((rule) => rule === "lost-job");

  expect(rules({ cancelled: true }, { status: "cancelled" })).toEqual([]);
  expect(rules({ fate: "poison" }, { status: "failed", error_code: "embed.input-rejected" })).toEqual([]);
  expect(rules({ fate: "fragile" }, { status: "failed", attempts: 1, max_attempts: 1 })).toEqual([]);
  const newer = upload({ jobId: "job-2", version: 2, fate: "poison" });
  expect(rules({}, { status: "cancelled" }, [newer])).toEqual([]);
});

test("attempts at the end other than those of the history are told", () => {
  expect(rulesOf(historyOf(...whole), outcomeOf({ jobs: [row({ attempts: 3 })] }))).toEqual([
    "wrong-attempts",
  ]);
});

const twoVersions = {
  uploads: [upload(), upload({ jobId: "job-2", version: 2, digest: "two" })],
  jobs: [row(), row({ id: "job-2" })],
};
const second = { job_id: "job-2" };
const both = [
  ...whole,
  inserted(second),
  claimed("2", 1, second),
  wentLive(1, 2, "two"),
  completed("2", second),
];

test("a newer version after an older one is right; the older one after the newer is not", () => {
  const documents = [{ id: DOCUMENT, live_generation: 2, live: [2], digest: "two" }];

  expect(rulesOf(historyOf(...both), outcomeOf({ ...twoVersions, documents }))).toEqual([]);
  const back = [...both, wentLive(2, 3, "one")];
  const after = [{ id: DOCUMENT, live_generation: 3, live: [3], digest: "one" }];
  expect(rulesOf(historyOf(...back), outcomeOf({ ...twoVersions, documents: after }))).toEqual([
    "wrong-live",
    "wrong-live",
  ]);
});

test.each([
  ["a mix of versions", [{ id: DOCUMENT, live_generation: 2, live: [2], digest: "mix" }]],
  ["an older version than was completed", [{ id: DOCUMENT, live_generation: 2, live: [2], digest: "one" }]],
  ["nothing", [{ id: DOCUMENT, live_generation: null, live: [], digest: null }]],
  ["one of two live generations", [{ id: DOCUMENT, live_generation: 2, live: [1, 2], digest: "two" }]],
])("a document of which readers see %s is wrong", (_name, documents) => {
  expect(rulesOf(historyOf(...both), outcomeOf({ ...twoVersions, documents }))).toEqual(["wrong-live"]);
});

test("a switch to a lower generation, or to content that nobody uploaded, is wrong", () => {
  const switched = (last: Unnumbered<LiveEntry>) =>
    check(
      historyOf(...both, last),
      outcomeOf({
        ...twoVersions,
        documents: [{ id: DOCUMENT, live_generation: 2, live: [2], digest: "two" }],
      }),
      {
        leaseMs: LEASE_MS,
      },
    ).map((violation) => violation.says);

  expect(switched(wentLive(2, 1, "two"))).toEqual(["The live generation went from 2 to 1; it had been 2."]);
  expect(switched(wentLive(2, 3, "mix"))).toEqual(["Generation 3 is no version that was uploaded."]);
});
