// What the dashboard asks of the database, over every transport.
import { beforeEach, expect, test } from "vitest";
import { dashboardFigures } from "../../status/dashboard/dashboard-figures.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { fence, World } from "./world.ts";

type Page = {
  jobs: { id: string; status: string; title: string | null; waits_for: string | null }[];
  next: { before: string; before_id: string | null } | null;
  looked_back_to: string | null;
};

describeEveryDatabase("dashboard", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_throughput");
  });

  const figures = async () => dashboardFigures.parse(await world.call("rag_dashboard_figures", {}));
  const browse = (filter: object = {}, more: object = {}) =>
    world.call("rag_browse_jobs", { p_filter: filter, ...more }) as Promise<Page>;
  const told = (minute: number, complete: number, failed = 0) => ({
    minute,
    complete,
    failed,
    retried: 0,
    chunks: complete * 10,
    durations: [complete, 0, 0],
  });
  const tell = (worker: string, minute: object) =>
    world.call("rag_tell_throughput", { p_worker: worker, p_told: minute });

  test("figures tell what waits, what is at work, and by whom", async () => {
    await world.enqueue({ title: "One" });
    await world.enqueue({ title: "Two" });
    await world.enqueue({ run_at: "2199-01-01T00:00:00Z" });
    const job = await world.claimOne();

    const seen = await figures();

    expect(seen.waiting).toEqual({ ready: 1, delayed: 1, behind: 0, held: 0 });
    expect(seen.processing).toBe(1);
    expect(seen.working).toMatchObject([
      { id: job.id, title: "One", worker_id: "worker-a", processed_chunks: 0 },
    ]);
    expect(seen.workers).toMatchObject([{ worker_id: "worker-a" }]);
    expect(seen.capped).toBe(false);
  });

  test("the latest failures are among the figures, with their codes", async () => {
    await world.enqueue({ title: "Broken" });
    const job = await world.claimOne();
    await world.call("rag_fail_job", {
      ...fence(job),
      p_error_code: "extract.corrupt",
      p_error_detail: "It is damaged.",
    });

    expect((await figures()).failures).toMatchObject([
      { id: job.id, title: "Broken", error_code: "extract.corrupt" },
    ]);
  });

  test("minutes told twice count once, those of replicas are added up, and an overtaken one changes nothing", async () => {
    await tell("one", told(0, 2));
    await tell("one", told(0, 5, 1));
    await tell("one", told(0, 5, 1));
    await tell("one", told(0, 2));
    await tell("two", told(0, 3));

    const { hour, day } = await figures();

    expect(hour).toEqual([{ age: 0, complete: 8, failed: 1, retried: 0, chunks: 80, durations: [8, 0, 0] }]);
    expect(day).toEqual({ complete: 8, failed: 1, retried: 0, chunks: 80 });
  });

  test("a minute of long ago is no longer plotted, and is gone after two days", async () => {
    await tell("one", told(0, 1));
    await tell("one", told(1, 1));
    await world.sql.query(
      "update public.rag_throughput set at = now() - interval '61 minutes' where minute = 0",
    );
    expect((await figures()).hour).toMatchObject([{ complete: 1 }]);
    expect((await figures()).day.complete).toBe(2);
    await world.sql.query(
      "update public.rag_throughput set at = now() - interval '49 hours' where minute = 0",
    );

    await tell("one", told(2, 1));

    expect(await world.sql.query("select minute from public.rag_throughput order by minute")).toEqual([
      { minute: 1 },
      { minute: 2 },
    ]);
  });

  test("pages of jobs are in order, without gaps or doubles, also where many were submitted at once", async () => {
    const ids: string[] = [];
    for (let number = 0; number < 7; number += 1) ids.push((await world.enqueue()).jobId);
    await world.sql.query(
      "update public.rag_ingestion_queue set submitted_at = now() - interval '40 days' where id = any ($1::uuid[])",
      [`{${ids.slice(0, 4).join(",")}}`],
    );

    const seen: string[] = [];
    let next: Page["next"] = null;
    for (let pages = 0; pages < 10; pages += 1) {
      const page: Page = await browse(
        {},
        { p_limit: 2, ...(next && { p_before: next.before, p_before_id: next.before_id }) },
      );
      seen.push(...page.jobs.map((job) => job.id));
      next = page.next;
      if (next === null) break;
    }

    expect(next).toBeNull();
    expect(seen.toSorted()).toEqual(ids.toSorted());
  });

  test("a filter finds by status, tenant, text and the start of an id; what was typed is no pattern and no SQL", async () => {
    const { jobId } = await world.enqueue({ title: "Fifty % off's" });
    await world.enqueue({ title: "Fifty pieces" });
    const names = async (filter: object) => (await browse(filter)).jobs.map((job) => job.title);

    expect(await names({ text: "fifty" })).toHaveLength(2);
    expect(await names({ text: "fifty %" })).toEqual(["Fifty % off's"]);
    expect(await names({ text: "' or true --" })).toEqual([]);
    expect(await names({ tenant_id: "' or true --" })).toEqual([]);
    expect(await names({ tenant_id: world.tenant, status: ["queued"] })).toHaveLength(2);
    expect(await names({ job_id_prefix: jobId.slice(0, 6) })).toEqual(["Fifty % off's"]);
    expect(await names({ status: ["failed"] })).toEqual([]);
    await expect(browse({ status: ["done"] })).rejects.toMatchObject({ code: "database.rejected" });
  });

  test("a waiting job says what it waits for, in words", async () => {
    await world.enqueue({ run_at: "2199-01-01T00:00:00Z" });

    expect((await browse()).jobs[0]?.waits_for).toMatch(/^its time, in \d+ s$/);
  });

  test("a waiting job with a higher priority is claimed first; the count comes before the change", async () => {
    await world.enqueue();
    const { jobId } = await world.enqueue();
    const prioritise = (more: object = {}) =>
      world.call("rag_prioritise_jobs", { p_filter: { job_ids: [jobId] }, p_priority: 9, ...more });

    expect(await prioritise({ p_dry_run: true })).toEqual({ would_prioritise: 1 });
    expect(await prioritise()).toEqual({ prioritised: 1 });
    expect(await prioritise()).toEqual({ prioritised: 0 });

    expect((await world.claimOne()).id).toBe(jobId);
    await expect(prioritise({ p_priority: 10 })).rejects.toMatchObject({ code: "database.rejected" });
  });

  test("what a job at work would do is not changed by a priority", async () => {
    await world.enqueue();
    const job = await world.claimOne();

    const answer = await world.call("rag_prioritise_jobs", {
      p_filter: { job_ids: [job.id] },
      p_priority: 9,
    });

    expect(answer).toEqual({ prioritised: 0 });
  });

  test("a document tells what readers see of it, its jobs and its chunks page by page", async () => {
    const job = await world.ingest(["alpha", "beta", "gamma"]);
    const id = job.document?.id;

    const described = await world.call("rag_describe_document", { p_document_id: id });
    const first = await world.call("rag_list_chunks", { p_document_id: id, p_limit: 2 });
    const rest = await world.call("rag_list_chunks", { p_document_id: id, p_after: 1, p_limit: 2 });

    expect(described).toMatchObject({
      id,
      status: "ingested",
      live: { model: "contract-model", chunks: 3 },
      jobs: [{ id: job.id, status: "complete" }],
    });
    expect(first).toMatchObject([{ chunk_index: 0, content: "alpha" }, { chunk_index: 1 }]);
    expect(rest).toMatchObject([{ chunk_index: 2, content: "gamma" }]);
  });

  test("a document that is not there is null, and one without a live generation has no chunks", async () => {
    const id = await world.document();
    const nobody = "00000000-0000-4000-8000-000000000000";

    expect(await world.call("rag_describe_document", { p_document_id: nobody })).toBeNull();
    expect(await world.call("rag_describe_document", { p_document_id: id })).toMatchObject({ live: null });
    expect(await world.call("rag_list_chunks", { p_document_id: id })).toEqual([]);
  });
});
