// How documents relate: each type found by its own rule, both ends kept right by either's job, gone with its evidence.
import { beforeEach, describe, expect, test } from "vitest";
import { openPostgresSession } from "../../database/postgres-session.ts";
import { readClaimed } from "../../queue/claim.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

type Link = {
  readonly relationship_type: string;
  readonly direction: string;
  readonly strength: number;
  readonly document_id: string | null;
  readonly reference: string | null;
  readonly metadata: Record<string, unknown>;
};

describeEveryDatabase("relationships", (leg, legName) => {
  let world: World;
  let serial = 0;
  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  /** A document that serves one chunk with this vector; answers its id. */
  async function serve(
    fields: Record<string, unknown> = {},
    text = "plain words",
    vector = [0, 0, 1],
    section: string | null = null,
  ): Promise<string> {
    serial += 1;
    const { documentId } = await world.enqueue({ priority: 9, ...fields });
    const job = await world.claimOne();
    await world.begin(job, `content ${serial}`);
    await world.call("rag_stage_segments", {
      ...fence(job),
      p_segments: [{ seq: 1, content: text, section }],
      p_complete: true,
      p_media_type: "text/plain",
    });
    await world.stage(job, [chunk(0, `${text} ${serial}`, JSON.stringify(vector))]);
    await world.complete(job, 1);
    return documentId;
  }
  const entity = (id: string, fields: Record<string, unknown> = {}) => ({
    external_id: id,
    collection: "kanban_tasks",
    document_kind: "entity",
    content: id,
    metadata: { entity_type: "task" },
    ...fields,
  });
  const file = (uri: string, fields: Record<string, unknown> = {}) => ({ source_uri: uri, ...fields });
  const relate = async (id: string, patterns?: readonly string[]) =>
    (await world.call("rag_find_relationships", {
      p_document_id: id,
      ...(patterns && { p_patterns: patterns }),
    })) as { state: string; relationships: Record<string, number>; unresolved: number };
  const relateAll = async (...ids: readonly string[]) => {
    for (const id of ids) await relate(id);
  };
  const related = async (id: string, types: readonly string[] | null = null, unresolved = false) =>
    (await world.call("rag_related", {
      p_document_id: id,
      p_types: types,
      p_unresolved: unresolved,
    })) as readonly Link[];
  const partners = async (id: string, type: string) =>
    (await related(id, [type])).map((link) => `${link.direction} ${link.document_id}`).sort();
  const remove = (id: string) => world.call("rag_delete_documents", { p_filter: { document_ids: [id] } });

  describe("semantic similarity", () => {
    test("has the cosine for its strength, stands in both directions, and leaves out what is less alike", async () => {
      const one = await serve({}, "a", [1, 0, 0]);
      const near = await serve({}, "b", [0.8, 0.6, 0]);
      const far = await serve({}, "c", [0.69, 0.72, 0]);
      await relateAll(near, far, one);

      const links = await related(one, ["semantic_similarity"]);

      expect(links).toMatchObject([{ direction: "both", document_id: near }]);
      expect(links[0]?.strength).toBeCloseTo(0.8, 2);
      expect(links[0]?.metadata).toEqual({ model: "contract-model" });
      expect((await related(near, ["semantic_similarity"])).map((link) => link.document_id).sort()).toEqual(
        [one, far].sort(),
      );
    });

    test("keeps the twenty best of each end, and a pair while it is among either's", async () => {
      const at = (degrees: number) => [
        Math.cos((degrees * Math.PI) / 180),
        Math.sin((degrees * Math.PI) / 180),
        0,
      ];
      const hub = await serve({}, "hub", at(0));
      await relate(hub);
      const others: string[] = [];
      for (let place = 1; place <= 22; place += 1) others.push(await serve({}, `o${place}`, at(place)));
      // The furthest first: each finds the hub, for those between them are not related yet.
      await relateAll(...others.toReversed());

      expect(await related(hub, ["semantic_similarity"])).toHaveLength(22);
      // Once they are related again, the two furthest have twenty that are nearer than the hub, and so has the hub.
      await relateAll(hub, ...others);
      const left = (await related(hub, ["semantic_similarity"])).map((link) => link.document_id);
      expect(left).toHaveLength(20);
      expect(left).not.toContain(others[21]);
      expect(left).not.toContain(others[20]);
    });

    test("follows a document whose content changed, from its own job alone", async () => {
      const one = await serve({}, "a", [1, 0, 0]);
      const two = await serve({}, "b", [1, 0, 0]);
      const three = await serve({}, "c", [0, 1, 0]);
      await relateAll(one, two, three);
      expect(await partners(one, "semantic_similarity")).toEqual([`both ${two}`]);

      await serve({ document_id: one }, "changed", [0, 1, 0]);
      await relate(one);

      expect(await partners(one, "semantic_similarity")).toEqual([`both ${three}`]);
      expect(await partners(two, "semantic_similarity")).toEqual([]);
      expect(await partners(three, "semantic_similarity")).toEqual([`both ${one}`]);
    });

    test("the vector of a document is the mean of its chunks' directions, and goes with its generation", async () => {
      const { documentId } = await world.enqueue();
      const job = await world.claimOne();
      await world.begin(job, "two chunks");
      await world.call("rag_stage_segments", {
        ...fence(job),
        p_segments: [{ seq: 1, content: "ab" }],
        p_complete: true,
        p_media_type: "text/plain",
      });
      await world.stage(job, [chunk(0, "a", "[3,0,0]"), chunk(1, "b", "[0,1,0]")]);
      await world.complete(job, 2);
      await relate(documentId);
      const [row] = await world.sql.query(
        "select embedding::text as v from public.rag_document_vectors where document_id = $1",
        [documentId],
      );
      const vector = JSON.parse(String(row?.v)) as number[];

      expect(vector[0]).toBeCloseTo(Math.SQRT1_2, 2);
      expect(vector[1]).toBeCloseTo(Math.SQRT1_2, 2);
      await serve({ document_id: documentId }, "new", [0, 0, 1]);
      await world.call("rag_collect_garbage", { p_limit: 100, p_keep_originals: true });
      expect(await world.sql.query("select 1 from public.rag_document_vectors")).toEqual([]);
    });
  });

  describe("topical relevance", () => {
    test("is what both are tagged with over what either is, whatever the case", async () => {
      const one = await serve({ tags: ["Roof", "house", "tools"] });
      const two = await serve({ tags: ["roof", "HOUSE", "garden"] });
      const other = await serve({ tags: ["sea"] });
      await relateAll(one, two, other);

      const links = await related(two, ["topical_relevance"]);

      expect(links).toMatchObject([{ document_id: one, direction: "both" }]);
      expect(links[0]?.strength).toBeCloseTo(0.5, 5);
      expect(links[0]?.metadata).toEqual({ shared: ["house", "roof"] });
    });

    test("ends with the last shared tag", async () => {
      const one = await serve({ tags: ["roof"] });
      const two = await serve({ tags: ["roof"] });
      await relateAll(one, two);
      await world.document({ document_id: one, tags: ["sea"] });
      await relate(one);

      expect(await related(two, ["topical_relevance"])).toEqual([]);
    });
  });

  describe("cross reference", () => {
    test("is resolved to the entity it names, at full strength, with how often it is said", async () => {
      const task = await serve(entity("ab-1"));
      const page = await serve({}, "See task:ab-1, and again task:ab-1.");
      await relateAll(task, page);

      expect(await related(page, ["cross_reference"])).toMatchObject([
        {
          direction: "out",
          document_id: task,
          strength: 1,
          metadata: { evidence: [{ by: "text", name: "task:ab-1", mentions: 2 }] },
        },
      ]);
      expect(await partners(task, "cross_reference")).toEqual([`in ${page}`]);
    });

    test("waits for a target that is not there, is resolved when it comes, and waits again when it goes", async () => {
      const page = await serve({}, "See task:ab-1.");
      expect(await relate(page)).toMatchObject({ unresolved: 1 });
      expect(await related(page, null, true)).toMatchObject([
        { document_id: null, reference: "task:ab-1", relationship_type: "cross_reference" },
      ]);

      const task = await serve(entity("ab-1"));
      await relate(task);
      expect(await partners(page, "cross_reference")).toEqual([`out ${task}`]);
      expect((await related(page, null, true)).filter((link) => link.document_id === null)).toEqual([]);

      await remove(task);
      expect(await related(page, null, true)).toMatchObject([{ document_id: null, reference: "task:ab-1" }]);
      const again = await serve(entity("ab-1"));
      await relate(again);
      expect(await partners(page, "cross_reference")).toEqual([`out ${again}`]);
    });

    test("ends when the text says it no more", async () => {
      const task = await serve(entity("ab-1"));
      const page = await serve({}, "See task:ab-1.");
      await relateAll(task, page);
      await serve({ document_id: page }, "See nothing.");
      await relate(page);

      expect(await related(task, ["cross_reference"])).toEqual([]);
      expect(await related(page, null, true)).not.toContainEqual(
        expect.objectContaining({ relationship_type: "cross_reference" }),
      );
    });

    test("looks as the patterns say", async () => {
      const ticket = await serve({
        external_id: "ticket:12",
        collection: "cross_references",
        document_kind: "entity",
        content: "t",
        metadata: { entity_type: "ticket" },
      });
      const page = await serve({}, "See ticket:12 and task:ab.");
      await relate(ticket);
      await relate(page, ["(ticket):(\\d+)"]);

      expect(await partners(page, "cross_reference")).toEqual([`out ${ticket}`]);
      expect((await related(page, null, true)).filter((link) => link.document_id === null)).toEqual([]);
    });
  });

  describe("sequential dependency", () => {
    test("follows metadata after and depends_on, by entity, external id and document id", async () => {
      const first = await serve(entity("t-1"));
      const second = await serve(
        entity("t-2", { metadata: { entity_type: "task", depends_on: ["t-1", "task:t-9"] } }),
      );
      const plain = await serve({ external_id: "plain-1" });
      const later = await serve({ metadata: { after: "plain-1" } });
      const latest = await serve({ metadata: { after: [later] } });
      await relateAll(latest, later, plain, second, first);

      expect(await partners(second, "sequential_dependency")).toEqual([`out ${first}`]);
      expect((await related(second, null, true)).filter((link) => link.document_id === null)).toMatchObject([
        { relationship_type: "sequential_dependency", reference: "task:t-9" },
      ]);
      expect(await partners(later, "sequential_dependency")).toEqual([`in ${latest}`, `out ${plain}`]);
    });

    test("joins each version to the one before it, also when one comes between them and when it goes", async () => {
      const version = (name: string) => serve({ title: "Weekly sync", version: name });
      const two = await version("H-2");
      const ten = await version("H-10");
      await relateAll(two, ten);
      expect(await partners(ten, "sequential_dependency")).toEqual([`out ${two}`]);

      const three = await version("H-3");
      await relate(three);
      expect(await partners(ten, "sequential_dependency")).toEqual([`out ${three}`]);
      expect(await partners(two, "sequential_dependency")).toEqual([`in ${three}`]);

      await remove(three);
      expect(await partners(ten, "sequential_dependency")).toEqual([`out ${two}`]);
    });
  });

  describe("conceptual hierarchy", () => {
    test("has the nearest folder's document for parent, whichever comes first, and the next one when that goes", async () => {
      const top = await serve(file("file:///guide.md"));
      const leaf = await serve(file("file:///guide/deep/leaf.md"));
      await relateAll(leaf, top);
      const far = await related(leaf, ["conceptual_hierarchy"]);
      const middle = await serve(file("file:///guide/deep/README.md"));
      await relate(middle);
      const near = await related(leaf, ["conceptual_hierarchy"]);
      const above = await partners(middle, "conceptual_hierarchy");
      await remove(middle);

      expect(far).toMatchObject([{ document_id: top, direction: "out" }]);
      expect(far[0]?.strength).toBeCloseTo(0.81, 5);
      expect(near).toMatchObject([{ document_id: middle }]);
      expect(near[0]?.strength).toBeCloseTo(0.9, 5);
      expect(above).toEqual([`in ${leaf}`, `out ${top}`]);
      expect(await partners(leaf, "conceptual_hierarchy")).toEqual([`out ${top}`]);
    });

    test("is stated by metadata, and by a heading that is the other's title", async () => {
      const parent = await serve(
        { external_id: "p", title: "Handbook" },
        "text",
        [0, 0, 1],
        "Handbook > Safe roofs",
      );
      const stated = await serve({ metadata: { parent: "p" } });
      const headed = await serve({ title: "Safe  Roofs" });
      await relateAll(parent, stated, headed);

      expect(await related(stated, ["conceptual_hierarchy"])).toMatchObject([
        { document_id: parent, strength: 1 },
      ]);
      const links = await related(headed, ["conceptual_hierarchy"]);
      expect(links).toMatchObject([{ document_id: parent, direction: "out" }]);
      expect(links[0]?.strength).toBeCloseTo(0.6, 5);
    });

    test("is not seen in a heading that many documents have", async () => {
      const named = await serve({ title: "Introduction" });
      const books: string[] = [];
      for (let place = 0; place < 4; place += 1)
        books.push(await serve({ title: `Book ${place}` }, "text", [0, 0, 1], "Introduction"));
      await relateAll(named, ...books.slice(0, 3));
      const three = await related(named, ["conceptual_hierarchy"]);
      await relate(books[3] ?? "");

      expect(three).toHaveLength(3);
      expect(await related(named, ["conceptual_hierarchy"])).toEqual([]);
    });
  });

  test("nothing crosses tenants, however alike, and an entity of another tenant is not the one that is named", async () => {
    const other = `${world.tenant}-2`;
    const mine = await serve(
      { tags: ["roof"], title: "Plan", version: "1" },
      "See task:ab and file.",
      [1, 0, 0],
    );
    const theirs = await serve(
      entity("ab", { tenant_id: other, tags: ["roof"], title: "Plan", version: "2" }),
      "x",
      [1, 0, 0],
    );
    await relateAll(theirs, mine, theirs);

    expect(await world.sql.query("select 1 from public.rag_relationships")).toEqual([]);
    expect(await related(mine, null, true)).toMatchObject([{ document_id: null, reference: "task:ab" }]);
  });

  test("relationships between two others stay untouched, and a second run changes nothing", async () => {
    const one = await serve({ tags: ["a"] }, "x", [1, 0, 0]);
    const two = await serve({ tags: ["a"] }, "y", [1, 0, 0]);
    const three = await serve({ tags: ["b"] }, "z", [0, 1, 0]);
    await relateAll(one, two, three, one);
    const picture = () =>
      world.sql.query(
        "select source_id, target_id, relationship_type, strength, metadata, own, updated_at from public.rag_relationships order by 1, 2, 3",
      );
    const before = await picture();

    const again = await relate(one);
    await serve({ document_id: three }, "new", [0, 0, 1]);
    await relate(three);

    expect(again).toMatchObject({ state: "related", written: 0, removed: 0 });
    expect(await picture()).toEqual(before);
  });

  test("a deleted document leaves no relationship, and one that is gone is told as gone", async () => {
    const one = await serve({ tags: ["a"] });
    const two = await serve({ tags: ["a"] });
    await relateAll(one, two);
    await remove(one);

    expect(await related(two)).toEqual([]);
    expect(await relate(one)).toEqual({ state: "gone" });
  });

  test("a worker whose lease is lost writes nothing", async () => {
    const one = await serve({ tags: ["a"] });
    const two = await serve({ tags: ["a"] });
    await relate(two);
    const enqueued = await world.enqueue({ document_id: one, kind: "relationships" });
    const [job] = readClaimed(
      await world.call("rag_claim_jobs", {
        p_worker: "worker-a",
        p_slots: 1,
        p_kinds: ["relationships"],
        p_lease_seconds: 60,
      }),
    ).jobs;
    expect(job?.id).toBe(enqueued.jobId);
    const as = (token: string) =>
      world.call("rag_find_relationships", {
        p_document_id: one,
        p_job_id: job?.id,
        p_lease_token: token,
      });

    expect(await as(String(BigInt(job?.lease.token ?? "0") - 1n))).toEqual({ state: "lease_lost" });
    expect(await world.sql.query("select 1 from public.rag_relationships")).toEqual([]);
    expect(await as(job?.lease.token ?? "")).toMatchObject({ state: "related" });
    expect(await partners(two, "topical_relevance")).toEqual([`both ${one}`]);
  });

  test("a job waits for the document's own, and a call by hand does not", async () => {
    const id = await serve({ tags: ["a"] });
    await world.enqueue({ document_id: id, kind: "relationships" });
    const [job] = readClaimed(
      await world.call("rag_claim_jobs", {
        p_worker: "worker-a",
        p_slots: 1,
        p_kinds: ["relationships"],
        p_lease_seconds: 60,
      }),
    ).jobs;
    const asJob = { p_document_id: id, p_job_id: job?.id, p_lease_token: job?.lease.token };
    await world.enqueue({ document_id: id });

    expect(await world.call("rag_find_relationships", asJob)).toEqual({ state: "pending" });
    expect(await relate(id)).toMatchObject({ state: "related" });
    await serve({ document_id: id });
    expect(await world.call("rag_find_relationships", asJob)).toMatchObject({ state: "related" });
  });

  test("what goes live is queued to be related when that is asked for, once", async () => {
    const go = async () => {
      await world.enqueue({ document_id: id });
      const job = await world.claimOne();
      await world.begin(job, `content ${serial}`);
      return await world.call("rag_complete_job", {
        ...fence(job),
        p_chunks: 1,
        p_segments: 1,
        p_relate: true,
      });
    };
    const id = await serve();
    const queued = () =>
      world.sql.query(
        "select document_id, status, tenant_id from public.rag_ingestion_queue where kind = 'relationships'",
      );
    expect(await queued()).toEqual([]);

    expect(await go()).toMatchObject({ state: "complete" });
    await go();

    expect(await queued()).toEqual([{ document_id: id, status: "queued", tenant_id: world.tenant }]);
  });

  test("what serves is listed page by page, with how much there is", async () => {
    const ids = [
      await serve({ collection: "hr" }),
      await serve({ collection: "hr" }),
      await serve({ collection: "it" }),
    ];
    await world.document();
    const list = (filter: Record<string, unknown>, after: string | null, limit = 1) =>
      world.call("rag_list_relatable", { p_filter: filter, p_after: after, p_limit: limit });
    const hr = ids.slice(0, 2).sort();

    expect(await list({}, null, 9)).toEqual({ document_ids: [...ids].sort(), total: 3 });
    expect(await list({ collection: "hr" }, null)).toEqual({ document_ids: [hr[0]], total: 2 });
    expect(await list({ collection: "hr" }, hr[0] ?? "")).toEqual({ document_ids: [hr[1]], total: null });
    expect(await list({ document_ids: [ids[2]] }, null)).toMatchObject({ document_ids: [ids[2]] });
    await relateAll(...ids);
    expect(await list({ collection: "hr" }, null, 0)).toEqual({
      document_ids: [],
      total: 2,
      relationships: { semantic_similarity: 4 },
      unresolved: 0,
    });
    await expect(list({ colection: "hr" }, null)).rejects.toThrow(/Unknown fields/);
  });

  if (legName !== "postgres") return;
  describe("on real Postgres", () => {
    test("a tenant above the scan's size is searched by the index, which finds what a scan would", async () => {
      const one = await serve({}, "a", [1, 0.1, 0.2]);
      await world.sql.query(
        `with d as (insert into public.rag_documents (tenant_id, title, status, live_generation)
           select $1, 'other', 'ingested', 1 from generate_series(1, 5200) returning id),
         g as (insert into public.rag_generations (document_id, generation, content_sha256, embedding_model, dimensions,
             strategy, chunk_size, chunk_overlap, plan, state)
           select id, 1, id::text, 'contract-model', 3, 'recursive', 1, 0, 'p', 'live' from d returning document_id)
         insert into public.rag_document_vectors (document_id, model, generation, tenant_id, dimensions, embedding)
         select document_id, 'contract-model', 1, $1, 3, ('[' || random() - 0.5 || ',' || random() - 0.5 || ','
           || random() - 0.5 || ']')::extensions.vector::extensions.halfvec from g`,
        [world.tenant],
      );
      await relate(one);

      const nearest = await world.sql.query(
        `select document_id from public.rag_document_vectors where document_id <> $1
         order by embedding operator(extensions.<=>)
           (select embedding from public.rag_document_vectors where document_id = $1) limit 20`,
        [one],
      );
      const [index] = await world.sql.query(
        `select count(*)::integer as n from pg_indexes
         where indexname like 'rag_document_vectors_%' and indexdef like '%hnsw%'`,
      );
      const found = new Set((await related(one, ["semantic_similarity"])).map((link) => link.document_id));
      expect(index?.n).toBe(1);
      expect(found.size).toBe(20);
      // An index may miss one of twenty, and half precision may change two that are alike to the fourth digit.
      expect(nearest.filter((row) => found.has(String(row.document_id))).length).toBeGreaterThanOrEqual(18);
    });

    test("two documents that are related at the same moment end with both their pairs, whole", async () => {
      const ids: string[] = [];
      for (let place = 0; place < 6; place += 1)
        ids.push(await serve({ tags: ["a"] }, `t${place}`, [1, 0, 0]));

      await Promise.all([...ids, ...ids].map((id) => relate(id)));

      for (const id of ids) {
        expect(await partners(id, "semantic_similarity")).toHaveLength(5);
        expect(await partners(id, "topical_relevance")).toHaveLength(5);
      }
    });

    test("a document that is being deleted is not waited for", async () => {
      const one = await serve({ tags: ["a"] });
      const two = await serve({ tags: ["a"] });
      const session = await openPostgresSession({ url: leg().url, poolMax: 1 });
      try {
        await relate(two);
        await session.script("begin");
        await session.query("select 1 from public.rag_documents where id = $1 for update", [two]);

        expect(await relate(two)).toEqual({ state: "busy" });
        expect(await relate(one)).toMatchObject({ state: "related" });
        expect(await related(one)).toEqual([]);
      } finally {
        await session.script("rollback");
        await session.close();
      }
    });
  });
});
