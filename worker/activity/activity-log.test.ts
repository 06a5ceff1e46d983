import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { type ActivityLog, type ActivityLogOptions, openActivityLog } from "./activity-log.ts";
import type { LogEntry } from "./log-entry.ts";

type Row = Readonly<Record<string, unknown>>;

let folder: string;
let opened: ActivityLog[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-activity-"));
  opened = [];
});
afterEach(async () => {
  await Promise.all(opened.map((log) => log.close()));
  await rm(folder, { recursive: true });
});

/** A database as the log meets it: takes batches, or refuses as it is told. */
function database() {
  const batches: Row[][] = [];
  const state = { refuse: (_: readonly Row[]): Failure | null => null, hold: Promise.resolve() };
  let most = 0;
  let under = 0;
  const call: SqlCall = async (_, args) => {
    const rows = args.p_rows as Row[];
    under += 1;
    most = Math.max(most, under);
    await state.hold;
    under -= 1;
    const refused = state.refuse(rows);
    if (refused !== null) throw refused;
    batches.push(rows);
    return { stored: rows.length };
  };
  return { call, batches, state, most: () => most, rows: () => batches.flat() };
}

function open(call: SqlCall, options: Partial<ActivityLogOptions> = {}): ActivityLog {
  const log = openActivityLog({ call, spillFolder: join(folder, "spill"), patienceMs: 5, ...options });
  opened.push(log);
  return log;
}

const entry = (at: number, fields: Partial<LogEntry> = {}): LogEntry => ({
  activityType: "message_sent",
  tokenCount: at,
  ...fields,
});
const away = () => new Failure("database.unreachable");

test("entries go out in batches, and few of them after a moment of patience", async () => {
  const db = database();
  const log = open(db.call, { batch: 3 });

  for (let at = 0; at < 7; at += 1) expect(log.log(entry(at))).toBe(true);
  await vi.waitFor(() => expect(db.rows()).toHaveLength(7));

  expect(db.batches.map((batch) => batch.length)).toEqual([3, 3, 1]);
  expect(log.figures()).toEqual({ queue_length: 0, queue_full: false, dropped: 0, stored: 7, spilled: 0 });
});

test("no more writers are at work at once than are allowed", async () => {
  const db = database();
  const gate = Promise.withResolvers<void>();
  db.state.hold = gate.promise;
  const log = open(db.call, { batch: 1, writers: 2 });

  for (let at = 0; at < 5; at += 1) log.log(entry(at));
  await vi.waitFor(() => expect(db.most()).toBe(2));
  gate.resolve();
  await log.flush();

  expect(db.most()).toBe(2);
  expect(db.rows()).toHaveLength(5);
});

test("a full queue drops and counts, logAsync waits for room instead", async () => {
  const db = database();
  const gate = Promise.withResolvers<void>();
  db.state.hold = gate.promise;
  const log = open(db.call, { batch: 2, writers: 1, queueLimit: 4 });

  const taken = Array.from({ length: 8 }, (_, at) => log.log(entry(at)));
  const waiting = log.logAsync(entry(99));
  expect(taken.filter(Boolean)).toHaveLength(6);
  expect(log.figures()).toMatchObject({ queue_length: 4, queue_full: true, dropped: 2 });
  gate.resolve();
  await waiting;
  await log.flush();

  expect(db.rows().map((row) => row.token_count)).toEqual([0, 1, 2, 3, 4, 5, 99]);
});

test("long contents fill the queue too, so that memory stays bounded", async () => {
  const db = database();
  db.state.hold = Promise.withResolvers<void>().promise;
  const log = openActivityLog({ call: db.call, spillFolder: null, batch: 10_000 });

  let taken = 0;
  while (log.log(entry(0, { messageContent: "x".repeat(1_000_000) }))) taken += 1;

  expect(taken).toBeLessThan(40);
});

test("text that no database takes is mended, and values of the wrong sort become null", async () => {
  const db = database();
  const log = open(db.call);

  log.log(
    entry(Number.NaN, {
      messageContent: "a\0b\ud800",
      documentId: "not an id",
      similarityScore: Number.POSITIVE_INFINITY,
      metadata: { "k\0": "v\0" },
    }),
  );
  await log.flush();

  expect(db.rows()).toMatchObject([
    {
      message_content: "ab\ufffd",
      document_id: null,
      similarity_score: null,
      token_count: null,
      metadata: { k: "v" },
    },
  ]);
});

