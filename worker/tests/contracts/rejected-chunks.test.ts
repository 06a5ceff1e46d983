// Chunks that the provider refused, alike over every transport: recorded under the lease, counted at the end.
import { beforeEach, expect, test } from "vitest";
import type { Job } from "../../document/lease.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { chunk, fence, World } from "./world.ts";

describeEveryDatabase("rejected chunks", (leg) => {
  let world: World;

  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  const row = (index: number) => ({
    chunk_index: index,
    code: "embed.input-rejected",
    detail: "The provider refused it.",
    page_number: 2,
    section: null,
    char_start: 0,
    char_end: 5,
    embed_sha256: `sha-${index}`,
  });
  const reject = (job: Job, ...indexes: number[]) =>
    world.call("rag_reject_chunks", { ...fence(job), p_chunks: indexes.map(row) });
  const complete = (job: Job, chunks: number, rejected: number) =>
    world.call("rag_complete_job", { ...fence(job), p_chunks: chunks, p_segments: 1, p_rejected: rejected });

  async function begun() {
    const { jobId } = await world.enqueue();
    const job = await world.claimOne();
    await world.begin(job);
    await world.stage(job, [chunk(0, "one"), chunk(2, "three")]);
    return { job, jobId };
  }

  test("a document goes live without them when each is recorded, and the job says how many and which", async () => {
    const { job, jobId } = await begun();
    await reject(job, 1);
    await reject(job, 1);

    const answer = await complete(job, 3, 1);

    expect(answer).toMatchObject({ state: "complete", chunks: 3, rejected: 1 });
    expect(await world.liveTexts(job.document?.id ?? "")).toEqual(["one", "three"]);
    expect(await world.call("rag_describe_job", { p_job_id: jobId })).toMatchObject({
      rejected_chunks: 1,
      rejected: [{ chunk_index: 1, code: "embed.input-rejected", page_number: 2 }],
    });
  });

  test.each([
    ["is recorded but not told of at the end", [1], 0],
    ["is told of but not recorded", [], 1],
  ])("nothing goes live when a chunk without a vector %s", async (_what, recorded, told) => {
    const { job } = await begun();
    if (recorded.length > 0) await reject(job, ...recorded);

    expect(await complete(job, 3, told)).toMatchObject({ state: "incomplete" });
    expect(await world.liveTexts(job.document?.id ?? "")).toEqual([]);
  });

  test("one that has a vector after all, at a later try, is no longer recorded", async () => {
    const { job, jobId } = await begun();
    await reject(job, 1);
    await world.call("rag_fail_job", {
      ...fence(job),
      p_error_code: "embed.input-rejected",
      p_error_detail: "x",
    });
    await world.call("rag_requeue_jobs", { p_filter: { job_ids: [jobId] } });
    const again = await world.claimOne();
    expect(await world.begin(again)).toMatchObject({ state: "resumed", staged: 2 });
    await world.stage(again, [chunk(1, "two")]);

    expect(await complete(again, 3, 0)).toMatchObject({ state: "complete", rejected: 0 });
    expect(await world.sql.query("select * from public.rag_rejected_chunks")).toEqual([]);
  });

  test("a stale worker records nothing", async () => {
    const { job } = await begun();
    await world.expireLease(job);
    await world.call("rag_reap", { p_limit: 10 });
    const before = await world.picture(job);

    expect(await reject(job, 1)).toEqual({ state: "lease_lost" });
    expect(await world.picture(job)).toEqual(before);
    expect(await world.sql.query("select * from public.rag_rejected_chunks")).toEqual([]);
  });

  test("what was recorded goes with its generation", async () => {
    const { job, jobId } = await begun();
    await reject(job, 1);
    await complete(job, 3, 1);
    await world.enqueue({ document_id: job.document?.id });
    const next = await world.claimOne();
    await world.begin(next, "other content");
    await world.stage(next, [chunk(0, "new")]);
    await complete(next, 1, 0);

    await world.call("rag_collect_garbage", { p_limit: 1000, p_keep_originals: true });

    expect(await world.sql.query("select * from public.rag_rejected_chunks")).toEqual([]);
    expect(await world.statusOf(jobId)).toBe("complete");
  });

  test("a job that was asked to wait says why in words, and has its attempt back", async () => {
    const { jobId } = await world.enqueue();
    const job = await world.claimOne();
    await world.call("rag_release_job", {
      ...fence(job),
      p_delay_seconds: 90,
      p_error_code: "embed.rate-limited",
      p_error_detail: "The embedding provider asked us to slow down. The job goes on by itself.",
    });

    const described = await world.call("rag_describe_job", { p_job_id: jobId });

    expect(described).toMatchObject({ attempts: 0, wait_reason: "backoff" });
    expect((described as { waits_for: string }).waits_for).toMatch(
      /^the next try in \d+ s, after embed\.rate-limited: The embedding provider asked us to slow down\./,
    );
  });
});
