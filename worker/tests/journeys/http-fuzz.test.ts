// Everything that can be asked over HTTP, asked wrongly: a real worker on a real Postgres, requests made from a seed.
// RAG_FUZZ_SECONDS asks for longer, RAG_FUZZ_SEED repeats a run.
import { randomInt } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { migrate } from "../../database/migrate.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { type EmbeddingServer, startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { SOME_ID } from "./http-bodies.ts";
import { type Asking, anyRequest, mutatingPaths, readPaths } from "./http-requests.ts";
import { openWorld, type RagWorld, type RunningRag } from "./rag-process.ts";

const TOKEN = "canary-fuzz-token";
const SECONDS = Number(process.env.RAG_FUZZ_SECONDS ?? 12);
const SEED = Number(process.env.RAG_FUZZ_SEED ?? randomInt(2 ** 31));
// Nothing is answered later than this, but what is asked of the provider.
const ANSWER_MS = 30_000;
const PATIENCE = { timeout: 50_000, interval: 200 };
// What tells that a program spoke and not the product.
const INNARDS =
  /\bat .{1,200}\.(ts|js|mjs):\d+|node_modules|\/worker\/|SQLSTATE|select .* from|PostgresError|TypeError/;

vi.setConfig({ testTimeout: SECONDS * 1000 + 180_000, hookTimeout: 120_000 });

