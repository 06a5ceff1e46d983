// The operator's day at the command line: choose, count, ask, act; and every mistake a sentence.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type Ended, openWorld, type RagWorld } from "./rag-process.ts";

const NOBODY = "00000000-0000-4000-8000-00000000dead";

type Opened = { readonly world: RagWorld; readonly settings: Record<string, string> };

const commandOf =
  (open: () => Opened) =>
  (...args: string[]): Promise<Ended> =>
    open().world.rag(args, open().settings);

/** A job of a small file of this tenant; answers its id. */
async function ingest(open: () => Opened, name: string, tenant: string): Promise<string> {
  const rag = commandOf(open);
  await writeFile(join(open().world.folder, name), `Words of ${name} about ladders.\n`);
  const { code, err } = await rag("ingest", name, "--tenant", tenant);
  expect(code, err).toBe(0);
  const [job] = (await rag("jobs", "--tenant", tenant, "--limit", "1", "--json")).records;
  return String(job?.id);
}

/** The same on every database; the rest of the day is the database's functions, whose contract suite runs on all. */
function pausing(open: () => Opened): void {
  const rag = commandOf(open);

  test(
    "pause, see why jobs wait, resume; a pause that is not there is told",
    { timeout: 200_000 },
    async () => {
      const id = await ingest(open, "pause.md", "acme");

      const unasked = await rag("pause", "--tenant", "acme", "--json");
      const paused = await rag("pause", "--tenant", "acme", "--reason", "moving house", "--yes", "--json");
      const job = await rag("job", id.slice(0, 8));
      const listed = await rag("jobs", "--waits", "pause", "--json");
      const status = await rag("status");
      const wrong = await rag("resume", "--tenant", "acne", "--yes");
      const resumed = await rag("resume", "--tenant", "acme", "--yes", "--json");
      const again = await rag("resume", "--tenant", "acme", "--yes");

      expect(unasked.code).toBe(2);
      expect(unasked.records).toMatchObject([
        { error: { code: "usage.invalid", message: expect.stringContaining("(1 job waiting") } },
      ]);
      expect(paused.records, paused.err).toMatchObject([
        { scope: "tenant", name: "acme", was_paused: false, waiting: 1 },
      ]);
      expect(job.out).toMatch(
        /Waits for {2}the end of the pause of tenant acme since .*: moving house, by \S+/,
      );
      expect(listed.records).toMatchObject([{ id, waits_for: expect.stringContaining("moving house") }]);
      expect(status.out).toMatch(/^Paused +tenant acme for .*moving house.*rag resume --tenant acme/m);
      expect(status.out).toMatch(/^Waiting +1 for the end of a pause$/m);
      expect(wrong).toMatchObject({
        code: 1,
        err: expect.stringContaining("There is no pause of tenant acne."),
      });
      expect(wrong.err).toContain("Still paused: tenant acme");
      expect(resumed.records).toEqual([{ scope: "tenant", name: "acme", resumed: 1, waiting: 1 }]);
      expect(again.code).toBe(1);
      await rag("cancel", id);
    },
  );
}

