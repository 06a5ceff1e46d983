// Entities of an application: one document each, queued only when what they say is new.
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

type Upserted = { readonly document_id: string; readonly job_id: string | null; readonly state: string };

describeEveryDatabase("entities", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  const upsert = async (fields: Record<string, unknown>) =>
    (await world.call("rag_upsert_entity", {
      p_request: {
        tenant_id: world.tenant,
        entity_type: "task",
        entity_id: "7",
        content: "Mend the roof.",
        ...fields,
      },
    })) as Upserted;

  /** The whole way of the entity's newest job; the content's hash is that of its bytes, as the worker says it. */
  async function index(text: string): Promise<void> {
    const job = await world.claimOne();
    const [hashed] = await world.sql.query("select encode(sha256(convert_to($1, 'UTF8')), 'hex') as sha", [
      text,
    ]);
    await world.begin(job, String(hashed?.sha));
    await world.call("rag_stage_segments", {
      ...fence(job),
      p_segments: [{ seq: 1, content: text }],
      p_complete: true,
      p_media_type: "text/plain",
    });
    await world.stage(job, [chunk(0, text)]);
    await world.complete(job, 1);
  }

  test.each([
    ["task", "kanban_tasks", "7"],
    ["page", "wiki_pages", "7"],
    ["memory", "memory_nodes", "7"],
    ["ticket", "cross_references", "ticket:7"],
  ])("a %s is a document of %s under its own id", async (type, collection, external) => {
    const answer = await upsert({
      entity_type: type,
      title: "Roof",
      tags: ["house"],
      metadata: { board: 3 },
    });

    expect(answer.state).toBe("new");
    expect(await world.documentRow(answer.document_id)).toMatchObject({
      tenant_id: world.tenant,
      collection,
      external_id: external,
      kind: "entity",
      title: "Roof",
      tags: ["house"],
      metadata: { board: 3, entity_type: type },
    });
    expect(await world.job(answer.job_id ?? "")).toMatchObject({ status: "queued", kind: "document" });
  });

  test("the same text again is no new job, whether the first is on its way or done", async () => {
    const first = await upsert({});
    const waiting = await upsert({});
    await index("Mend the roof.");
    const done = await upsert({ title: "Roof", tags: ["house"] });

    expect(waiting).toEqual({ ...first, state: "unchanged" });
    expect(done).toEqual({ document_id: first.document_id, job_id: null, state: "unchanged" });
    expect(await world.documentRow(first.document_id)).toMatchObject({
      title: "Roof",
      tags: ["house"],
      metadata: { entity_type: "task" },
    });
  });

  test("another text is a new job for the same document, also back to the text before", async () => {
    const first = await upsert({});
    await index("Mend the roof.");

    const second = await upsert({ content: "Mend the door." });
    const back = await upsert({});

    expect(second).toMatchObject({ document_id: first.document_id, state: "changed" });
    expect(back).toMatchObject({ document_id: first.document_id, state: "changed" });
    expect(await world.statusOf(second.job_id ?? "")).toBe("cancelled");
    expect(await world.statusOf(back.job_id ?? "")).toBe("queued");
  });

  test("a text whose job was cancelled or failed is not taken for stored", async () => {
    const first = await upsert({});
    await world.call("rag_cancel_jobs", { p_filter: { job_ids: [first.job_id] } });
    const again = await upsert({});
    const job = await world.claimOne();
    await world.call("rag_fail_job", {
      ...fence(job),
      p_error_code: "extract.corrupt",
      p_error_detail: null,
    });
    const third = await upsert({});

    expect(again).toMatchObject({ state: "changed", document_id: first.document_id });
    expect(again.job_id).not.toBe(first.job_id);
    expect(third.job_id).not.toBe(again.job_id);
    expect(await world.statusOf(third.job_id ?? "")).toBe("queued");
  });

  test("a message that is delivered twice does not bring an old text back", async () => {
    const first = await upsert({ dedupe_key: "m-1/document" });
    const second = await upsert({ content: "Mend the door.", dedupe_key: "m-2/document" });

    const late = await upsert({ dedupe_key: "m-1/document" });

    expect(late).toEqual({ ...first, state: "unchanged" });
    expect(await world.statusOf(second.job_id ?? "")).toBe("queued");
  });

  test("news that is older than what is stored comes too late", async () => {
    await upsert({ content: "Newer.", changed_at: "2026-05-01T10:00:00Z", title: "New" });

    const late = await upsert({ content: "Older.", changed_at: "2026-05-01T09:00:00Z", title: "Old" });

    expect(late.state).toBe("unchanged");
    expect((await world.documentRow(late.document_id)).title).toBe("New");
  });

  test("an entity without content is found by its title", async () => {
    const { document_id } = await upsert({ content: "", title: "Only a title" });
    const original = (await world.call("rag_read_original", {
      p_document_id: document_id,
      p_upload: null,
      p_part: 0,
    })) as { bytes: string };

    expect(Buffer.from(original.bytes, "base64").toString()).toBe("Only a title");
  });

  test("tenants with equal ids have documents of their own", async () => {
    const mine = await upsert({});
    const theirs = await upsert({ tenant_id: `${world.tenant}-2` });
    expect(mine.document_id).not.toBe(theirs.document_id);
  });

  test.each([
    ["no type", { entity_type: null }, /entity_type is a word/],
    ["a type that is a sentence", { entity_type: "a task; drop table" }, /entity_type is a word/],
    ["no id", { entity_id: "" }, /entity_id is a text/],
    ["an id without end", { entity_id: "x".repeat(501) }, /entity_id is a text/],
    ["nothing to say", { content: " \n", title: null }, /needs a content or a title/],
    ["a time that is none", { changed_at: "yesterday-ish" }, /changed_at is a time/],
    ["an unknown field", { contents: "x" }, /Unknown fields in the request: contents/],
  ])("%s is refused, and nothing is stored", async (_, fields, sentence) => {
    await expect(upsert(fields)).rejects.toThrow(sentence);
    expect(await world.sql.query("select id from public.rag_documents")).toEqual([]);
  });
});