describeWith("postgres", "the HTTP surface", () => {
  let world: RagWorld;
  let database: FreshDatabase;
  let sql: Awaited<ReturnType<typeof openPostgresSession>>;
  let provider: EmbeddingServer;
  let worker: RunningRag;
  let url: string;

  beforeAll(async () => {
    [world, database, provider] = await Promise.all([
      openWorld(),
      freshDatabase(),
      startEmbeddingServer({ dimensions: 8 }),
    ]);
    sql = await openPostgresSession({ url: database.url });
    await migrate(sql);
    const settings = {
      DATABASE_URL: database.url,
      OPENAI_API_KEY: "canary-fuzz-key",
      OPENAI_BASE_URL: provider.baseUrl,
      RAG_EMBEDDING_MODEL: "stand-in",
      RAG_EMBEDDING_DIMENSIONS: "8",
      SUPABASE_JWT_SECRET: "canary-fuzz-jwt-secret-of-thirty-two-characters",
      RAG_GATEWAY: "true",
      RAG_HTTP_TOKEN: TOKEN,
      RAG_HTTP_HOST: "127.0.0.1",
      PORT: "0",
    };
    worker = world.start(["worker"], settings, SECONDS * 1000 + 240_000);
    url = await vi.waitFor(() => {
      const found = /"http":"([^"]+)"/.exec(worker.output())?.[1];
      expect(found, worker.output()).toBeDefined();
      return String(found);
    }, PATIENCE);
  });
  afterAll(async () => {
    await world?.close();
    await provider?.close();
    await sql?.close();
    await database?.drop();
  });

  async function ask({ path, method, headers, body }: Asking): Promise<{ status: number; text: string }> {
    const answer = await fetch(url + path, {
      method,
      headers,
      ...(method !== "GET" && method !== "HEAD" && { body }),
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    // A stream has no end: what it says first is enough.
    if (answer.headers.get("content-type")?.startsWith("text/event-stream")) {
      await answer.body?.cancel();
      return { status: answer.status, text: "" };
    }
    return { status: answer.status, text: await answer.text() };
  }

  const bearing = (token: string) => ({
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
  });
  const rows = async () => {
    const [row] = await sql.query(
      `select (select count(*) from public.rag_documents)::int as documents,
         (select count(*) from public.rag_ingestion_queue)::int as jobs,
         (select count(*) from public.rag_pauses)::int as pauses,
         (select count(*) from public.rag_dead_letters)::int as letters`,
    );
    return row;
  };

  test("every path that changes or costs something is closed to whoever has no token, and nothing changes", async () => {
    const before = await rows();
    const body = JSON.stringify({ action: "pause", scope: "all", content: "x", query: "x", texts: ["x"] });
    const strangers = [
      {},
      { authorization: "Bearer" },
      { authorization: "Bearer " },
      { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
      { authorization: `Bearer ${TOKEN}x` },
      { authorization: `Bearer ${TOKEN.toUpperCase()}` },
      { authorization: `Basic ${Buffer.from(`:${TOKEN}`).toString("base64")}` },
      { cookie: `token=${TOKEN}` },
      { "x-api-key": TOKEN },
      { "x-http-method-override": "POST", origin: "http://127.0.0.1", "x-forwarded-for": "127.0.0.1" },
    ];

    for (const path of mutatingPaths)
      for (const headers of strangers)
        for (const type of ["application/json", "text/plain", "multipart/form-data; boundary=b"]) {
          const about = `${path}?token=${TOKEN}&access_token=${TOKEN}`;
          const answer = await ask({
            path: about,
            method: "POST",
            headers: { ...headers, "content-type": type },
            body,
          });
          expect([path, headers, answer.status]).toEqual([path, headers, 401]);
        }
    for (const path of readPaths)
      expect([path, (await ask({ path, method: "GET", headers: {}, body: "" })).status]).toEqual([path, 401]);

    expect(await rows()).toEqual(before);
  });

  test("the paths that are asked here are all there are", async () => {
    const { text } = await ask({ path: "/nothing", method: "GET", headers: {}, body: "" });
    const named = String(JSON.parse(text).error.message).match(/\/[\w/]*/g) ?? [];

    const asked = readPaths.map((path) => path.replace(SOME_ID, "ID"));
    const known = new Set([...mutatingPaths, ...asked, "/", "/live", "/ready", "/metrics"]);

    expect(named.filter((path) => !known.has(path))).toEqual([]);
  });

  test(`${SECONDS} s of requests from a seed: no error of ours, no word from inside, nothing held up`, async () => {
    let asked = 0;
    const statuses: Record<number, number> = {};
    const judge = ({ status, text }: { status: number; text: string }) => {
      asked += 1;
      statuses[status] = (statuses[status] ?? 0) + 1;
      if (status >= 500) {
        // Declared: busy, or what /ready and /health say of the worker.
        expect([status, text]).toEqual([
          503,
          expect.stringMatching(/"http\.busy"|"status"|"worker\.|"gateway\./),
        ]);
      }
      if (!text.startsWith("<!doctype") && !/^(\/\/|\/\*|:root|import )/.test(text))
        expect(text).not.toMatch(INNARDS);
      expect(text).not.toContain("canary-fuzz");
    };

    // Some at once, for what is bounded is bounded by how many are under way.
    const property = fc.asyncProperty(
      fc.array(anyRequest(TOKEN), { minLength: 1, maxLength: 12 }),
      async (requests) => {
        for (const answer of await Promise.all(requests.map(ask))) judge(answer);
      },
    );
    const run = await fc.check(property, {
      seed: SEED,
      numRuns: 1_000_000,
      interruptAfterTimeLimit: SECONDS * 1000,
      markInterruptAsFailure: false,
      endOnFailure: SECONDS > 60,
    });

    process.stderr.write(`seed ${SEED}: ${asked} requests ${JSON.stringify(statuses)}\n`);
    expect({ seed: SEED, error: run.errorInstance, example: run.counterexample }).toEqual({
      seed: SEED,
      error: null,
      example: null,
    });
    expect(asked).toBeGreaterThan(100);
    // A generator that is refused everywhere would prove nothing.
    for (const status of [200, 202, 400, 401, 404, 405, 415]) expect(statuses).toHaveProperty(String(status));
  });

  test("after all that the worker lives, has met no defect, and ingests a document", async () => {
    for (const scope of ["all", "kind", "tenant"])
      await sql.query("delete from public.rag_pauses where scope = $1", [scope]);
    const health = await ask({ path: "/health", method: "GET", headers: bearing(TOKEN), body: "" });
    const accepted = await ask({
      path: "/documents",
      method: "POST",
      headers: bearing(TOKEN),
      body: JSON.stringify({
        content: "A drill may be kept for a fortnight.",
        tenant_id: "after",
        priority: 9,
      }),
    });

    expect([health.status, accepted.status]).toEqual([200, 202]);
    const { job_id } = JSON.parse(accepted.text);
    await vi.waitFor(async () => {
      const [row] = await sql.query("select status from public.rag_ingestion_queue where id = $1", [job_id]);
      expect(row?.status).toBe("complete");
    }, PATIENCE);
    const lines = worker.output().split("\n");
    expect(lines.filter((line) => /[Uu]nhandled|status page failed|"code":"unexpected"/.test(line))).toEqual(
      [],
    );
    expect(worker.output()).not.toContain("canary-fuzz");
  });
});
