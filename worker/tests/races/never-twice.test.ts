// What is paid for is paid once: counted at a stand-in provider, over crashes at every step, edits, renames, uploads
// that come again, and copies that two replicas have at the same time.
// RAG_TEST_CRASH_CHUNKS=10000 RAG_TEST_CRASH_POINTS=12 sweeps a larger document at fewer points.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openParts, type Parts } from "../../assemble.ts";
import { readConfig } from "../../config/config.ts";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import type { Job } from "../../document/lease.ts";
import type { Outcome } from "../../document/outcome.ts";
import { Failure } from "../../failure/failure.ts";
import { openLog } from "../../log/log.ts";
import { openEmbedding } from "../../pipeline/open-embedding.ts";
import { openPipeline } from "../../pipeline/run-job.ts";
import { readClaimed } from "../../queue/claim.ts";
import { transitionOf } from "../../queue/settle.ts";
import { randomFrom } from "../random.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { paragraphs, raceSettings } from "./worker-process.ts";

const CHUNKS = Number(process.env.RAG_TEST_CRASH_CHUNKS ?? 96);
const POINTS = Number(process.env.RAG_TEST_CRASH_POINTS ?? 1000);
const LONG = { timeout: 30 * 60_000 };

type Crash = { readonly atCall: number; readonly answerLost: boolean };

