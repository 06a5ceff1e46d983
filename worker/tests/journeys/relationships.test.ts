// Documents are related as they come: by the worker where that is switched on, by a command where it is not.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import postgres from "postgres";
import { expect, test } from "vitest";
import { describeWith, freshDatabase } from "../services.ts";
import { startEmbeddingServer } from "../stand-ins/embedding-server.ts";
import { openWorld } from "./rag-process.ts";

test("on the embedded database: a folder is ingested, related by the command, and a second run changes nothing", async () => {
  const world = await openWorld();
  try {
    await mkdir(join(world.folder, "guide"));
    await writeFile(join(world.folder, "guide.md"), "# Guide\n\nHow ladders are kept. See task:ab-1.\n");
    await writeFile(
      join(world.folder, "guide", "ladders.md"),
      "# Ladders\n\nHow ladders are kept, in depth.\n",
    );
    const settings = { RAG_DOCUMENT_ROOT: world.folder };
    const ingested = await world.rag(["ingest", "guide.md", "guide", "--tags", "tools", "--wait"], settings);
    expect(ingested.code, ingested.err).toBe(0);

    const unasked = await world.rag(["relate", "--json"], settings);
    const first = await world.rag(["relate", "--all", "--json"], settings);
    const again = await world.rag(["relate", "--all"], settings);
    const nobody = await world.rag(["relate", "00000000-0000-4000-8000-00000000dead", "--json"], settings);

    expect(unasked).toMatchObject({ code: 2, records: [{ error: { code: "usage.invalid" } }] });
    expect(first, first.err).toMatchObject({
      code: 0,
      records: [
        {
          documents: 2,
          unresolved: 1,
          failed: [],
          relationships: { topical_relevance: 2, semantic_similarity: 2, conceptual_hierarchy: 1 },
        },
      ],
    });
    expect(again.out).toContain("2 documents related: 0 relationships new or changed, 0 removed.");
    expect(nobody).toMatchObject({ code: 1, records: [{ documents: 0 }] });
  } finally {
    await world.close();
  }
}, 300_000);

describeWith("postgres", "with workers", () => {
  test(
    "what goes live is related by itself, and a task that comes later resolves what named it",
    {
      timeout: 180_000,
    },
    async () => {
      const [database, embedding, world] = await Promise.all([
        freshDatabase(),
        startEmbeddingServer({ dimensions: 8 }),
        openWorld(),
      ]);
      const sql = postgres(database.url, { max: 1, onnotice: () => {} });
      const settings = {
        DATABASE_URL: database.url,
        OPENAI_BASE_URL: embedding.baseUrl,
        RAG_EMBEDDING_MODEL: "stand-in",
        RAG_RELATIONSHIPS: "on",
        PORT: "0",
      };
      try {
        await world.rag(["migrate"], settings);
        await sql`select rag_upsert_entity('{"entity_type": "page", "entity_id": "p1", "content": "Waits for task:ab-1."}')`;
        const worker = world.start(["worker"], settings);
        const related = () => sql`
        select s.external_id as source, t.external_id as target, r.relationship_type as type
        from rag_relationships r join rag_documents s on s.id = r.source_id join rag_documents t on t.id = r.target_id
        where r.relationship_type = 'cross_reference'`;
        const complete = async () =>
          (await sql`select 1 from rag_ingestion_queue where kind = 'relationships' and status = 'complete'`)
            .length;
        await expect.poll(complete, { timeout: 60_000 }).toBe(1);
        expect(await related()).toHaveLength(0);

        // As a message does it: both jobs at once.
        const [task] =
          await sql`select rag_upsert_entity('{"entity_type": "task", "entity_id": "ab-1", "content": "Mend the roof."}') as made`;
        await sql`select rag_enqueue(jsonb_build_object('kind', 'relationships', 'document_id', ${task?.made.document_id}::text))`;
        await expect
          .poll(async () => [...(await related())], { timeout: 60_000 })
          .toEqual([{ source: "p1", target: "ab-1", type: "cross_reference" }]);
        worker.signal("SIGTERM");
        expect((await worker.ended).code).toBe(0);
        expect(await sql`select 1 from rag_ingestion_queue where status = 'failed'`).toHaveLength(0);
      } finally {
        await sql.end();
        await Promise.all([world.close(), embedding.close()]);
        await database.drop();
      }
    },
  );
});