describe("a database that fails", () => {
  test("is asked again, with the same rows under the same ids", async () => {
    const db = database();
    const sent: unknown[] = [];
    db.state.refuse = (rows) => {
      sent.push(rows.map((row) => row.log_id));
      return sent.length === 1 ? away() : null;
    };
    const log = open(db.call);

    log.log(entry(1));
    await vi.waitFor(() => expect(db.rows()).toHaveLength(1));

    expect(sent[1]).toEqual(sent[0]);
    expect(log.figures()).toMatchObject({ stored: 1, dropped: 0, spilled: 0 });
  });

  test("leaves its rows in a file, and gets them when it is back, with their age", async () => {
    const db = database();
    db.state.refuse = away;
    const log = open(db.call);
    log.log(entry(1, { messageContent: "kept" }));
    await log.close();
    expect(log.figures()).toMatchObject({ stored: 0, dropped: 0, spilled: 1 });
    // As if its process had died: the next one takes the file over.
    const [file = ""] = await readdir(join(folder, "spill"));
    const left = await readFile(join(folder, "spill", file));
    await rm(join(folder, "spill", file));
    await writeFile(join(folder, "spill", file.replace(/^\d+/, "999999999")), left);

    db.state.refuse = () => null;
    const next = open(db.call);
    await vi.waitFor(() => expect(db.rows()).toHaveLength(1));

    expect(db.rows()).toMatchObject([{ message_content: "kept", age_ms: expect.any(Number) }]);
    await vi.waitFor(async () => expect(await readdir(join(folder, "spill"))).toEqual([]));
    expect(next.figures().stored).toBe(1);
  });

  test("that is back while we run gets what was spilled without a restart", async () => {
    const db = database();
    db.state.refuse = away;
    const log = open(db.call, { batch: 1 });
    log.log(entry(1));
    await vi.waitFor(() => expect(log.figures().spilled).toBe(1), { timeout: 10_000 });

    db.state.refuse = () => null;
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 10_000);
    log.log(entry(2));
    await vi.waitFor(() => expect(db.rows().map((row) => row.token_count)).toEqual([2, 1]));
    vi.restoreAllMocks();

    expect(log.figures()).toMatchObject({ stored: 2, dropped: 0 });
  });

  test("a file that is full drops and counts", async () => {
    const db = database();
    db.state.refuse = away;
    const log = open(db.call, { batch: 1, spillBytes: 700 });

    for (let at = 0; at < 3; at += 1) log.log(entry(at));
    await log.close();

    expect(log.figures()).toMatchObject({ spilled: 1, dropped: 2 });
  });

  test("a line that a crash cut short costs only itself", async () => {
    const db = database();
    const row = { log_id: "00000000-0000-7000-8000-000000000000", at: Date.now(), token_count: 7 };
    const spill = join(folder, "spill");
    db.state.refuse = away;
    const log = open(db.call);
    log.log(entry(1));
    await log.close();
    const [file = ""] = await readdir(spill);
    await rm(join(spill, file));
    await writeFile(join(spill, "999999999-ab.activity"), `${JSON.stringify([row])}\n[{"log_id":"0`);

    db.state.refuse = () => null;
    open(db.call);

    await vi.waitFor(() => expect(db.rows().map((stored) => stored.token_count)).toEqual([7]));
    await vi.waitFor(async () => expect(await readdir(spill)).toEqual([]));
  });
});

test("a row that no database will ever take costs only itself", async () => {
  const db = database();
  db.state.refuse = (rows) =>
    rows.some((row) => row.token_count === 3) ? new Failure("database.rejected") : null;
  const log = open(db.call, { batch: 8 });

  for (let at = 0; at < 8; at += 1) log.log(entry(at));
  await log.flush();

  expect(db.rows().map((row) => row.token_count)).toEqual([0, 1, 2, 4, 5, 6, 7]);
  expect(log.figures()).toMatchObject({ stored: 7, dropped: 1, spilled: 0 });
});

test("a closed log refuses and counts", async () => {
  const db = database();
  const log = open(db.call);
  await log.close();
  await log.close();

  expect(log.log(entry(1))).toBe(false);
  expect(log.figures().dropped).toBe(1);
});