describe("an operator on the embedded database", () => {
  let world: RagWorld;
  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world.close());

  pausing(() => ({ world, settings: {} }));

  test("a misspelt setting is told with the one that was meant, and changes nothing", async () => {
    const settings = { RAG_JOB_CONCURENCY: "64" };

    const status = await world.rag(["status", "--json"], settings);
    const doctor = await world.rag(["doctor", "--json"], settings);

    expect(status.code).toBe(0);
    expect(status.records).toHaveLength(1);
    expect(status.err).toContain('"nearest":"RAG_JOB_CONCURRENCY"');
    expect(doctor.records).toContainEqual(
      expect.objectContaining({
        check: "settings",
        status: "yellow",
        advice: expect.stringContaining("Was RAG_JOB_CONCURRENCY meant?"),
      }),
    );
  });

  test.each([
    [["pause", "--kind", "documents", "--yes"], "Allowed choices are document, reembed, relationships, sync"],
    [["pause", "--kind", "sync", "--tenant", "a"], "cannot be used with option"],
    [["resume", "everything"], "too many arguments"],
    [["prune", "--status", "queued"], "Only jobs that have ended are pruned"],
    [["prune", "--older-than", "soon"], "a time such as 90s, 15m, 2h, 30d or 2w"],
    [["jobs", "--waits", "godot"], 'There is no reason to wait "godot".'],
    [["jobs", "--document", "1234"], "a document's whole id"],
    [["cancel"], "Say which jobs: by id, or by --status"],
    [["cancel", "--yes", "--json"], "Say which jobs"],
    [["retry", "--statsu", "failed"], "Did you mean --status?"],
  ])("rag %j is told in a sentence and ends with 2", async (args, sentence) => {
    const { code, err } = await world.rag(args);

    expect(code).toBe(2);
    expect(err).toContain(sentence);
    expect(err).not.toContain("    at ");
  });

  test("with --json a wrong usage is a line on stdout too, for scripts", async () => {
    const { code, records } = await world.rag(["jobs", "--statsu", "failed", "--json"]);

    expect(code).toBe(2);
    expect(records).toEqual([
      { error: { code: "usage.invalid", message: expect.stringContaining("unknown option '--statsu'") } },
    ]);
  });

  test("an overlap as large as the chunk is refused before anything is read", async () => {
    const { code, err } = await world.rag(["extract", "x.md"], {
      RAG_CHUNK_TOKENS: "64",
      RAG_CHUNK_OVERLAP_TOKENS: "80",
    });

    expect(code).toBe(2);
    expect(err).toContain("RAG_CHUNK_OVERLAP_TOKENS (80) must be less than RAG_CHUNK_TOKENS (64)");
  });
});

