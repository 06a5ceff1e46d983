// What is deleted is gone from every table, whoever holds it just then; and nothing else is touched.
import { beforeEach, describe, expect, test } from "vitest";
import { openPostgresSession } from "../../database/postgres-session.ts";
import type { Job } from "../../document/lease.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

type Deleted = { readonly deleted: number; readonly chunks: number; readonly more: boolean };

describeEveryDatabase("deletion", (leg, legName) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  const remove = async (filter: Record<string, unknown>, limits: Record<string, number> = {}) =>
    (await world.call("rag_delete_documents", { p_filter: filter, ...limits })) as Deleted;
  const removeAll = async (filter: Record<string, unknown>, limits: Record<string, number> = {}) => {
    for (let turn = 0; turn < 100; turn += 1) if (!(await remove(filter, limits)).more) return;
    throw new Error("It went on and on.");
  };

  /** Tables of the schema in which some row holds this text, in any column. */
  async function tablesWith(text: string): Promise<readonly string[]> {
    const tables = await world.sql.query(
      `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace
         and c.relname like 'rag\\_%' and c.relkind in ('r', 'p')`,
    );
    const found: string[] = [];
    for (const { name } of tables) {
      const [row] = await world.sql.query(
        `select count(*)::integer as rows from public.${name} t where strpos(to_jsonb(t)::text, $1) > 0`,
        [text],
      );
      if (row?.rows !== 0) found.push(String(name));
    }
    return found;
  }

  test("a document goes from every table, and its neighbour stays whole", async () => {
    const mine = (await world.ingest(["first words", "second words"])).document?.id ?? "";
    const other = (await world.ingest(["other words"])).document?.id ?? "";
    await world.call("rag_fill_terms", { p_limit: 100 });
    await world.enqueue({ document_id: mine });
    for (const id of [mine, other]) await world.call("rag_find_relationships", { p_document_id: id });
    expect(await tablesWith(mine)).toEqual(
      expect.arrayContaining([
        "rag_documents",
        "rag_document_chunks",
        "rag_ingestion_queue",
        "rag_originals",
        "rag_document_vectors",
        "rag_document_names",
      ]),
    );

    const answer = await remove({ document_ids: [mine] });

    expect(answer).toEqual({ deleted: 1, chunks: 2, more: false });
    expect(await tablesWith(mine)).toEqual([]);
    expect(await world.liveTexts(other)).toEqual(["other words"]);
    expect(await remove({ document_ids: [mine] })).toEqual({ deleted: 0, chunks: 0, more: false });
  });

  test("a tenant's erasure leaves no row that names it", async () => {
    await world.ingest(["one"]);
    await world.call("rag_fill_terms", { p_limit: 100 });
    await world.ingest(["two"]);
    await world.enqueue({ user_id: "u-1", title: "Waits" });
    await world.enqueue({ tenant_id: "somebody-else", external_id: "kept" });

    await removeAll({ tenant_id: world.tenant });

    expect(await tablesWith(world.tenant)).toEqual([]);
    expect(await tablesWith("somebody-else")).toContain("rag_documents");
  });

  test("a user's, a collection's and a source's documents are told apart, and several fields mean all of them", async () => {
    const one = await world.document({ user_id: "ann", collection: "hr" });
    const two = await world.document({ user_id: "ann", collection: "it" });
    const three = await world.document({ user_id: "bob", collection: "hr", source_uri: "storage://d/x.pdf" });
    const left = async () =>
      (await world.sql.query("select id from public.rag_documents order by id")).map((row) => row.id);

    await removeAll({ user_id: "ann", collection: "hr" });
    expect(await left()).toEqual([two, three].sort());
    expect(one).not.toBe("");
    await removeAll({ source_uris: ["storage://d/x.pdf"] });
    expect(await left()).toEqual([two]);
    await removeAll({ user_id: "ann" });
    expect(await left()).toEqual([]);
  });

  test("in the middle of a job: its next write is refused, and nothing of it comes back", async () => {
    const { documentId } = await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);
    await world.stage(job, [chunk(0, "early")]);

    await removeAll({ document_ids: [documentId] });

    expect(await world.stage(job, [chunk(1, "late")])).toMatchObject({ state: "lease_lost" });
    expect(await world.complete(job, 2)).toBe("lease_lost");
    expect(
      await world.call("rag_fail_job", {
        ...fence(job),
        p_error_code: "extract.corrupt",
        p_error_detail: null,
      }),
    ).toBe("lease_lost");
    expect(await tablesWith(documentId)).toEqual([]);
  });

  test("its words are counted no more, and its texts in a batch go where no other job wants them", async () => {
    const first = await world.enqueue();
    const second = await world.enqueue();
    const [one, two] = await world.claim(2);
    const want = (job: Job | undefined, content: string) =>
      job &&
      world.call("rag_want_texts", {
        ...fence(job),
        p_model: "m",
        p_dimensions: 3,
        p_texts: [{ embed_sha256: `sha-${content}`, content }],
      });
    await want(one, "quagga alone");
    await want(one, "quagga shared");
    await want(two, "quagga shared");
    const ids = [one, two].map((job) => job?.document?.id);
    expect(ids.sort()).toEqual([first.documentId, second.documentId].sort());
    await world.ingest(["zyzzyva words"]);
    await world.call("rag_fill_terms", { p_limit: 100 });
    expect(await tablesWith("zyzzyva")).toContain("rag_term_statistics");

    await removeAll({ document_ids: [one?.document?.id] });
    const left = await world.sql.query("select content from public.rag_batch_texts");
    await removeAll({ tenant_id: world.tenant });

    expect(left).toEqual([{ content: "quagga shared" }]);
    expect(await tablesWith("zyzzyva")).toEqual([]);
    expect(await tablesWith("quagga")).toEqual([]);
  });

  test("a document with more chunks than one call takes is invisible at once and gone in the end", async () => {
    const texts = Array.from({ length: 12 }, (_, at) => `words ${at}`);
    const { document } = await world.ingest(texts);
    const id = document?.id ?? "";

    const first = await remove({ document_ids: [id] }, { p_chunks: 5 });
    const seen = await world.liveTexts(id);
    await removeAll({ document_ids: [id] }, { p_chunks: 5 });

    expect(first).toEqual({ deleted: 0, chunks: 5, more: true });
    expect(seen).toEqual([]);
    expect(await tablesWith(id)).toEqual([]);
  });

  test("a dry run counts and changes nothing", async () => {
    const id = await world.document();

    const answer = await world.call("rag_delete_documents", {
      p_filter: { tenant_id: world.tenant },
      p_dry_run: true,
    });

    expect(answer).toEqual({ would_delete: 1 });
    expect((await world.documentRow(id)).id).toBe(id);
  });

  test("what is meant is listed page by page, with whether somebody else is of the same stored object", async () => {
    const uri = "storage://docs/a.pdf";
    const first = await world.document({ source_uri: uri });
    const second = await world.document({ source_uri: uri });
    const list = (filter: Record<string, unknown>, after: string | null = null) =>
      world.call("rag_list_documents", { p_filter: filter, p_after: after, p_limit: 1 });

    expect(await list({ document_ids: [first] })).toMatchObject([{ document_id: first, shared: true }]);
    const both = [first, second].sort();
    expect(await list({ tenant_id: world.tenant })).toMatchObject([{ document_id: both[0], shared: false }]);
    expect(await list({ tenant_id: world.tenant }, both[0])).toMatchObject([{ document_id: both[1] }]);
    expect(await list({ tenant_id: world.tenant }, both[1])).toEqual([]);
  });

  test.each([
    ["nothing", {}, /Say which documents/],
    ["an unknown field", { tenant: "acme" }, /Unknown fields in the request: tenant/],
    ["a text where a list is meant", { document_ids: "x" }, /must be an array of texts/],
    ["half an id", { document_ids: ["6f2c"] }, /must hold whole ids/],
    ["null for a tenant", { tenant_id: null }, /must be a text/],
    ["SQL, which is only a name", { user_id: "' or true --" }, null],
  ])("a filter that names %s deletes nothing", async (_, filter, sentence) => {
    await world.document();

    const asked = remove(filter);

    if (sentence === null) expect(await asked).toMatchObject({ deleted: 0, more: false });
    else await expect(asked).rejects.toThrow(sentence);
    expect((await world.sql.query("select id from public.rag_documents")).length).toBe(1);
  });

  if (legName !== "postgres") return;
  describe("beside a worker that writes", () => {
    test("its document is left for the next call, without waiting for it", async () => {
      const { jobId, documentId } = await world.enqueue();
      const session = await openPostgresSession({ url: leg().url, poolMax: 1 });
      try {
        await session.script("begin");
        await session.query("select 1 from public.rag_ingestion_queue where id = $1 for update", [jobId]);

        expect(await remove({ document_ids: [documentId] })).toEqual({ deleted: 0, chunks: 0, more: true });
        await session.script("commit");
        expect(await remove({ document_ids: [documentId] })).toMatchObject({ deleted: 1, more: false });
      } finally {
        await session.close();
      }
    });
  });
});
