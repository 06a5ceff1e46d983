// Finding what was stored: by vector, by words, by both; filters, the unfilled tail, the index, over every
// transport.
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { vectorOf, World } from "./world.ts";

type Hit = { readonly score: number; readonly content: string; readonly document_id: string };

describeEveryDatabase("search", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
  });

  const byVector = (text: string, filter = {}, limit = 10) =>
    world.call("rag_search_chunks", {
      p_query_embedding: vectorOf(text),
      p_model: "contract-model",
      p_limit: limit,
      p_filter: filter,
    }) as Promise<Hit[]>;
  const byText = (query: string, filter = {}) =>
    world.call("rag_text_search", { p_query: query, p_limit: 10, p_filter: filter }) as Promise<Hit[]>;
  const hybrid = (query: string, text: string, weight: number) =>
    world.call("rag_hybrid_search", {
      p_query: query,
      p_query_embedding: vectorOf(text),
      p_model: "contract-model",
      p_limit: 10,
      p_weight: weight,
      p_filter: {},
    }) as Promise<Hit[]>;

  test("the nearest live chunk comes first with its similarity", async () => {
    await world.ingest(["apples are red", "bananas are yellow"]);

    const [first, second] = await byVector("bananas are yellow");

    expect(first?.content).toBe("bananas are yellow");
    expect(first?.score).toBeCloseTo(1, 5);
    expect(second?.score).toBeLessThan(1);
  });

  test("chunks of a generation that is not live are never found", async () => {
    const first = await world.ingest(["the old text"]);
    await world.ingest(["the new text"], first.document?.id);

    expect((await byVector("the old text")).map((hit) => hit.content)).toEqual(["the new text"]);
    expect((await byText("old")).map((hit) => hit.content)).toEqual([]);
  });

  test("words are found before their terms are filled, and after", async () => {
    await world.ingest(["the lighthouse keeper sleeps", "nothing of the kind"]);
    const before = await byText("lighthouses");

    const filled = await world.call("rag_fill_terms", { p_limit: 100 });

    expect(before.map((hit) => hit.content)).toEqual(["the lighthouse keeper sleeps"]);
    expect(filled).toEqual({ chunks: 2, generations: 1 });
    expect(await byText("lighthouses")).toEqual(before);
  });

  test("terms are filled a few at a time without losing or doubling a hit", async () => {
    await world.ingest(["river one", "river two", "river three"]);
    expect(await world.call("rag_fill_terms", { p_limit: 2 })).toEqual({ chunks: 2, generations: 0 });

    const hits = await byText("river");

    expect(hits.map((hit) => hit.content).sort()).toEqual(["river one", "river three", "river two"]);
  });

  test("any word of a question may match", async () => {
    await world.ingest(["the lighthouse keeper sleeps"]);
    expect(await byText("where does the keeper of the harbour live?")).toHaveLength(1);
  });

  test("a question without words finds nothing and breaks nothing", async () => {
    await world.ingest(["text"]);
    expect(await byText("?! ' : & | <->")).toEqual([]);
    expect(await byText("")).toEqual([]);
  });

  test("the weight decides between meaning and words", async () => {
    await world.ingest(["alpha words here", "beta words there"]);

    const meaning = await hybrid("beta", "alpha words here", 1);
    const words = await hybrid("beta", "alpha words here", 0);

    expect(meaning[0]?.content).toBe("alpha words here");
    expect(words.map((hit) => hit.content)).toEqual(["beta words there"]);
    expect((await hybrid("alpha", "alpha words here", 0.5))[0]?.score).toBeCloseTo(1, 5);
  });

  test.each([-0.1, 1.1])("a weight of %s is refused", async (weight) => {
    await expect(hybrid("x", "x", weight)).rejects.toThrow();
  });

  test("filters keep other tenants, collections, tags and metadata out", async () => {
    const document = await world.document({ collection: "wiki", tags: ["a", "b"], metadata: { year: 2026 } });
    await world.ingest(["inside"], document);
    await world.ingest(["outside"]);

    for (const filter of [
      { tenant_id: world.tenant, collection: "wiki" },
      { tags: ["a"] },
      { metadata: { year: 2026 } },
      { document_ids: [document] },
    ]) {
      expect((await byVector("outside", filter)).map((hit) => hit.content)).toEqual(["inside"]);
      expect((await byText("inside outside", filter)).map((hit) => hit.content)).toEqual(["inside"]);
    }
    expect(await byVector("inside", { tenant_id: "somebody else" })).toEqual([]);
  });

  test.each([
    { tags: "a" },
    { tags: null },
    { document_ids: "x" },
    { metadata: [] },
    { tenant_id: 7 },
  ])("a filter that cannot be read lets nothing through: %o", async (filter) => {
    await world.ingest(["secret"]);
    await expect(byVector("secret", filter)).rejects.toThrow();
    await expect(byText("secret", filter)).rejects.toThrow();
  });

  test("an unknown filter is refused, not ignored", async () => {
    await expect(byVector("x", { tenant: "typo" })).rejects.toThrow();
  });

  test("a search for another model finds nothing of this one", async () => {
    await world.ingest(["text"]);
    const hits = await world.call("rag_search_chunks", {
      p_query_embedding: vectorOf("text"),
      p_model: "another-model",
      p_limit: 10,
      p_filter: {},
    });
    expect(hits).toEqual([]);
  });

  test("with a vector index the same chunks are found", async () => {
    await world.ingest(Array.from({ length: 30 }, (_, at) => `text number ${at}`));
    const exact = await byVector("text number 7", {}, 5);

    const name = await world.call("rag_ensure_vector_index", {
      p_model: "contract-model",
      p_dimensions: 3,
    });

    expect(name).toMatch(/^rag_chunks_hnsw_/);
    expect((await byVector("text number 7", {}, 5))[0]).toEqual(exact[0]);
    await world.sql.script(`drop index public.${String(name)}`);
  });
});
