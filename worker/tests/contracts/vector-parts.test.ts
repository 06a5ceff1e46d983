// Where searches by vector look: folding, building and dropping parts must neither lose, double nor keep a vector.
import { beforeEach, expect, test, vi } from "vitest";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, MODEL, vectorOf, World } from "./world.ts";

type Hit = { readonly content: string; readonly document_id: string };

describeEveryDatabase("vector parts", (leg, legName) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
    await world.sql.script("update public.rag_vector_parts set state = 'retired', changed_at = '2000-01-01'");
    await world.call("rag_drop_retired_parts", {});
    await addPart();
  });

  /** From the first part on even a few vectors are folded. */
  const addPart = () =>
    world.sql.query("select public.rag_add_part($1, $2, 'open')", [MODEL.embedding_model, MODEL.dimensions]);
  const search = async (text: string, limit = 100, filter = {}) =>
    (
      (await world.call("rag_search_chunks", {
        p_query_embedding: vectorOf(text),
        p_model: MODEL.embedding_model,
        p_limit: limit,
        p_filter: filter,
      })) as Hit[]
    ).map((hit) => hit.content);
  const fold = (limit = 1000) => world.call("rag_fold_vectors", { p_limit: limit, p_memory_mb: 64 });
  const build = () => world.call("rag_build_vectors", { p_memory_mb: 64 });
  const mark = (state: string) =>
    world.sql.query("update public.rag_vector_parts set state = $1 where state = 'open'", [state]);
  const states = async () =>
    (await world.sql.query("select state, rows from public.rag_vector_parts order by part")).map(
      ({ state, rows }) => [state, rows],
    );
  /** Rows in all the tables of parts. */
  const rowsInParts = async () => {
    const tables = await world.sql.query(
      "select relname as name from pg_class where relname ~ '^rag_vectors_[0-9]+$' and relkind = 'r'",
    );
    let rows = 0;
    for (const { name } of tables) {
      const [counted] = await world.sql.query(`select count(*)::int as rows from public.${String(name)}`);
      rows += Number(counted?.rows);
    }
    return rows;
  };
  const texts = (count: number, word = "text") => Array.from({ length: count }, (_, at) => `${word} ${at}`);

  test("a generation that is folded in part is found whole, and each chunk once", async () => {
    await world.ingest(texts(5));
    const exact = await search("text 3");

    expect(await fold(2)).toEqual({ chunks: 2, tail: true, build: false });
    expect(await search("text 3")).toEqual(exact);
    expect(await fold(2)).toEqual({ chunks: 2, tail: true, build: false });
    expect(await search("text 3")).toEqual(exact);
    expect(await fold(2)).toEqual({ chunks: 1, tail: false, build: false });

    expect(await search("text 3")).toEqual(exact);
    expect(exact).toHaveLength(5);
    expect(await rowsInParts()).toBe(5);
  });

  test("an indexed part, an open one and the tail are searched together", async () => {
    await world.ingest(["in the index"]);
    await fold();
    await mark("full");
    expect(await build()).toEqual({ state: "built", rows: 1, parts: 1 });
    await world.ingest(["in the open part"]);
    await fold();
    await world.ingest(["in the tail"]);

    expect((await search("x")).sort()).toEqual(["in the index", "in the open part", "in the tail"]);
    expect(await states()).toEqual([
      ["retired", 1],
      ["indexed", 1],
      ["open", 1],
    ]);
    expect(await world.call("rag_vector_figures", {})).toEqual({
      tail_chunks: 1,
      unindexed_rows: 1,
      indexed_rows: 1,
      indexes: 1,
    });
  });

  test("while parts exist that wait for an index, whoever polls is told that there are chores", async () => {
    await world.ingest(["text"]);
    await world.call("rag_fill_terms", { p_limit: 100 });

    expect(
      await world.call("rag_settle_and_claim", {
        p_worker: "idle",
        p_settled: [],
        p_slots: 1,
        p_kinds: ["document"],
        p_lease_seconds: 60,
      }),
    ).toMatchObject({ chores: true });
  });

  test("a part with as many rows as an index pays for is closed, one at a time", async () => {
    await world.ingest(["first"]);
    await fold();
    await world.sql.script("update public.rag_vector_parts set rows = 9999999 where state = 'open'");

    expect(await fold()).toEqual({ chunks: 0, tail: false, build: true });
    expect(await states()).toEqual([["full", 9999999]]);
    await addPart();
    await world.sql.script("update public.rag_vector_parts set rows = 9999999 where state = 'open'");
    await fold();
    expect((await states()).map(([state]) => state)).toEqual(["full", "open"]);
  });

  test("below two thousand chunks and without a part nothing is folded", async () => {
    await world.sql.script("update public.rag_vector_parts set state = 'retired', changed_at = '2000-01-01'");
    await world.call("rag_drop_retired_parts", {});
    await world.ingest(texts(3));

    expect(await fold()).toEqual({ chunks: 0, tail: false, build: false });
    expect(await states()).toEqual([]);
  });

  test("the vectors of a deleted document and of an old generation leave every part", async () => {
    const first = await world.ingest(["old one", "old two"]);
    const gone = await world.ingest(["deleted"]);
    await fold();
    await mark("full");
    await build();

    await world.ingest(["new one"], first.document?.id);
    await fold();
    expect(await search("x")).not.toContain("old one");
    await world.call("rag_collect_garbage", { p_limit: 1000, p_keep_originals: false });
    await world.sql.query("delete from public.rag_documents where id = $1", [gone.document?.id]);

    expect(await rowsInParts()).toBe(1);
    expect(await search("x")).toEqual(["new one"]);
  });

  test("a filter finds all it accepts in an index full of nearer strangers", async () => {
    const strangers = await world.document({ collection: "strangers" });
    await world.ingest(texts(1500, "stranger"), strangers);
    const own = await world.document({ collection: "own" });
    await world.ingest(texts(5, "own"), own);
    expect(
      await world.call("rag_ensure_vector_index", {
        p_model: MODEL.embedding_model,
        p_dimensions: MODEL.dimensions,
      }),
    ).toBe(1505);

    expect((await search("stranger 1", 10, { collection: "own" })).sort()).toEqual(texts(5, "own"));
  });

  test("four small indexes become one, and what is retired is dropped when nobody can read it any more", async () => {
    for (const word of ["a", "b", "c", "d"]) {
      await world.ingest(texts(2, word));
      await fold();
      await mark("full");
      await build();
      await addPart();
    }
    const before = (await search("a 1")).sort();

    expect(await build()).toEqual({ state: "built", rows: 8, parts: 4 });
    expect(await build()).toEqual({ state: "idle", rows: 0, parts: 0 });

    expect((await search("a 1")).sort()).toEqual(before);
    await world.call("rag_drop_retired_parts", {});
    expect(await states()).toContainEqual(["retired", 2]);
    await world.sql.script(
      "update public.rag_vector_parts set changed_at = now() - interval '2 minutes' where state = 'retired'",
    );
    await world.call("rag_drop_retired_parts", {});
    expect((await states()).filter(([state]) => state === "retired")).toEqual([]);
    expect(await rowsInParts()).toBe(8);
  });

  test("vectors of any length are folded and found by their direction", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);
    await world.call("rag_stage_segments", {
      ...fence(job),
      p_segments: [{ seq: 1, content: "huge" }],
      p_complete: true,
      p_media_type: null,
    });
    await world.stage(job, [chunk(0, "huge", "[1e30,2e30,3e30]")]);
    await world.complete(job, 1);

    await fold();

    expect(await search("huge")).toEqual(["huge"]);
  });

  if (legName === "embedded") return;

  test("a call takes from the next document what the rest of one leaves of its limit, until nothing is left", async () => {
    await world.ingest(texts(20));
    await world.ingest(texts(20, "more"));

    const calls = [];
    do calls.push((await fold(7)) as { chunks: number; tail: boolean });
    while (calls.at(-1)?.tail);

    expect(calls.map(({ chunks }) => chunks)).toEqual([7, 7, 7, 7, 7, 5]);
    expect(await rowsInParts()).toBe(40);
  });

  test("replicas that fold at the same time do not fold a chunk twice", async () => {
    await world.ingest(texts(20));
    await world.ingest(texts(20, "more"));

    await Promise.all(Array.from({ length: 5 }, () => fold(7)));
    while (((await fold(7)) as { tail: boolean }).tail);

    expect(await rowsInParts()).toBe(40);
    expect(await search("text 1")).toHaveLength(40);
  });

  test("a document that is deleted while its index is built is not in the index", async () => {
    const gone = await world.ingest(["deleted meanwhile"]);
    await world.ingest(["kept"]);
    await fold();
    await mark("full");
    const other = await openPostgresSession({ url: leg().url });

    let building: Promise<unknown> = Promise.resolve();
    await other.transaction(async (session) => {
      // The build has copied and indexed, and waits to put its copy in place.
      await session.query("select pg_advisory_xact_lock_shared(hashtextextended('rag_vector_parts', 0))");
      building = build();
      await vi.waitFor(async () =>
        expect(
          await world.sql.query(
            "select 1 from pg_locks where locktype = 'advisory' and not granted and database = (select oid from pg_database where datname = current_database())",
          ),
        ).toHaveLength(1),
      );
      await session.query("delete from public.rag_documents where id = $1", [gone.document?.id]);
    });

    expect(await building).toEqual({ state: "built", rows: 1, parts: 1 });
    expect(await search("x")).toEqual(["kept"]);
    await other.close();
  });

  test("a reader with an old snapshot finds everything though its part is gone", async () => {
    await world.ingest(["one", "two"]);
    await fold();
    const other = await openPostgresSession({ url: leg().url });

    const hits = await other.transaction(async (session) => {
      await session.script("set transaction isolation level repeatable read");
      await session.query("select count(*) from public.rag_documents");
      await mark("full");
      await build();
      await world.sql.script(
        "update public.rag_vector_parts set changed_at = '2000-01-01' where state = 'retired'",
      );
      await world.call("rag_drop_retired_parts", {});
      return await session.query("select content from public.rag_search_chunks($1, $2, 10, '{}')", [
        vectorOf("one"),
        MODEL.embedding_model,
      ]);
    });

    expect(hits.map((hit) => hit.content).sort()).toEqual(["one", "two"]);
    await other.close();
  });

  test("one replica builds at a time, and a build that is cut short leaves everything as it was", async () => {
    await world.ingest(["one", "two"]);
    await fold();
    await mark("full");
    const other = await openPostgresSession({ url: leg().url });

    await expect(
      other.transaction(async (session) => {
        await session.query("select public.rag_build_vectors(64)");
        expect(await build()).toEqual({ state: "busy", rows: 0, parts: 0 });
        expect(await search("one")).toHaveLength(2);
        throw new Error("the worker died");
      }),
    ).rejects.toThrow();

    expect(await states()).toEqual([["full", 2]]);
    expect(await build()).toEqual({ state: "built", rows: 2, parts: 1 });
    await other.close();
  });
});
