// What a language model said of a document, alike over every transport: stored under the lease as soon as it was paid
// for, never twice, and read by applications when the content it is of is live.
import { beforeEach, expect, test } from "vitest";
import type { Job } from "../../document/lease.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

describeEveryDatabase("analyses", (leg) => {
  let world: World;

  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_costs");
  });

  const group = (from: number, sha = `sha-${from}`, fields: Record<string, unknown> = {}) => ({
    segment_from: from,
    segment_to: from + 4,
    group_sha256: sha,
    summary: `What ${from} says.`,
    topics: ["billing"],
    entities: [{ name: "Ada", type: "person" }],
    key_points: ["one"],
    questions: ["Who?"],
    conversation: null,
    chunk_contexts: [],
    error_code: null,
    input_tokens: 10,
    cache_write_tokens: 20,
    cache_read_tokens: 30,
    output_tokens: 40,
    cost_usd: 0.0025,
    ...fields,
  });
  const whole = () => ({
    title: "A title",
    summary: "All of it.",
    language: "en",
    topics: ["billing", "refunds"],
    error_code: null,
    input_tokens: 1,
    cache_write_tokens: 0,
    cache_read_tokens: 2,
    output_tokens: 3,
    cost_usd: 0.001,
  });
  const begin = (
    job: Job,
    groups: readonly { segment_from: number; group_sha256: string }[],
    plan = "plan",
  ) =>
    world.call("rag_begin_analyses", {
      ...fence(job),
      p_plan: plan,
      p_groups: groups.map((one) => ({ ...one, segment_to: one.segment_from + 4 })),
    });
  const store = (
    job: Job,
    analyses: readonly unknown[],
    groups: readonly number[] | null = null,
    document: unknown = groups && whole(),
  ) =>
    world.call("rag_store_analyses", {
      ...fence(job),
      p_worker: "worker-a",
      p_model: "claude",
      p_plan: "plan",
      p_analyses: analyses,
      p_document: document,
      p_groups: groups,
    });
  const ask = (from: number, sha = `sha-${from}`) => ({ segment_from: from, group_sha256: sha });
  const costs = async () =>
    (await world.call("rag_sum_costs", { p_by: ["model", "tenant"], p_tenant: world.tenant })) as unknown[];
  const complete = (job: Job) =>
    world.call("rag_complete_job", { ...fence(job), p_chunks: 1, p_segments: 1, p_rejected: 0 });

  async function begun(fields: Record<string, unknown> = {}, content = "content-1") {
    await world.enqueue(fields);
    const job = await world.claimOne();
    await world.begin(job, content);
    await world.stage(job, [chunk(0, "one")]);
    return job;
  }

  test("what is stored is known to the next run, counted on the job and booked in the same moment", async () => {
    const job = await begun();
    expect(await begin(job, [ask(1), ask(6)])).toEqual({ state: "begun", known: [], document: false });
    expect(await world.job(job.id)).toMatchObject({ stage: "analysing" });

    expect(await store(job, [group(1)])).toEqual({ state: "stored", stored: 1 });
    // An API gateway may send a call twice.
    expect(await store(job, [group(1)])).toEqual({ state: "stored", stored: 0 });

    expect(await begin(job, [ask(1), ask(6)])).toMatchObject({
      known: [{ segment_from: 1, summary: "What 1 says.", chunk_contexts: [], error_code: null }],
    });
    // Three tokens and a tenth of a cent are the chunk's.
    expect(Number((await world.job(job.id)).tokens)).toBe(103);
    expect(Number((await world.job(job.id)).cost_usd)).toBe(0.0035);
    expect(await costs()).toMatchObject([{ model: "claude", tokens: 100, cost_usd: 0.0025 }]);
  });

  test("a group whose text or plan is another one is asked about again", async () => {
    const job = await begun();
    await store(job, [group(1)]);

    expect(await begin(job, [ask(1, "edited")])).toMatchObject({ known: [] });
    expect(await begin(job, [ask(1)], "newer plan")).toMatchObject({ known: [] });
  });

  test("readers see nothing until the content is live, and then all of it", async () => {
    const job = await begun();
    const documentId = job.document?.id ?? "";
    const read = () => world.call("rag_read_analysis", { p_document_id: documentId });
    const groups = () => world.call("rag_read_segment_analyses", { p_document_id: documentId });
    await store(job, [group(1), group(6, "b", { summary: null, error_code: "analyse.refused" })]);
    await store(job, [], [1, 6]);

    expect(await read()).toBeNull();
    expect(await groups()).toEqual([]);
    await complete(job);

    expect(await read()).toMatchObject({
      title: "A title",
      language: "en",
      topics: ["billing", "refunds"],
      entities: [{ name: "Ada", type: "person" }],
      groups: 2,
      failed_groups: 1,
      tokens: 206,
      cost_usd: 0.006,
    });
    expect(await groups()).toMatchObject([
      { segment_from: 1, summary: "What 1 says.", error_code: null },
      { segment_from: 6, summary: null, error_code: "analyse.refused" },
    ]);
    expect(
      await world.sql.query("select topics from public.rag_live_analyses where document_id = $1", [
        documentId,
      ]),
    ).toEqual([{ topics: ["billing", "refunds"] }]);
  });

  test("an edited document pays only for the groups that changed, and readers keep the old ones meanwhile", async () => {
    const job = await begun({ external_id: "edited" });
    const documentId = job.document?.id ?? "";
    await store(job, [group(1), group(6)], [1, 6]);
    await complete(job);
    const again = await begun({ external_id: "edited" }, "content-2");

    expect(await begin(again, [ask(1, "changed"), ask(7, "sha-6")])).toMatchObject({
      known: [{ segment_from: 7, summary: "What 6 says." }],
    });
    expect(await world.call("rag_read_segment_analyses", { p_document_id: documentId })).toHaveLength(2);
    await store(again, [group(1, "changed")], [1, 7], { ...whole(), title: "Edited" });
    await complete(again);

    expect(await world.call("rag_read_analysis", { p_document_id: documentId })).toMatchObject({
      title: "Edited",
    });
    expect(await costs()).toMatchObject([{ tokens: 100 * 3 + 6 * 2 }]);
  });

  test("the same content in another document of the tenant is paid once, and of another tenant again", async () => {
    const job = await begun();
    await store(job, [group(1)], [1]);
    await complete(job);
    const copy = await begun();
    expect(await begin(copy, [ask(1)])).toMatchObject({ known: [{ segment_from: 1 }], document: true });
    await complete(copy);

    const stranger = await begun({ tenant_id: `other-${world.tenant}` });
    expect(await begin(stranger, [ask(1)])).toMatchObject({ known: [], document: false });
  });

  test("what failed is recorded, and a later version of the document asks again", async () => {
    const job = await begun({ external_id: "refused" });
    await store(job, [group(1, "sha-1", { summary: null, error_code: "analyse.refused" })], [1]);
    expect(await begin(job, [ask(1)])).toMatchObject({ known: [{ error_code: "analyse.refused" }] });
    await complete(job);

    const again = await begun({ external_id: "refused" }, "content-2");
    expect(await begin(again, [ask(1)])).toMatchObject({ known: [] });
  });

  test("a stale worker stores nothing and books nothing", async () => {
    const job = await begun();
    await world.expireLease(job);
    await world.call("rag_reap", { p_limit: 10 });

    expect(await begin(job, [ask(1)])).toEqual({ state: "lease_lost" });
    expect(await store(job, [group(1)], [1])).toEqual({ state: "lease_lost" });
    expect(await world.sql.query("select 1 from public.rag_segment_analyses")).toEqual([]);
    expect(await world.sql.query("select 1 from public.rag_document_analyses")).toEqual([]);
    expect(await costs()).toEqual([]);
  });

  test("erasure takes analyses with the document, and what was paid stays as a sum", async () => {
    const job = await begun();
    await store(job, [group(1)], [1]);
    await complete(job);

    await world.call("rag_delete_documents", { p_filter: { document_ids: [job.document?.id] } });

    expect(await world.sql.query("select 1 from public.rag_segment_analyses")).toEqual([]);
    expect(await world.sql.query("select 1 from public.rag_document_analyses")).toEqual([]);
    expect(await costs()).toHaveLength(1);
  });

  test("what was said of a former content goes with its last generation", async () => {
    const job = await begun({ external_id: "former" });
    await store(job, [group(1)], [1]);
    await complete(job);
    const again = await begun({ external_id: "former" }, "content-2");
    await store(again, [group(1, "new")], [1]);
    await complete(again);

    await world.call("rag_collect_garbage", { p_limit: 1000, p_keep_originals: false });

    expect(await world.sql.query("select content_sha256 from public.rag_segment_analyses")).toEqual([
      { content_sha256: "content-2" },
    ]);
    expect(await world.sql.query("select content_sha256 from public.rag_document_analyses")).toEqual([
      { content_sha256: "content-2" },
    ]);
  });
});