describeWith("postgres", "nothing is paid twice", () => {
  let database: FreshDatabase;
  let sql: Awaited<ReturnType<typeof openPostgresSession>>;
  let embedding: EmbeddingServer;
  let parts: Parts;

  beforeAll(async () => {
    database = await freshDatabase();
    sql = await openPostgresSession({ url: database.url });
    await migrate(sql);
    embedding = await startEmbeddingServer({ dimensions: 8 });
    parts = await open();
  });
  afterAll(async () => {
    await parts?.close();
    await embedding?.close();
    await sql?.close();
    await database?.drop();
  });
  beforeEach(async () => {
    await sql.query("delete from public.rag_ingestion_queue");
    await sql.query("delete from public.rag_documents");
    forget();
  });

  const open = (settings: Record<string, string> = {}) =>
    openParts(
      readConfig({
        ...raceSettings,
        DATABASE_URL: database.url,
        OPENAI_BASE_URL: embedding.baseUrl,
        ...settings,
      }),
      openLog({ level: "silent", terminal: false, secrets: [], destination: "stderr" }),
    );
  const forget = () => {
    embedding.seen.texts = 0;
    embedding.seen.distinct.clear();
  };
  const enqueue = async (request: Record<string, unknown>) =>
    (await parts.database.call("rag_enqueue", {
      p_request: { external_id: randomUUID(), max_attempts: 100, ...request },
    })) as { job_id: string; document_id: string };
  const claim = async (worker: string): Promise<Job> => {
    const answer = await parts.database.call("rag_claim_jobs", {
      p_worker: worker,
      p_slots: 1,
      p_kinds: ["document"],
      p_lease_seconds: 60,
    });
    const [job] = readClaimed(answer).jobs;
    if (job === undefined) throw new Error("nothing was ready");
    return job;
  };

  /**
   * One run of a job by a worker that dies at its n-th call of the database: how many `calls`, and for how many texts it
   * asked. A request that is on its way when the worker dies may reach the provider after that.
   */
  async function run(job: Job, crash: Crash | null, own: Parts = parts) {
    let calls = 0;
    let asks = 0;
    let dead = false;
    const embedder = await own.embedder();
    const { embed, close } = openEmbedding(embedder, own.config, {
      activity: own.activity,
      call: own.database.call,
      ledger: { admit() {}, add() {} },
      replica: "w",
    });
    const die = () => {
      dead = true;
      return new Failure("worker.stopping");
    };
    const asked = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
      calls += 1;
      if (dead) throw die();
      if (calls === crash?.atCall) {
        if (crash.answerLost) await ask();
        throw die();
      }
      return await ask();
    };
    const pipeline = openPipeline({
      call: (...call) => asked(() => own.database.call(...call)),
      stage: (...batch) => asked(() => own.database.stageChunks(...batch)),
      onBadChunk: "fail",
      activity: own.activity,
      fetch: async (document, signal) => (await own.sources()).fetch(document, signal),
      extract: (original, signal) => own.extractors().extract(original, signal),
      chunker: await own.chunker(),
      embedder,
      embed: async (tenantId, texts, signal) => {
        if (dead) throw die();
        asks += texts.length;
        return await embed(tenantId, texts, signal);
      },
      batches: null,
      analysis: null,
      store: { batch: own.config.embeddingBatch, inFlight: 6, mostChunks: 100_000 },
      stallMs: 60_000,
      relates: false,
      others: {},
    });
    const outcome: Outcome = await pipeline(job, new AbortController().signal);
    await close();
    return { calls, asks, outcome, dead };
  }
  const settle = async (job: Job, outcome: Outcome) => {
    if (outcome.kind === "lost") throw new Error("lost");
    const transition = transitionOf({ job, outcome, heldMs: 0, endedAt: 0 });
    return await parts.database.call("rag_settle_jobs", { p_settled: [transition] });
  };
  const whole = async (worker = "whole", own: Parts = parts) => {
    const job = await claim(worker);
    const ran = await run(job, null, own);
    expect(ran.outcome.kind).toBe("complete");
    await settle(job, ran.outcome);
    return ran;
  };
  const storedOf = async (documentId: string) => {
    const [row] = await sql.query(
      "select count(distinct embed_sha256)::integer as chunks from public.rag_document_chunks where document_id = $1",
      [documentId],
    );
    return Number(row?.chunks);
  };
  const ingest = async (request: Record<string, unknown>, own: Parts = parts) => {
    forget();
    const { document_id } = await enqueue(request);
    await whole("whole", own);
    return { documentId: document_id, sent: embedding.seen.texts };
  };

  test(
    `a crash at every step of a document of ${CHUNKS} chunks costs the texts that were under way, and no other`,
    LONG,
    async () => {
      await enqueue({ content: paragraphs(CHUNKS, "reference"), title: "reference" });
      const { calls } = await whole();
      const step = Math.max(1, Math.floor((2 * calls) / POINTS));
      let most = 0;
      for (let point = 0; point < 2 * calls; point += step) {
        const crash = { atCall: 1 + (point >> 1), answerLost: point % 2 === 1 };
        const { document_id } = await enqueue({
          content: paragraphs(CHUNKS, `${point}th`),
          title: `${point}`,
        });
        forget();
        const victim = await claim("victim");
        const died = await run(victim, crash);
        const underWay = died.asks - (await storedOf(document_id));
        // The queue may have held more batches than this run had calls; then it was complete.
        if (died.dead) {
          await sql.query(
            "update public.rag_ingestion_queue set lease_expires_at = now() - interval '1 minute' where id = $1",
            [victim.id],
          );
          await sql.query("delete from public.rag_workers where worker_id = 'victim'");
          await parts.database.call("rag_reap", { p_limit: 10 });
          await sql.query(
            "update public.rag_ingestion_queue set run_at = now() - interval '1 s' where status = 'queued'",
          );
          await whole("rescuer");
        } else await settle(victim, died.outcome);

        const twice = embedding.seen.texts - embedding.seen.distinct.size;
        most = Math.max(most, twice);
        expect(embedding.seen.distinct.size, `at ${JSON.stringify(crash)}`).toBe(CHUNKS);
        expect(twice, `at ${JSON.stringify(crash)}`).toBeLessThanOrEqual(underWay);
        expect(underWay).toBeLessThanOrEqual(6 * parts.config.embeddingBatch);
        const live = await sql.query("select 1 from public.rag_live_chunks where document_id = $1", [
          document_id,
        ]);
        expect(live).toHaveLength(CHUNKS);
      }
      if (CHUNKS > 1000) process.stderr.write(`${calls} calls, at most ${most} texts twice\n`);
    },
  );

  const { fraction: random } = randomFrom(11);
  const prose = (sentences: number) =>
    Array.from({ length: sentences }, () => {
      const words = Array.from({ length: 6 + Math.floor(random() * 18) }, () =>
        Math.floor(random() * 1e6).toString(36),
      );
      return `${words.join(" ")}.`;
    }).join(" ");

  test("the edit of one paragraph in a document of 1,000 chunks sends 3 texts at most", LONG, async () => {
    const own = await open({ RAG_EMBEDDING_CHAR_LIMIT: "600" });
    try {
      const text = Array.from({ length: 1700 }, () => prose(1 + Math.floor(random() * 4)));
      const first = await ingest({ content: text.join("\n\n"), external_id: "book" }, own);
      expect(first.sent).toBeGreaterThan(1000);
      const edits: ((paragraph: string) => string)[] = [
        (paragraph) => `${paragraph} ${prose(1)}`,
        (paragraph) => paragraph.replace(/^\S+ \S+ /, ""),
        () => prose(2),
        (paragraph) => paragraph.slice(0, paragraph.indexOf(".") + 1),
      ];
      for (const [at, edit] of [...edits, ...edits, ...edits].entries()) {
        const place = Math.floor(((at + 0.5) / 12) * text.length);
        text[place] = edit(text[place] ?? "");
        const { sent, documentId } = await ingest({ content: text.join("\n\n"), external_id: "book" }, own);
        expect(documentId).toBe(first.documentId);
        expect(sent, `edit ${at}`).toBeLessThanOrEqual(3);
      }
    } finally {
      await own.close();
    }
  });

  test("another name, another upload of the same bytes and a copy in another document send none", async () => {
    const content = paragraphs(40, "same");
    const first = await ingest({ content, external_id: "one", title: "First name" });
    expect(first.sent).toBe(40);

    expect(await ingest({ content, external_id: "one", title: "Second name" })).toMatchObject({ sent: 0 });
    expect(await ingest({ content, external_id: "one" })).toMatchObject({ sent: 0 });
    expect(await ingest({ content, external_id: "copy", tenant_id: "other" })).toMatchObject({ sent: 0 });
  });

  test("the same content in two replicas at once is sent by one of them, and the other waits for its vectors", async () => {
    const content = paragraphs(200, "shared");
    await enqueue({ content, external_id: "one" });
    await enqueue({ content, external_id: "two" });
    forget();
    const [one, two] = [await claim("replica-one"), await claim("replica-two")];
    // Already begun: the other asks while texts are under way.
    const first = run(one, null);
    await embedding.nextRequest();
    const second = await run(two, null);

    expect(second.outcome).toMatchObject({ kind: "release", failure: { code: "embed.same-content" } });
    await settle(one, (await first).outcome);
    await settle(two, second.outcome);
    await sql.query(
      "update public.rag_ingestion_queue set run_at = now() - interval '1 s' where status = 'queued'",
    );
    await whole("replica-two");
    expect(embedding.seen.texts).toBe(200);
  });
});
