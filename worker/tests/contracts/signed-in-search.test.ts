// The recipe for signed-in users, on real Postgres with Supabase's roles: a user finds his own and nothing else.
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../services.ts";
import { type Leg, openLeg } from "./open-databases.ts";
import { vectorOf, World } from "./world.ts";

const recipe = new URL("../../../supabase/recipes/signed_in_search.sql", import.meta.url);

describeWith(["postgres", "pgbouncer"], "search by signed-in users", () => {
  let leg: Leg;
  let world: World;
  let documents: Readonly<Record<"ada" | "ben", string>>;
  beforeAll(async () => {
    leg = await openLeg("postgres");
    world = await new World(leg).start();
    const ada = await world.document({ user_id: "ada" });
    const ben = await world.document({ user_id: "ben" });
    await world.ingest(["the lighthouse of ada"], ada);
    await world.ingest(["the lighthouse of ben"], ben);
    // In the terms, and in the tail that is not filled yet.
    await world.call("rag_fill_terms", { p_limit: 100 });
    await world.ingest(["the harbour of ben"], await world.document({ user_id: "ben" }));
    documents = { ada, ben };
  });
  afterAll(() => leg?.close());

  /** As the Data API does: the role of the token, its claims as a setting, for one transaction. */
  async function as(role: "authenticated" | "anon", claims: object | null, query: string) {
    const prelude = `begin; set local role ${role};${claims === null ? "" : `set local request.jwt.claims = '${JSON.stringify(claims)}';`}`;
    await leg.sql.script(prelude);
    try {
      return await leg.sql.query(query);
    } finally {
      await leg.sql.script("rollback");
    }
  }
  const contents = async (role: "authenticated" | "anon", claims: object | null, search: string) =>
    (await as(role, claims, `select content from public.${search}`)).map((row) => row.content);
  const install = async () => leg.sql.script(await readFile(recipe, "utf8"));

  const searches = () => ({
    text: "rag_search_mine('lighthouse harbour ada ben')",
    vector: `rag_search_mine(null, '${vectorOf("the lighthouse of ben")}', 'contract-model')`,
    hybrid: `rag_search_mine('lighthouse', '${vectorOf("the lighthouse of ben")}', 'contract-model')`,
    "text function": "rag_text_search('lighthouse harbour ada ben')",
    "stop words": "rag_text_search('of')",
    neighbours: `rag_neighbours('[{"document_id": "${documents.ada}", "chunk_index": 0}, {"document_id": "${documents.ben}", "chunk_index": 0}]')`,
  });

  test("without the recipe nobody who is signed in finds anything", async () => {
    for (const search of ["rag_text_search('lighthouse')", "rag_live_chunks", "rag_document_chunks"])
      await expect(contents("authenticated", { sub: "ada" }, search)).rejects.toThrow(
        /may not use the database/,
      );
  });

  test("a user finds what is his by every search, and never what is another's", async () => {
    await install();

    for (const [name, search] of Object.entries(searches())) {
      expect(await contents("authenticated", { sub: "ada" }, search), name).toEqual([
        "the lighthouse of ada",
      ]);
      for (const content of await contents("authenticated", { sub: "ben" }, search))
        expect(content, name).toMatch(/ben$/);
    }
    expect(await contents("authenticated", { sub: "ben" }, "rag_search_mine('harbour')")).toEqual([
      "the harbour of ben",
    ]);
  });

  test("a filter cannot ask for another's documents", async () => {
    await install();

    const found = await contents(
      "authenticated",
      { sub: "ada" },
      `rag_search_mine('lighthouse', p_filter => '{"document_ids": ["${documents.ben}"]}')`,
    );

    expect(found).toEqual([]);
  });

  test.each([
    null,
    {},
    { sub: "" },
    { sub: "nobody" },
  ])("with the claims %j nothing is found", async (claims) => {
    await install();

    for (const search of Object.values(searches()))
      expect(await contents("authenticated", claims, search)).toEqual([]);
  });

  test("scores do not tell how common a word is with others", async () => {
    await install();
    const score = async () =>
      (await as("authenticated", { sub: "ada" }, "select score from public.rag_text_search('lighthouse')"))[0]
        ?.score;
    const before = await score();

    await world.ingest(["a lighthouse, a lighthouse"], await world.document({ user_id: "ben" }));
    await world.call("rag_fill_terms", { p_limit: 100 });

    expect(await score()).toBe(before);
    expect(before).toBeGreaterThan(0);
    expect(await as("authenticated", { sub: "ada" }, "select 1 from public.rag_term_statistics")).toEqual([]);
  });

  test("who is not signed in may not search at all, and who is may not write", async () => {
    await install();

    for (const search of Object.values(searches()))
      await expect(contents("anon", null, search)).rejects.toThrow(/may not use the database/);
    await expect(as("authenticated", { sub: "ada" }, "delete from public.rag_documents")).rejects.toThrow(
      /may not use the database/,
    );
    await expect(
      contents("authenticated", { sub: "ada" }, "rag_hybrid_search('x', '[1,0,0]', 'contract-model')"),
    ).rejects.toThrow(/may not use the database/);
  });
});
