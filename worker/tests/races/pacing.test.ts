// Three replicas at one provider's limit, agreeing through a real Postgres.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Database } from "../../database/database.ts";
import { migrate } from "../../database/migrate.ts";
import { openPostgres } from "../../database/postgres.ts";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { openBatcher } from "../../embedders/batch.ts";
import { openOpenAi } from "../../embedders/openai.ts";
import { openPacer } from "../../embedders/pacing/pacer.ts";
import { shareThrough } from "../../embedders/pacing/shared-share.ts";
import { describeWith, type FreshDatabase, freshDatabase } from "../services.ts";
import { startEmbeddingServer } from "../stand-ins/embedding-server.ts";

const never = new AbortController().signal;
const tokenizer = { name: "words", count: (text: string) => text.split(/\s+/).length };

describeWith(["postgres", "pgbouncer"], "three replicas at one provider", () => {
  let fresh: FreshDatabase;
  let database: Database;

  beforeAll(async () => {
    fresh = await freshDatabase();
    const session = await openPostgresSession({ url: fresh.url });
    await migrate(session);
    await session.close();
    database = await openPostgres({ url: fresh.url, poolMax: 3, poolTimeoutSeconds: 10 });
  });
  afterAll(async () => {
    await database.close();
    await fresh.drop();
  });

  async function replicas(baseUrl: string, call = database.call) {
    return await Promise.all(
      ["a", "b", "c"].map(async (name) => {
        const options = { apiKey: "sk-0123456789", baseUrl, model: "stand-in", dimensions: 8, tokenizer };
        const embedder = await openOpenAi(options, never);
        const askForShare = shareThrough(call, `openai ${baseUrl} stand-in`, name);
        const pacer = openPacer({ provider: "openai", concurrency: 4, askForShare });
        const batcher = openBatcher(embedder, { batch: 4, concurrency: 4, pacer });
        return { name, pacer, batcher, embedder };
      }),
    );
  }
  type Replicas = Awaited<ReturnType<typeof replicas>>;

  const embedAll = (all: Replicas, round: string, texts: number) =>
    Promise.all(
      all.map(({ name, batcher }) =>
        batcher.embed(
          Array.from({ length: texts }, (_, at) => `${round} ${name} ${at}`),
          never,
        ),
      ),
    );

  test("each takes its share of a limit that changes, is hardly ever refused, and every text is embedded once", async () => {
    const limitOf = (requestsPerMinute: number) => ({ requestsPerMinute, burstSeconds: 3 });
    const provider = await startEmbeddingServer({ dimensions: 8, latencyMs: 10, limit: limitOf(2400) });
    const all = await replicas(provider.baseUrl);

    await embedAll(all, "first", 160);
    provider.limiter?.change(limitOf(1200));
    await embedAll(all, "second", 160);
    provider.limiter?.change(limitOf(4800));
    await embedAll(all, "third", 160);

    expect(provider.embedded.size).toBe(3 * 3 * 160);
    expect(all.map(({ pacer }) => pacer.state().replicas)).toEqual([3, 3, 3]);
    const { admitted = 0, refused = 0 } = provider.limiter?.counts ?? {};
    expect(admitted).toBe(3 * 3 * 40);
    expect(refused / (admitted + refused)).toBeLessThan(0.05);
    for (const { batcher, embedder } of all) await Promise.all([batcher.close(), embedder.close()]);
    await provider.close();
  });

  test("a database that is away does not stop them: each goes on by what the provider says", async () => {
    const provider = await startEmbeddingServer({
      dimensions: 8,
      limit: { requestsPerMinute: 1200, burstSeconds: 1 },
    });
    const call = vi.fn(async () => {
      throw new Error("no database");
    });
    const all = await replicas(provider.baseUrl, call);

    await embedAll(all, "alone", 80);

    expect(provider.embedded.size).toBe(240);
    await vi.waitFor(() => expect(call).toHaveBeenCalled());
    for (const { batcher, embedder } of all) await Promise.all([batcher.close(), embedder.close()]);
    await provider.close();
  });
});
