// A transcript of 200 segments, analysed by real workers that are killed in the middle of it: each segment is analysed
// once, by the count of a stand-in for Claude, and what is booked is what the stand-in says it cost.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type ClaudeServer, startClaudeServer } from "../stand-ins/claude.ts";
import { prefixOf } from "../stand-ins/claude-answers.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { endAll, startWorkerProcess, type WorkerProcess } from "./worker-process.ts";

const SEGMENTS = 200;
const MODEL = "claude-haiku-5-5";
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

describeWith("postgres", "an analysis that is interrupted", () => {
  let database: FreshDatabase;
  let sql: Awaited<ReturnType<typeof openPostgresSession>>;
  let embedding: EmbeddingServer;
  let claude: ClaudeServer;
  const workers: WorkerProcess[] = [];

  beforeEach(async () => {
    database = await freshDatabase();
    sql = await openPostgresSession({ url: database.url });
    await migrate(sql);
    embedding = await startEmbeddingServer({ dimensions: 8 });
    claude = await startClaudeServer();
  });
  afterEach(async () => {
    await endAll(workers.splice(0));
    await claude?.close();
    await embedding?.close();
    await sql?.close();
    await database?.drop();
  });

  const start = (id: string, environment: Record<string, string> = {}): WorkerProcess => {
    const worker = startWorkerProcess({
      databaseUrl: database.url,
      embeddingUrl: embedding.baseUrl,
      id,
      environment: {
        RAG_ENABLE_CLAUDE_ANALYSIS: "true",
        ANTHROPIC_API_KEY: "sk-ant-test",
        ANTHROPIC_BASE_URL: claude.baseUrl,
        ...environment,
      },
    });
    workers.push(worker);
    return worker;
  };
  const kill = async (worker: WorkerProcess) => {
    worker.signal("SIGKILL");
    await worker.ended;
    await vi.waitFor(() => expect(claude.inFlight()).toBe(0), { timeout: 10_000 });
  };
  const numberOf = async (statement: string) => Number((await sql.query(statement))[0]?.n);
  const stored = () =>
    numberOf(`select (select count(*) from public.rag_segment_analyses)
      + (select count(*) from public.rag_document_analyses) as n`);

  async function enqueueTranscript(): Promise<string> {
    const [document] = await sql.query(
      "insert into public.rag_documents (kind, title, version) values ('transcript', 'Weekly sync', 'H-1') returning id",
    );
    await sql.query(
      `insert into public.rag_segments (document_id, seq, speaker, started_ms, ended_ms, content)
       select $1::uuid, s, 'Speaker ' || s % 3, s * 1000, s * 1000 + 900,
         'Utterance ' || s || ' is about matter ' || s * 7 || repeat(' and what follows from it for all of us', 7)
       from generate_series(1, ${SEGMENTS}) s`,
      [document?.id],
    );
    await sql.query("insert into public.rag_ingestion_queue (document_id) values ($1)", [document?.id]);
    return String(document?.id);
  }

  async function expectPaidOnce(documentId: string): Promise<void> {
    expect([...claude.analysed.keys()].toSorted((one, other) => one - other)).toEqual(
      Array.from({ length: SEGMENTS }, (_, at) => at + 1),
    );
    expect(new Set(claude.analysed.values())).toEqual(new Set([1]));
    const [booked] = await sql.query(
      "select sum(cost_usd)::float8 as usd, sum(tokens)::float8 as tokens from public.rag_costs where model = $1",
      [MODEL],
    );
    expect(Number(booked?.usd)).toBeCloseTo(claude.costUsd(), 6);
    const [job] = await sql.query("select status, cost_usd::float8 as usd from public.rag_ingestion_queue");
    expect(job?.status).toBe("complete");
    expect(Number(job?.usd)).toBeCloseTo(claude.costUsd(), 6);
    const [covered] = await sql.query(
      `select count(distinct s)::integer as n, count(*)::integer as all
       from public.rag_segment_analyses a, generate_series(a.segment_from, a.segment_to) s
       where a.document_id = $1 and a.error_code is null`,
      [documentId],
    );
    expect(covered).toEqual({ n: SEGMENTS, all: SEGMENTS });
    const [live] = await sql.query(
      "select title, groups, failed_groups from public.rag_live_analyses where document_id = $1",
      [documentId],
    );
    expect(live).toMatchObject({ title: expect.stringMatching(/^Title /), failed_groups: 0 });
    expect(Number(live?.groups)).toBeGreaterThan(8);
  }

  test("asked at once, and killed twice: what was answered is never asked again", async () => {
    const documentId = await enqueueTranscript();
    let answered = 0;
    for (const [id, answers] of [
      ["first", 4],
      ["second", 5],
    ] as const) {
      claude.release();
      claude.holdAfter(answers);
      const worker = start(id);
      answered += answers;
      await vi.waitFor(
        async () => {
          expect(claude.usage).toHaveLength(answered);
          expect(await stored()).toBe(answered);
          expect(claude.inFlight()).toBeGreaterThan(0);
        },
        { timeout: 60_000, interval: 50 },
      );
      await kill(worker);
    }
    claude.release();
    await start("third").line("job complete");

    await expectPaidOnce(documentId);
    // One of the first run's, and one for each run that came after, was in no cache.
    expect(claude.usage.filter((use) => use.cache_read_input_tokens === 0).length).toBeLessThanOrEqual(3);
  });

  test("a segment that no prompt can hold is recorded, and a document of several prompts is told of by its parts", async () => {
    const [document] = await sql.query(
      "insert into public.rag_documents (kind, title, version) values ('transcript', 'Long', 'H-2') returning id",
    );
    await sql.query(
      `insert into public.rag_segments (document_id, seq, speaker, content)
       select $1::uuid, s, 'Ada', case when s = 3 then repeat('endless talk ', 8000)
         else 'Utterance ' || s || repeat(' and so on and on', 200) end
       from generate_series(1, 60) s`,
      [document?.id],
    );
    await sql.query("insert into public.rag_ingestion_queue (document_id) values ($1)", [document?.id]);

    await start("alone").line("job complete");

    const rows = await sql.query(
      "select segment_from, segment_to from public.rag_segment_analyses where error_code = 'analyse.too-long'",
    );
    expect(rows).toEqual([{ segment_from: 3, segment_to: 3 }]);
    const [live] = await sql.query("select title, failed_groups from public.rag_live_analyses");
    expect(live).toMatchObject({ title: expect.stringMatching(/^Title /), failed_groups: 1 });
    const prefixes = new Set(claude.requests.map(prefixOf));
    // Three windows, and the summaries of all groups.
    expect(prefixes.size).toBe(4);
    expect(
      [...prefixes].filter((prefix) => prefix.includes("Summaries of the document's parts")),
    ).toHaveLength(1);
    expect(claude.analysed.size).toBe(59);
  });

  test("in a batch, and killed while questions wait and between the provider's yes and our note of it", async () => {
    const documentId = await enqueueTranscript();
    const batch = { RAG_CLAUDE_MODE: "batch" };
    const first = start("first", batch);
    await vi.waitFor(
      async () =>
        expect(
          await numberOf(
            "select count(*) as n from public.rag_ingestion_queue where status = 'queued' and error_code = 'analyse.batch-pending'",
          ),
        ).toBe(1),
      { timeout: 60_000, interval: 100 },
    );
    await kill(first);
    // What waits is old enough for a batch, and nobody has the turn.
    const passTime = async () => {
      await sql.query("update public.rag_analysis_requests set updated_at = now() - interval '5 minutes'");
      await sql.query("update public.rag_llm_turns set until = now() - interval '1 second'");
    };
    await passTime();
    claude.batches.swallowNextAnswer();
    const second = start("second", batch);
    await vi.waitFor(() => expect(claude.batches.all).toHaveLength(1), { timeout: 60_000 });
    await kill(second);
    await passTime();
    claude.batches.end();
    await start("third", batch).line("job complete");

    expect(claude.batches.all).toHaveLength(1);
    expect(claude.requests).toHaveLength(0);
    await expectPaidOnce(documentId);
  });
});
