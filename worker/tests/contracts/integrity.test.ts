// A database that is damaged in every way: each damage is found once, and no more; repaired, it is clean.
import { beforeEach, describe, expect, test } from "vitest";
import { openPostgresSession } from "../../database/postgres-session.ts";
import type { Job } from "../../document/lease.ts";
import { findings as catalogue, type FindingCode } from "../../integrity/findings.ts";
import { runSync, type SyncRequest } from "../../integrity/sync.ts";
import { readClaimed } from "../../queue/claim.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { fence, World } from "./world.ts";

const nowhere = { documentRoot: null, storage: null, bucket: null };

describeEveryDatabase("integrity", (leg, legName) => {
  let world: World;
  let serial = 0;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_models");
  });

  /** As a restored dump, a disabled trigger or a hand at night leaves it: no foreign key looks. */
  const damage = (...statements: readonly (readonly [string, readonly unknown[]])[]) =>
    world.sql.transaction(async (session) => {
      await session.script("set local session_replication_role = replica");
      for (const [statement, values] of statements) await session.query(statement, [...values]);
    });
  async function sync(request: Partial<SyncRequest> = {}) {
    const found: { code: FindingCode; subject: string }[] = [];
    const repaired: string[] = [];
    const summary = await runSync(
      world.call,
      nowhere,
      { type: "full_sync", documentIds: null, keepOriginals: false, repair: false, ...request },
      {
        found: ({ code, subject }) => found.push({ code, subject }),
        repaired: ({ code }) => repaired.push(code),
        progress: () => {},
      },
      new AbortController().signal,
    );
    return { summary, found, repaired, codes: found.map(({ code }) => code).sort() };
  }
  async function serve(fields: Record<string, unknown> = {}): Promise<string> {
    serial += 1;
    const { documentId } = await world.enqueue({ priority: 9, ...fields });
    const { document } = await world.ingest([`one ${serial}`, `two ${serial}`], documentId);
    return document?.id ?? "";
  }
  const GHOST = "00000000-0000-4000-8000-00000000dead";

  /** Each damage of the database, and the subject that it is found by (the document itself unless said). */
  const damages: readonly {
    readonly code: FindingCode;
    readonly inflict: (id: string) => Promise<string | undefined>;
  }[] = [
    {
      code: "relationship.orphaned",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_relationships (tenant_id, source_id, target_id, relationship_type, strength)
           values ($1, $2, $3, 'cross_reference', 1)`,
          [world.tenant, id, GHOST],
        ]);
        return `${id}/${GHOST}/cross_reference`;
      },
    },
    {
      code: "chunk.orphaned",
      inflict: async (id) => {
        await damage(["delete from public.rag_documents where id = $1", [id]]);
        await damage(["delete from public.rag_ingestion_queue where document_id = $1", [id]]);
        return id;
      },
    },
    {
      code: "segment.orphaned",
      inflict: async () => {
        const id = "00000000-0000-4000-8000-00000000beef";
        await damage([
          "insert into public.rag_segments (document_id, seq, content) values ($1, 1, 'x')",
          [id],
        ]);
        return id;
      },
    },
    {
      code: "generation.orphaned",
      inflict: async () => {
        const id = "00000000-0000-4000-8000-0000000beef2";
        await damage([
          `insert into public.rag_generations (document_id, generation, content_sha256, embedding_model, dimensions,
             strategy, chunk_size, chunk_overlap, plan)
           select $1, 1, 'x', m.name, m.dimensions, 'recursive', 256, 0, 'plan' from public.rag_models m limit 1`,
          [id],
        ]);
        return id;
      },
    },
    {
      code: "original.orphaned",
      inflict: async () => {
        const id = "00000000-0000-4000-8000-0000000beef3";
        await damage([
          "insert into public.rag_originals (document_id, upload, part, parts, bytes) values ($1, 'u', 0, 1, 'x')",
          [id],
        ]);
        return id;
      },
    },
    {
      code: "chunk.no-generation",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_document_chunks select (c).* from (
             select jsonb_populate_record(c, '{"generation": 77}') as c from public.rag_document_chunks c
             where c.document_id = $1) x`,
          [id],
        ]);
        return `${id}/77`;
      },
    },
    {
      code: "document.not-live",
      inflict: async (id) => {
        await damage(["delete from public.rag_generations where document_id = $1", [id]]);
        return undefined;
      },
    },
    {
      code: "vector.missing",
      inflict: async (id) => {
        await damage([
          "delete from public.rag_document_chunks where document_id = $1 and chunk_index = 1",
          [id],
        ]);
        return undefined;
      },
    },
    {
      code: "chunk.surplus",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_document_chunks select (c).* from (
             select jsonb_populate_record(c, '{"chunk_index": 99}') as c from public.rag_document_chunks c
             where c.document_id = $1 and c.chunk_index = 0) x`,
          [id],
        ]);
        return undefined;
      },
    },
    {
      code: "vector.foreign-model",
      inflict: async (id) => {
        await damage([
          "update public.rag_document_chunks set embedding_model = 'other' where document_id = $1 and chunk_index = 0",
          [id],
        ]);
        return undefined;
      },
    },
    {
      code: "segment.missing",
      inflict: async (id) => {
        await damage(["delete from public.rag_segments where document_id = $1", [id]]);
        return undefined;
      },
    },
    {
      code: "document.foreign-model",
      inflict: async (id) => {
        await damage(
          ["update public.rag_document_chunks set embedding_model = 'older' where document_id = $1", [id]],
          ["update public.rag_generations set embedding_model = 'older' where document_id = $1", [id]],
        );
        return undefined;
      },
    },
    {
      code: "generation.unlinked",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_generations select (g).* from (
             select jsonb_populate_record(g, '{"generation": 55}') as g from public.rag_generations g
             where g.document_id = $1) x`,
          [id],
        ]);
        return undefined;
      },
    },
    {
      code: "job.orphaned",
      inflict: async () => {
        const [row] = await world.sql.transaction(async (session) => {
          await session.script("set local session_replication_role = replica");
          return session.query(
            `insert into public.rag_ingestion_queue (document_id, tenant_id, status, completed_at)
             values ($1, 'x', 'failed', now()) returning id`,
            ["00000000-0000-4000-8000-00000000f00d"],
          );
        });
        return String(row?.id);
      },
    },
    {
      code: "job.lost",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_ingestion_queue (kind, document_id, tenant_id, status, worker_id, lease_token, lease_expires_at)
           values ('relationships', $1, $2, 'processing', 'gone', 1, now() - interval '1 hour')`,
          [id, world.tenant],
        ]);
        return await newest(id);
      },
    },
    {
      code: "job.impossible",
      inflict: async (id) => {
        await damage([
          "update public.rag_ingestion_queue set completed_at = null where document_id = $1 and status = 'complete'",
          [id],
        ]);
        return await newest(id);
      },
    },
    {
      code: "job.unplaced",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_ingestion_queue (kind, document_id, tenant_id, status, run_at)
           values ('relationships', $1, $2, 'queued', now() - interval '1 hour')`,
          [id, world.tenant],
        ]);
        return await newest(id);
      },
    },
    {
      code: "job.waits-for-nothing",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_ingestion_queue (kind, document_id, tenant_id, status, position, waits_for, updated_at)
           values ('document', $1, $2, 'queued', 1, 'document', now() - interval '1 hour')`,
          [id, world.tenant],
        ]);
        return await newest(id);
      },
    },
    {
      code: "original.stale",
      inflict: async (id) => {
        await damage([
          "update public.rag_originals set created_at = now() - interval '2 days' where document_id = $1",
          [id],
        ]);
        return undefined;
      },
    },
    {
      code: "original.partial",
      inflict: async (id) => {
        await damage([
          `insert into public.rag_originals (document_id, upload, part, parts, bytes, created_at)
           values ($1, 'cut off', 0, 9, 'x', now() - interval '2 days')`,
          [id],
        ]);
        return undefined;
      },
    },
    {
      code: "source.duplicate",
      inflict: async (id) => {
        const uri = "storage://docs/twice.pdf";
        await damage(
          ["update public.rag_documents set source_uri = $2 where id = $1", [id, uri]],
          [
            "insert into public.rag_documents (tenant_id, source_uri, created_at) values ($1, $2, now() - interval '1 day')",
            [world.tenant, uri],
          ],
        );
        return [world.tenant, "default", uri].join("\u001f");
      },
    },
  ];
  const newest = async (id: string) => {
    const [row] = await world.sql.query(
      "select id from public.rag_ingestion_queue where document_id = $1 order by submitted_at desc limit 1",
      [id],
    );
    return String(row?.id);
  };

  test("a database that is in order is clean", async () => {
    await serve();
    await serve({ source_uri: "storage://docs/a.pdf" });
    const waiting = await world.enqueue();

    expect(await sync()).toMatchObject({ found: [], summary: { lookedAt: 3, findings: 0 } });
    expect(await world.statusOf(waiting.jobId)).toBe("queued");
  });

  test.each(damages)("$code is found once and no more, repaired, and found no more", async ({
    code,
    inflict,
  }) => {
    await serve();
    const id = await serve();
    const subject = (await inflict(id)) ?? id;

    const seen = await sync();
    const before = await world.sql.query(
      "select 1 from public.rag_activity_logs where activity_type = 'integrity.repaired'",
    );
    const done = await sync({ repair: true });
    const after = await sync();
    const logged = await world.sql.query(
      "select metadata from public.rag_activity_logs where activity_type = 'integrity.repaired' and metadata ->> 'subject' = $1",
      [subject],
    );

    expect(seen.found).toEqual([{ code, subject }]);
    expect(seen.summary).toMatchObject({ findings: 1, repaired: 0, byCode: { [code]: 1 } });
    expect(
      await world.sql.query(
        "select 1 from public.rag_activity_logs where activity_type = 'integrity.repaired'",
      ),
    ).toHaveLength(before.length + 1);
    expect(done).toMatchObject({ repaired: [code], summary: { repaired: 1, skipped: 0 } });
    expect(logged.map((row) => row.metadata)).toMatchObject([{ code, subject }]);
    expect(after.found).toEqual([]);
  });

  test("all of it at once: each is found once, and a second run says clean", async () => {
    // First all documents: a claim would put some of the damaged jobs right by itself.
    const ids: string[] = [];
    for (const _ of damages) ids.push(await serve());
    for (const [place, { inflict }] of damages.entries()) await inflict(ids[place] ?? "");
    const expected = damages.map(({ code }) => code);

    const seen = await sync();
    const done = await sync({ repair: true });

    expect(seen.codes).toEqual(expected.sort());
    expect(done.summary).toMatchObject({ findings: expected.length, repaired: expected.length, skipped: 0 });
    expect((await sync()).found).toEqual([]);
  });

  test("every code that is told has its two sentences, and the database's are all tried here", () => {
    const outside = Object.keys(catalogue).filter((code) => /^(file|storage)\./.test(code));
    expect([...damages.map(({ code }) => code), ...outside].sort()).toEqual(Object.keys(catalogue).sort());
  });

  test("what has no chunk is read anew from its stored text, when its upload is cleared away, and is whole again", async () => {
    const id = await serve();
    await world.sql.query("delete from public.rag_originals where document_id = $1", [id]);
    await damage(["delete from public.rag_document_chunks where document_id = $1 and chunk_index = 1", [id]]);

    await sync({ repair: true });
    const original = (await world.call("rag_read_original", {
      p_document_id: id,
      p_upload: null,
      p_part: 0,
    })) as { bytes: string };
    const job = await world.claimOne();
    const begun = await world.begin(job, `content of one ${serial}|two ${serial}`);

    expect(Buffer.from(original.bytes, "base64").toString()).toBe(`one ${serial}two ${serial}`);
    expect(job.document?.id).toBe(id);
    expect(begun.state).toBe("begun");
  });

  test("an ingested document without a generation serves again by the one that is whole, without a job", async () => {
    const id = await serve();
    await damage(["update public.rag_documents set live_generation = null where id = $1", [id]]);
    const seen = await sync();
    await sync({ repair: true });

    expect(seen.codes).toEqual(["document.not-live"]);
    expect(await world.liveTexts(id)).toEqual([`one ${serial}`, `two ${serial}`]);
  });

  test("the newest content of a source serves, and the other is kept, unread, until it has newer content", async () => {
    const older = await serve();
    const newer = await serve();
    await damage(
      [
        "update public.rag_documents set source_uri = 'storage://docs/x.pdf' where id in ($1, $2)",
        [older, newer],
      ],
      ["update public.rag_documents set ingested_at = now() - interval '1 hour' where id = $1", [older]],
    );
    const other = await serve();
    await damage([
      "update public.rag_documents set source_uri = 'storage://docs/x.pdf', tenant_id = 'somebody-else' where id = $1",
      [other],
    ]);

    await sync({ type: "conflict_resolution", repair: true });

    expect(await world.documentRow(older)).toMatchObject({ replaced_by: newer, live_generation: null });
    expect(await world.liveTexts(older)).toEqual([]);
    expect(
      await world.sql.query("select 1 from public.rag_document_chunks where document_id = $1", [older]),
    ).toHaveLength(2);
    await world.call("rag_collect_garbage", { p_limit: 100, p_keep_originals: true });
    expect(
      await world.sql.query("select 1 from public.rag_document_chunks where document_id = $1", [older]),
    ).toHaveLength(2);
    expect(
      await world.call("rag_upsert_document", {
        p_request: { tenant_id: world.tenant, source_uri: "storage://docs/x.pdf" },
      }),
    ).toMatchObject({ document_id: newer, created: false });

    await world.ingest(["newest"], older);
    const again = await sync();
    await sync({ repair: true });

    expect(again.codes).toEqual(["source.duplicate"]);
    expect(await world.documentRow(newer)).toMatchObject({ replaced_by: older, live_generation: null });
    expect(await world.liveTexts(older)).toEqual(["newest"]);
  });

  test("only what concerns the named documents is looked at", async () => {
    const one = await serve();
    const two = await serve();
    await damage(["delete from public.rag_document_chunks where chunk_index = 1", []]);

    const seen = await sync({ type: "incremental_sync", documentIds: [one] });

    expect(seen.found).toEqual([{ code: "vector.missing", subject: one }]);
    expect(seen.summary.lookedAt).toBe(1);
    expect((await sync()).found.map(({ subject }) => subject).sort()).toEqual([one, two].sort());
  });

  test("pages end where they should, whatever their size", async () => {
    const ids: string[] = [];
    for (let place = 0; place < 5; place += 1) {
      ids.push(await serve());
      await damage([
        `insert into public.rag_relationships (tenant_id, source_id, target_id, relationship_type, strength)
         values ($1, $2, $3, 'cross_reference', 1)`,
        [world.tenant, ids[place], GHOST],
      ]);
    }
    await damage(["delete from public.rag_document_chunks where chunk_index = 1", []]);
    for (const area of ["relationships", "documents"]) {
      const subjects: string[] = [];
      let after: string | null = null;
      for (let page = 0; page < 10; page += 1) {
        const answer = (await world.call("rag_validate", { p_area: area, p_after: after, p_limit: 2 })) as {
          findings: { subject: string }[];
          next: string | null;
        };
        expect(answer.findings.length).toBeLessThanOrEqual(2);
        subjects.push(...answer.findings.map(({ subject }) => subject.slice(0, 36)));
        after = answer.next;
        if (after === null) break;
      }
      expect(after).toBeNull();
      expect(subjects).toEqual([...ids].sort());
    }
  });

  test("a document that has a job is neither reported nor repaired", async () => {
    const id = await serve();
    await damage(["delete from public.rag_document_chunks where document_id = $1 and chunk_index = 1", [id]]);
    const [finding] = (await sync()).found;
    await world.enqueue({ document_id: id });
    const job = await world.claimOne();
    const before = await world.picture(job);

    const answer = await world.call("rag_repair", { p_findings: [{ ...finding, document_id: id }] });

    expect(answer).toEqual({
      state: "repaired",
      repaired: [],
      skipped: [{ code: "vector.missing", subject: id }],
    });
    expect(await world.picture(job)).toEqual(before);
    expect((await sync()).found).toEqual([]);
  });

  test("a repair that is sent twice, or comes when all is in order, changes nothing", async () => {
    const id = await serve();
    await damage([
      `insert into public.rag_document_chunks select (c).* from (
         select jsonb_populate_record(c, '{"chunk_index": 99}') as c from public.rag_document_chunks c
         where c.document_id = $1 and c.chunk_index = 0) x`,
      [id],
    ]);
    const p_findings = [{ code: "chunk.surplus", subject: id, document_id: id, tenant_id: world.tenant }];

    const first = await world.call("rag_repair", { p_findings });
    const second = await world.call("rag_repair", { p_findings });

    expect(first).toMatchObject({ repaired: [{ action: "removed" }], skipped: [] });
    expect(second).toMatchObject({ repaired: [], skipped: [{ code: "chunk.surplus" }] });
    expect(await world.liveTexts(id)).toHaveLength(2);
  });

  test("jobs of the kind sync: one at a time, told what they were asked, and stale ones repair nothing", async () => {
    const task = (await world.call("rag_upsert_entity", {
      p_request: { tenant_id: world.tenant, entity_type: "task", entity_id: "7", content: "x" },
    })) as { document_id: string };
    const ask = (sync: Record<string, unknown>) =>
      world.call("rag_enqueue", { p_request: { kind: "sync", tenant_id: world.tenant, sync } });
    await ask({
      type: "incremental_sync",
      entities: [{ entity_type: "task", entity_id: "7" }],
      repair: true,
    });
    await ask({ type: "data_validation" });
    const { jobs } = readClaimed(
      await world.call("rag_claim_jobs", {
        p_worker: "worker-a",
        p_slots: 2,
        p_kinds: ["sync"],
        p_lease_seconds: 60,
      }),
    );
    const begin = (job: Job | undefined, token = job?.lease.token) =>
      world.call("rag_begin_sync", { p_job_id: job?.id, p_lease_token: token });
    const [first, second] = [...jobs].sort((a, b) => Number(BigInt(a.lease.token) - BigInt(b.lease.token)));

    const asked = await begin(first);
    expect([asked, await begin(second)]).toMatchObject([{ state: "begun" }, { state: "busy" }]);
    expect(await begin(first, "1")).toEqual({ state: "lease_lost" });
    const sync = [asked as { sync: unknown; document_ids: unknown }];
    expect(sync.map((one) => [one.sync, one.document_ids])).toEqual([
      [
        { type: "incremental_sync", entities: [{ entity_type: "task", entity_id: "7" }], repair: true },
        [task.document_id],
      ],
    ]);
    expect(
      await world.call("rag_repair", {
        p_findings: [{ code: "chunk.surplus", subject: task.document_id, document_id: task.document_id }],
        p_job_id: first?.id,
        p_lease_token: "1",
      }),
    ).toEqual({ state: "lease_lost" });
  });

  test("on an interval one job is made of many asks, and none while one is under way", async () => {
    const ask = () => world.call("rag_enqueue_due_sync", { p_minutes: 60, p_repair: true });

    expect(await ask()).toEqual({ state: "queued" });
    expect(await ask()).toEqual({ state: "under_way" });
    await world.sql.query("update public.rag_ingestion_queue set status = 'complete', completed_at = now()");
    expect(await ask()).toEqual({ state: "duplicate" });
    const jobs = await world.sql.query("select kind, sync from public.rag_ingestion_queue");
    expect(jobs).toEqual([{ kind: "sync", sync: { type: "full_sync", repair: true } }]);
  });

  test.each([
    ["an unknown type", { type: "all" }, /No sync is called all/],
    ["no names for an incremental one", { type: "incremental_sync" }, /names its document_ids or entities/],
    ["half an id", { document_ids: ["6f2c"] }, /whole ids/],
    ["a text for repair", { repair: "yes" }, /repair true or false/],
    ["an unknown field", { typ: "full_sync" }, /Unknown fields/],
  ])("%s is refused", async (_, sync, sentence) => {
    await expect(world.call("rag_enqueue", { p_request: { kind: "sync", sync } })).rejects.toThrow(sentence);
    expect(await world.sql.query("select 1 from public.rag_ingestion_queue")).toEqual([]);
  });

  test("an area or a finding that nobody knows is refused", async () => {
    const id = await serve();
    await expect(world.call("rag_validate", { p_area: "everything" })).rejects.toThrow(/No area is called/);
    await expect(
      world.call("rag_repair", { p_findings: [{ code: "x.y", subject: id, document_id: id }] }),
    ).rejects.toThrow(/No finding is called/);
  });

  if (legName !== "postgres") return;
  describe("beside others", () => {
    test("a document that somebody holds is left, without waiting for it", async () => {
      const id = await serve();
      await damage([
        "delete from public.rag_document_chunks where document_id = $1 and chunk_index = 1",
        [id],
      ]);
      const session = await openPostgresSession({ url: leg().url, poolMax: 1 });
      try {
        await session.script("begin");
        await session.query("select 1 from public.rag_documents where id = $1 for no key update", [id]);
        const held = await sync({ repair: true });
        await session.script("commit");

        expect(held.summary).toMatchObject({ findings: 1, repaired: 0, skipped: 1 });
        expect((await sync({ repair: true })).summary).toMatchObject({ findings: 1, repaired: 1 });
      } finally {
        await session.close();
      }
    });

    test("two replicas that ask in the same moment make one job", async () => {
      const answers = await Promise.all(
        Array.from({ length: 6 }, () =>
          world.call("rag_enqueue_due_sync", { p_minutes: 5, p_repair: false }),
        ),
      );
      expect(await world.sql.query("select 1 from public.rag_ingestion_queue")).toHaveLength(1);
      expect(answers.filter((answer) => (answer as { state: string }).state === "queued")).toHaveLength(1);
    });
  });

  test("a worker's own claim is not in the way of its sync", async () => {
    const { jobId } = await world.enqueue();
    const job = await world.claimOne();
    expect(job.id).toBe(jobId);
    expect((await sync()).found).toEqual([]);
    await world.call("rag_release_job", {
      ...fence(job),
      p_delay_seconds: 0,
      p_error_code: null,
      p_error_detail: null,
    });
  });
});