describeWith(["postgres", "pgbouncer"], "an operator on Postgres", () => {
  let world: RagWorld;
  let database: FreshDatabase;
  let sql: postgres.Sql;
  beforeAll(async () => {
    [world, database] = await Promise.all([openWorld(), freshDatabase()]);
    sql = postgres(database.url, { max: 2, onnotice: () => {} });
    const migrated = await world.rag(["migrate"], { DATABASE_URL: database.url });
    expect(migrated.code, migrated.err).toBe(0);
  });
  afterAll(async () => {
    await sql.end();
    await world.close();
    await database.drop();
  });
  beforeEach(async () => {
    await sql`delete from rag_documents`;
  });

  const open = () => ({ world, settings: { DATABASE_URL: database.url } });
  const rag = commandOf(open);

  pausing(open);

  test(
    "cancel and retry: by filter with a count, by id with the unknown ones told",
    { timeout: 200_000 },
    async () => {
      const id = await ingest(open, "cancel.md", "beta");

      const dry = await rag("cancel", "--tenant", "beta", "--dry-run", "--json");
      const mixed = await rag("cancel", id, NOBODY, "--json");
      const unknown = await rag("retry", NOBODY);
      const prefix = await rag("cancel", id.slice(0, 2));
      const retried = await rag("retry", "--tenant", "beta", "--status", "cancelled", "--yes", "--json");
      const job = (await rag("job", id, "--json")).records[0];

      expect(dry.records, dry.err).toEqual([{ would_cancel: 1 }]);
      expect(mixed).toMatchObject({ code: 1, err: expect.stringContaining(`No job has the id ${NOBODY}`) });
      expect(mixed.records).toEqual([{ cancelled: 1, unknown: [NOBODY] }]);
      expect(unknown).toMatchObject({ code: 1, err: expect.stringContaining(`No job has the id ${NOBODY}`) });
      expect(prefix).toMatchObject({
        code: 2,
        err: expect.stringContaining("at least the first four digits"),
      });
      expect(retried.records).toEqual([{ requeued: 1 }]);
      expect(job).toMatchObject({ status: "queued", error_code: null, attempts: 0 });
      await rag("cancel", id);
    },
  );

  test(
    "prune takes what has ended, never what waits, and forgets no document",
    { timeout: 200_000 },
    async () => {
      const waiting = await ingest(open, "waits.md", "gamma");
      const ended = await ingest(open, "ended.md", "gamma");
      await rag("cancel", ended);

      const young = await rag("prune", "--tenant", "gamma", "--yes", "--json");
      const dry = await rag("prune", "--tenant", "gamma", "--older-than", "0s", "--dry-run", "--json");
      const unasked = await rag("prune", "--tenant", "gamma", "--older-than", "0s");
      const byId = await rag("prune", waiting, "--yes");
      const pruned = await rag("prune", "--tenant", "gamma", "--older-than", "0s", "--yes", "--json");
      const gone = await rag("job", ended);

      expect(young.records, young.err).toEqual([{ pruned: 0 }]);
      expect(dry.records).toEqual([{ would_prune: 1 }]);
      expect(unasked).toMatchObject({
        code: 2,
        err: expect.stringContaining("Delete 1 finished job? Nobody can answer here: add --yes."),
      });
      expect(byId).toMatchObject({ code: 1, err: expect.stringContaining("have not ended") });
      expect(pruned.records).toEqual([{ pruned: 1 }]);
      expect(gone).toMatchObject({ code: 1, err: expect.stringContaining(`No job has the id ${ended}`) });
      expect((await rag("jobs", "--tenant", "gamma", "--json")).records).toMatchObject([{ id: waiting }]);
      await rag("cancel", waiting);
    },
  );

  test("reset-stuck on a queue without stuck jobs says so, and refuses to rob the living", async () => {
    const [none, eager] = [
      await rag("reset-stuck", "--json"),
      await rag("reset-stuck", "--older-than", "10s"),
    ];

    expect(none.records, none.err).toEqual([{ reset: 0 }]);
    expect(eager).toMatchObject({ code: 2, err: expect.stringContaining("180 seconds or more") });
    expect(eager.err).not.toContain("    at ");
  });

  test("a job of a killed worker is shown with who held it, and goes back", async () => {
    await sql`select rag_enqueue('{"external_id": "a", "content": "Words."}')`;
    await sql`select rag_claim_jobs('dead-worker', 1, array['document'], 60)`;
    await sql`update rag_ingestion_queue set lease_expires_at = now() - interval '1 minute'`;
    await sql`update rag_workers set alive_until = now() - interval '1 minute'`;
    const settings = { DATABASE_URL: database.url };

    const dry = await world.rag(["reset-stuck", "--dry-run"], settings);
    const unasked = await world.rag(["reset-stuck"], settings);
    const [untouched] = await sql`select status from rag_ingestion_queue`;
    const done = await world.rag(["reset-stuck", "--yes", "--json"], settings);

    expect(dry.out).toMatch(/^[0-9a-f]{8} .* dead-worker$/m);
    expect(unasked).toMatchObject({
      code: 2,
      err: expect.stringContaining("Put 1 job back into the queue?"),
    });
    expect(untouched?.status).toBe("processing");
    expect(done.records, done.err).toEqual([{ reset: 1 }]);
  });

  test("status and doctor name the session that holds vacuum back", async () => {
    const reserved = await sql.reserve();
    const settings = { DATABASE_URL: database.url };
    try {
      await reserved`begin isolation level repeatable read`;
      const [holder] = await reserved`select pg_backend_pid() as pid`;

      const status = await world.rag(["status", "--json"], settings);
      const doctor = await world.rag(["doctor", "--json"], settings);

      expect(status.records, status.err).toMatchObject([
        {
          oldest_snapshot: { kind: "session", pid: holder?.pid, state: "idle in transaction" },
          dead_rows: expect.any(Number),
        },
      ]);
      expect(doctor.records).toContainEqual(
        expect.objectContaining({
          check: "vacuum",
          status: "green",
          says: expect.stringContaining(`Session ${holder?.pid}`),
        }),
      );
    } finally {
      await reserved`rollback`;
      reserved.release();
    }
  });
});
