// Finding what was stored: by vector, by words, by both; filters, the unfilled tail, the index, over every
// transport.
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { vectorOf, World } from "./world.ts";

type Hit = {
  readonly score: number;
  readonly content: string;
  readonly document_id: string;
  readonly chunk_index: number;
  readonly matched?: readonly string[];
  readonly vector_rank?: number | null;
  readonly text_rank?: number | null;
};

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
    expect((await byText("lighthouses")).map((hit) => hit.content)).toEqual(before.map((hit) => hit.content));
  });

  test("terms are filled a few at a time without losing or doubling a hit", async () => {
    await world.ingest(["river one", "river two", "river three"]);
    expect(await world.call("rag_fill_terms", { p_limit: 2 })).toEqual({ chunks: 2, generations: 0 });

    const hits = await byText("river");

    expect(hits.map((hit) => hit.content).sort()).toEqual(["river one", "river three", "river two"]);
  });

  test("chunks that are not filled yet are ranked by how rare a word is and how long a chunk is, as after", async () => {
    const about =
      "I will stop the leak myself and seal the skylight, for there is lead flashing left at home and";
    const chunks = [
      `${about} on a dry day the roof can be reached before anybody comes to open the door`,
      "The member offered to pay.",
      ...Array.from(
        { length: 6 },
        (_, at) => `What else was offered at meeting ${at} by those who had come to it`,
      ),
    ];
    await world.ingest(chunks);
    const ask = async () => (await byText("Who offered to stop the leak?")).map((hit) => hit.content);
    const before = await ask();
    await world.call("rag_fill_terms", { p_limit: 3 });
    const between = await ask();
    await world.call("rag_fill_terms", { p_limit: 100 });

    expect([before[0], between[0], (await ask())[0]]).toEqual(Array(3).fill(chunks[0]));
  });

  test("of what is not filled yet the newest 2,000 chunks are read; the others are found when they are filled", async () => {
    await world.ingest(["the old harbour"]);
    await world.ingest(Array.from({ length: 2010 }, (_, at) => `anchorage${at}`));
    await world.ingest(["the new harbour"]);
    const found = async (word: string) => (await byText(word)).map((hit) => hit.content);

    expect(await found("harbour")).toEqual(["the new harbour"]);
    expect(await found("anchorage1998")).toEqual(["anchorage1998"]);
    expect(await found("anchorage2009")).toEqual([]);

    await world.call("rag_fill_terms", { p_limit: 2 });
    expect((await found("harbour")).sort()).toEqual(["the new harbour", "the old harbour"]);
    await world.call("rag_fill_terms", { p_limit: 3000 });
    expect(await found("anchorage2009")).toEqual(["anchorage2009"]);
    // What is gone is counted out by a thousand chunks a call, and other tests look at the counts.
    await world.sql.query("delete from public.rag_documents");
    for (let calls = 0; calls < 3; calls += 1) await world.call("rag_fill_terms", { p_limit: 1 });
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

  const fill = () => world.call("rag_fill_terms", { p_limit: 1000 });
  const textsOf = async (query: string, filter = {}) =>
    (await byText(query, filter)).map((hit) => hit.content);

  test("a rare word weighs more than a common one, and a short text more than a long one", async () => {
    await world.ingest([
      "harbour harbour harbour harbour",
      "the harbour and the lighthouse",
      "harbour",
      "harbour beside many other words that say nothing of what was asked for here",
    ]);
    await fill();

    expect(await textsOf("lighthouse harbour")).toEqual([
      "the harbour and the lighthouse",
      "harbour harbour harbour harbour",
      "harbour",
      "harbour beside many other words that say nothing of what was asked for here",
    ]);
    expect((await byText("lighthouse harbour"))[0]?.matched?.toSorted()).toEqual(["harbour", "lighthous"]);
  });

  test("the score is that of BM25", async () => {
    const texts = ["red red boat", "blue boat", "green tree", "old house stands"];
    await world.ingest(texts);
    await fill();

    const [first] = await byText("red");

    // One of four chunks, twice in three words, ten words in all.
    const idf = Math.log(1 + (4 - 1 + 0.5) / (1 + 0.5));
    expect(first?.score).toBeCloseTo((idf * 2 * 2.2) / (2 + 1.2 * (0.25 + (0.75 * 3) / 2.5)), 5);
  });

  test("what other tenants store does not move a tenant's scores", async () => {
    await world.ingest(["lighthouse keeper", "something else"]);
    await fill();
    const before = await byText("lighthouse", { tenant_id: world.tenant });

    await new World(leg()).ingest(["lighthouse lighthouse", "lighthouse"]);
    await fill();

    expect(await byText("lighthouse", { tenant_id: world.tenant })).toEqual(before);
  });

  test("statistics forget what is deleted and what is replaced", async () => {
    const kept = await world.ingest(["the lighthouse keeper", "nothing"]);
    const gone = await world.ingest(["the submarine captain"]);
    await fill();
    await world.ingest(["the harbour master"], kept.document?.id);
    await world.sql.query("delete from public.rag_documents where id = $1", [gone.document?.id]);
    await world.call("rag_collect_garbage", { p_limit: 100, p_keep_originals: false });
    await fill();

    const rows = await world.sql.query(
      "select lexeme from public.rag_term_statistics where tenant_id = $1 order by 1",
      [world.tenant],
    );

    expect(rows.map((row) => row.lexeme)).toEqual(["harbour", "master"]);
    expect(
      await world.sql.query(
        "select sum(chunks)::integer as chunks, sum(words)::integer as words from public.rag_text_statistics where tenant_id = $1",
        [world.tenant],
      ),
    ).toEqual([{ chunks: 1, words: 2 }]);
  });

  test.each([
    ["German, named", { language: "de" }, "Häuser stehen hier", "Haus"],
    ["German, recognised", {}, "Die Häuser der Stadt sind nicht für alle Kinder da", "Kindern"],
    ["French, recognised", {}, "Les élèves sont à la maison avec des amis", "élève"],
    ["letters without their marks", {}, "Les élèves sont à la maison avec des amis", "eleves"],
    ["Russian", {}, "Как это было в большом городе и что там было", "города"],
    ["Chinese", {}, "我们昨天参观了故宫博物院", "博物院"],
    ["one sign", {}, "我们昨天参观了故宫博物院", "宫"],
    ["Japanese", {}, "東京都庁は新宿にあります", "新宿"],
    ["Thai", {}, "กรุงเทพมหานครเป็นเมืองหลวง", "เมืองหลวง"],
    ["a language that Postgres does not know", { language: "sw" }, "Jumba hili ni kubwa", "jumba"],
    ["an e-mail address", {}, "Write to bob.smith@example.com for it", "bob.smith@example.com"],
    ["a part of an address", {}, "Write to bob.smith@example.com for it", "smith"],
    ["an error code", {}, "It ended with ERR_CONN-42 again", "err_conn-42"],
    ["the number in a code", {}, "It ended with ERR_CONN-42 again", "42"],
    ["a part of an identifier", {}, "Call createRagClient first", "rag client"],
    ["an identifier in small letters", {}, "Call createRagClient first", "createragclient"],
    ["a version", {}, "Fixed in release 1.24.3", "1.24.3"],
    ["C++", {}, "Written in C++ long ago", "c++"],
    ["only stop words", {}, "To be or not to be", "to be or not to be"],
    ["what would be an operator", {}, "cats & dogs | birds", "birds & cats!"],
  ])("%s is found before its terms are filled, and after", async (_what, metadata, content, query) => {
    await world.ingest([content], await world.document({ metadata }));
    await world.ingest(["Nothing like it at all"]);

    expect(await textsOf(query)).toEqual([content]);
    await fill();
    expect(await textsOf(query)).toEqual([content]);
  });

  test("what stands in quotes has to stand so in the chunk", async () => {
    await world.ingest(["the keeper sleeps", "he sleeps, the keeper"]);
    expect(await textsOf('"keeper sleeps"')).toEqual(["the keeper sleeps"]);
    await fill();
    expect(await textsOf('"keeper sleeps"')).toEqual(["the keeper sleeps"]);
  });

  test("a document that is given another language or tenant is found as such", async () => {
    const english = await world.document({ metadata: { language: "en" } });
    const { document } = await world.ingest(["Häuser stehen hier"], english);
    await fill();
    expect(await textsOf("Haus")).toEqual([]);

    await world.sql.query(
      `update public.rag_documents set metadata = '{"language": "de"}', tenant_id = 'moved' where id = $1`,
      [document?.id],
    );

    expect(await textsOf("Haus", { tenant_id: "moved" })).toEqual(["Häuser stehen hier"]);
    await fill();
    expect(await textsOf("Haus", { tenant_id: "moved" })).toEqual(["Häuser stehen hier"]);
    expect(await textsOf("Haus", { tenant_id: world.tenant })).toEqual([]);
  });

  test("a filter that few documents pass loses none of them to better matches elsewhere", async () => {
    await world.ingest(Array.from({ length: 40 }, (_, at) => `rare word and harbour ${at}`));
    const wanted = await world.document({ tags: ["wanted"] });
    await world.ingest(["a harbour", "another harbour"], wanted);
    await fill();

    expect((await textsOf("rare harbour", { tags: ["wanted"] })).toSorted()).toEqual([
      "a harbour",
      "another harbour",
    ]);
  });

  test("hybrid tells where each hit stood on either side", async () => {
    await world.ingest(["alpha words here", "beta words there"]);
    await fill();

    const hits = await hybrid("beta", "alpha words here", 0.5);

    expect(
      hits.map(({ content, vector_rank, text_rank, matched }) => ({
        content,
        vector_rank,
        text_rank,
        matched,
      })),
    ).toContainEqual({
      content: "beta words there",
      vector_rank: 2,
      text_rank: 1,
      matched: ["beta"],
    });
  });

  test("neighbours are the live chunks around a hit, each once", async () => {
    const { document } = await world.ingest(["one", "two", "three", "four", "five"]);
    const hits = [1, 2].map((chunk_index) => ({ document_id: document?.id, chunk_index, score: 1 }));

    const around = (await world.call("rag_neighbours", { p_hits: hits, p_before: 1, p_after: 1 })) as (Hit & {
      is_hit: boolean;
    })[];

    expect(around.map(({ content, is_hit }) => [content, is_hit])).toEqual([
      ["one", false],
      ["two", true],
      ["three", true],
      ["four", false],
    ]);
    await expect(world.call("rag_neighbours", { p_hits: hits, p_before: 5, p_after: 4 })).rejects.toThrow();
    await expect(world.call("rag_neighbours", { p_hits: {}, p_before: 1, p_after: 1 })).rejects.toThrow();
  });

  test("highlights are places in JavaScript's units, whatever stands before them", async () => {
    const content = "😀 <b>Two</b> lighthouses &amp; a Lighthouse-keeper 東京";
    const english = await world.document({ metadata: { language: "en" } });
    const { document } = await world.ingest([content], english);
    const hits = [{ document_id: document?.id, chunk_index: 0 }];

    const [row] = (await world.call("rag_highlights", { p_query: "lighthouse 東京 b", p_hits: hits })) as {
      places: [number, number][];
    }[];

    expect(row?.places.map(([start, end]) => content.slice(start, end))).toEqual([
      "b",
      "b",
      "lighthouses",
      "Lighthouse",
      "東",
      "京",
    ]);
  });

  test("with a vector index the same chunks are found", async () => {
    await world.ingest(Array.from({ length: 30 }, (_, at) => `text number ${at}`));
    const exact = await byVector("text number 7", {}, 5);

    const indexed = await world.call("rag_ensure_vector_index", {
      p_model: "contract-model",
      p_dimensions: 3,
    });

    expect(indexed).toBe(30);
    expect(await byVector("text number 7", {}, 5)).toEqual(exact);
  });
});
