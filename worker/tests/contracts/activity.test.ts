// The activity log's table: stored once, in the month in which it happened, gone when its time is over.
import { randomUUID } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { World } from "./world.ts";

const DAY_MS = 86_400_000;

describeEveryDatabase("activity", (leg, legName) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_activity_logs");
  });

  const row = (fields: Record<string, unknown> = {}) => ({
    log_id: randomUUID(),
    activity_type: "message_sent",
    activity_status: "success",
    age_ms: 0,
    ...fields,
  });
  const append = (rows: readonly Record<string, unknown>[]) =>
    world.call("rag_append_activity", { p_rows: rows });
  const stored = () => world.sql.query("select * from public.rag_activity_logs order by created_at");
  const months = async () =>
    (
      await world.sql.query(
        "select relname from pg_class where relname ~ '^rag_activity_logs_[0-9]{4}_[0-9]{2}$' order by 1",
      )
    ).map((table) => String(table.relname));

  test("a batch that is sent twice is stored once", async () => {
    const batch = [row({ message_content: "hello", metadata: { a: 1 } }), row({ similarity_score: 0.5 })];

    expect(await append(batch)).toEqual({ stored: 2 });
    expect(await append(batch)).toEqual({ stored: 0 });
    expect(await stored()).toMatchObject([
      { message_content: "hello", metadata: { a: 1 } },
      { similarity_score: 0.5, activity_status: "success" },
    ]);
    expect(await append([])).toEqual({ stored: 0 });
  });

  test("what happened long ago lies in its own month, and old months go as a whole", async () => {
    await append([row({ age_ms: 400 * DAY_MS }), row({ age_ms: 70 * DAY_MS }), row()]);
    const before = await months();

    const kept = await world.call("rag_drop_activity", { p_days: 365 });
    const after = await months();

    // Nothing is older than a year when it comes.
    expect(kept).toEqual({ dropped: 0 });
    expect(after).toEqual(before);
    expect(before.length).toBeGreaterThanOrEqual(13);
    const ended = before.filter((name) => endOfMonth(name) < Date.now() - 40 * DAY_MS);
    expect(await world.call("rag_drop_activity", { p_days: 40 })).toEqual({ dropped: ended.length });
    expect(await months()).toEqual(before.filter((name) => !ended.includes(name)));
    expect(await stored()).toHaveLength(1);
  });

  test("a month that is made while we run is as closed to strangers as the schema", async () => {
    await append([row({ age_ms: 100 * DAY_MS })]);
    const open = await world.sql.query(
      `select c.relname from pg_class c where c.relname like 'rag\\_activity\\_logs%' and c.relkind in ('r', 'p')
         and (not c.relrowsecurity or exists (select 1 from aclexplode(c.relacl) a
           left join pg_roles r on r.oid = a.grantee where a.grantee = 0 or r.rolname in ('anon', 'authenticated')))`,
    );

    expect(open).toEqual([]);
  });

  test("an unknown status is refused, and nothing of its batch is stored", async () => {
    await expect(append([row(), row({ activity_status: "fine" })])).rejects.toMatchObject({
      code: "database.rejected",
    });
    expect(await stored()).toEqual([]);
  });

  test("a tenant's, a user's, a session's and a document's entries are erased, and only these", async () => {
    const id = await world.document();
    await append([
      row({ tenant_id: "t", user_id: "ann", message_content: "1" }),
      row({ tenant_id: "t", user_id: "bob", message_content: "2" }),
      row({ session_id: "s", message_content: "3" }),
      row({ document_id: id, message_content: "4" }),
      row({ message_content: "5" }),
    ]);
    const left = async () => (await stored()).map((entry) => entry.message_content).sort();
    const erase = (filter: Record<string, unknown>) =>
      world.call("rag_erase_activity", { p_filter: filter, p_limit: 100 });

    expect(await erase({ tenant_id: "t", user_id: "ann" })).toEqual({ erased: 1, more: false });
    expect(await erase({ session_id: "s" })).toEqual({ erased: 1, more: false });
    expect(await left()).toEqual(["2", "4", "5"]);
    await world.call("rag_delete_documents", { p_filter: { document_ids: [id] } });
    expect(await left()).toEqual(["2", "5"]);
    await expect(erase({})).rejects.toThrow(/Say whose activity/);
    await expect(erase({ tenant: "t" })).rejects.toThrow(/Unknown fields/);
    expect(await left()).toEqual(["2", "5"]);
  });

  test("what happened to a job is read in order, and on from where it was read before", async () => {
    const { jobId, documentId } = await world.enqueue();
    const of = { job_id: jobId, document_id: documentId };
    const id = (at: number) => `0198${String(at).padStart(4, "0")}-0000-7000-8000-${randomUUID().slice(-12)}`;
    await append([
      row({ ...of, log_id: id(1), activity_type: "job.claimed", metadata: { attempt: 1 } }),
      row({
        ...of,
        log_id: id(2),
        activity_type: "job.failed",
        activity_status: "error",
        error_type: "extract.encrypted",
      }),
      row({ document_id: documentId, activity_type: "job.claimed" }),
    ]);
    const read = (after: string | null = null, limit = 1000) =>
      world.call("rag_read_activity", { p_job_id: jobId, p_after: after, p_limit: limit }) as Promise<
        readonly { log_id: string; type: string }[]
      >;

    const all = await read();
    expect(all).toMatchObject([
      { type: "job.claimed", status: "success", metadata: { attempt: 1 } },
      { type: "job.failed", status: "error", code: "extract.encrypted" },
    ]);
    expect(await read(null, 1)).toEqual([all[0]]);
    expect(await read(String(all[0]?.log_id))).toEqual([all[1]]);
    expect(await read(String(all[1]?.log_id))).toEqual([]);
    const unknown = await world.call("rag_read_activity", {
      p_job_id: documentId,
      p_after: null,
      p_limit: 9,
    });
    expect(unknown).toBeNull();
  });

  if (legName === "embedded") return;
  test("two writers in a new month's first moment both get in", async () => {
    const batches = Array.from({ length: 4 }, () => [row({ age_ms: 200 * DAY_MS })]);

    await Promise.all(batches.map(append));

    expect(await stored()).toHaveLength(4);
  });
});

function endOfMonth(table: string): number {
  const [year, month] = table.slice(-7).split("_").map(Number);
  return Date.UTC(year ?? 0, month ?? 0);
}
