// What operators ask and do, over every transport: why a job waits, filters, pauses, resets, pruning, figures.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { openPostgresSession } from "../../database/postgres-session.ts";
import type { SqlSession } from "../../database/sql-session.ts";
import { queueFigures } from "../../status/queue-figures.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { fence, World } from "./world.ts";

const root = join(import.meta.dirname, "../../..");
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

describeEveryDatabase("operations", (leg, legName) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_pauses");
    await world.sql.query("delete from public.rag_tenants");
  });

  const describeJob = async (id: string) =>
    (await world.call("rag_describe_job", { p_job_id: id })) as {
      waits_for: string | null;
      wait_reason: string | null;
    };
  const list = async (filter: Record<string, unknown>, limit = 100) =>
    (await world.call("rag_list_jobs", { p_filter: filter, p_limit: limit })) as {
      id: string;
      waits_for: string | null;
    }[];
  const idsOf = async (filter: Record<string, unknown>) => (await list(filter)).map((row) => row.id);
  const figures = async () => queueFigures.parse(await world.call("rag_queue_stats", {}));
  const aliveWorker = (kinds: readonly string[] | null = null) =>
    world.sql.query(
      "insert into public.rag_workers (worker_id, alive_until, kinds) values ('alive', now() + interval '1 hour', $1)",
      [kinds === null ? null : `{${kinds.join(",")}}`],
    );
  const pause = (scope: string, name = "", reason: string | null = null) =>
    world.call("rag_pause_jobs", { p_scope: scope, p_name: name, p_reason: reason });
  const limitTenant = (jobs: number) =>
    world.sql.query("insert into public.rag_tenants (tenant_id, max_jobs) values ($1, $2)", [
      world.tenant,
      jobs,
    ]);
  const endJobs = (status: string, ago: string) =>
    world.sql.query(
      `update public.rag_ingestion_queue set status = $1, waits_for = null, completed_at = now() - $2::interval,
         updated_at = now() - $2::interval, lease_expires_at = null`,
      [status, ago],
    );

  describe("why a job waits", () => {
    test("for a free slot, with the jobs before it", async () => {
      await aliveWorker();
      const first = await world.enqueue();
      const second = await world.enqueue();
      const third = await world.enqueue();

      expect((await describeJob(first.jobId)).waits_for).toBe("a free slot; no job stands before it");
      expect((await describeJob(second.jobId)).waits_for).toBe("a free slot; 1 job stands before it");
      expect((await describeJob(third.jobId)).waits_for).toBe("a free slot; 2 jobs stand before it");
      expect((await list({ job_ids: [third.jobId] }))[0]?.waits_for).toBe("a free slot");
    });

    test("those before it are counted up to a thousand, however many there are", async () => {
      await aliveWorker();
      await world.sql.query(
        "insert into public.rag_ingestion_queue (kind, tenant_id, priority) select 'sync', 't', 5 from generate_series(1, 1100)",
      );
      const last = await world.enqueue();

      expect((await describeJob(last.jobId)).waits_for).toBe(
        "a free slot; more than 1,000 jobs stand before it",
      );
    });

    test("for its time", async () => {
      const { jobId } = await world.enqueue({ run_at: inAnHour() });

      expect((await describeJob(jobId)).waits_for).toMatch(/^its time, in 3[56]\d\d s$/);
    });

    test("for the next try, after which error", async () => {
      await world.enqueue();
      const job = await world.claimOne();
      await world.call("rag_release_job", {
        ...fence(job),
        p_delay_seconds: 60,
        p_error_code: "embed.rate-limited",
        p_error_detail: "Asked to wait.",
      });

      expect((await describeJob(job.id)).waits_for).toMatch(
        /^the next try in \d+ s, after embed\.rate-limited: Asked to wait\.$/,
      );
    });

    test("for the job that works on the same document", async () => {
      const { documentId } = await world.enqueue();
      const atWork = await world.claimOne();
      const later = await world.enqueue({ document_id: documentId });

      expect((await describeJob(later.jobId)).waits_for).toBe(
        `the job that works on the same document (${atWork.id})`,
      );
    });

    test.each([
      ["all", () => "", "all jobs"],
      ["kind", () => "document", "kind document"],
      ["tenant", (tenant: string) => tenant, "tenant tenant-"],
    ] as const)("for the end of a pause of %s, with the reason", async (scope, nameOf, words) => {
      await aliveWorker();
      await pause(scope, nameOf(world.tenant), "moving house");
      const { jobId } = await world.enqueue();

      const { waits_for } = await describeJob(jobId);

      expect(waits_for).toMatch(
        new RegExp(`^the end of the pause of ${words}.* since .* UTC: moving house$`),
      );
    });

    test("for its tenant's limit", async () => {
      await limitTenant(1);
      await world.enqueue();
      await world.claimOne();
      const { jobId } = await world.enqueue();

      expect((await describeJob(jobId)).waits_for).toBe(
        `its tenant: ${world.tenant} may have 1 job at work at once`,
      );
    });

    test("for a worker: none is running, or none takes its kind", async () => {
      const { jobId } = await world.enqueue();
      expect((await describeJob(jobId)).waits_for).toBe("a worker: none is running");

      await aliveWorker(["sync"]);

      expect((await describeJob(jobId)).waits_for).toContain("a worker that takes the kind document");
    });

    test("a job at work and one that has ended wait for nothing", async () => {
      await world.enqueue();
      const job = await world.claimOne();
      expect(await describeJob(job.id)).toMatchObject({ waits_for: null, wait_reason: null });

      await endJobs("complete", "1 hour");

      expect(await describeJob(job.id)).toMatchObject({ waits_for: null, wait_reason: null });
    });

    test("a mark that outlived its fact is not believed", async () => {
      await aliveWorker();
      await pause("tenant", world.tenant);
      const { jobId } = await world.enqueue();
      expect(await world.job(jobId)).toMatchObject({ waits_for: "pause" });

      await world.call("rag_resume_jobs", { p_scope: "tenant", p_name: world.tenant });

      expect((await describeJob(jobId)).wait_reason).toBe("slot");
    });
  });

  describe("filters", () => {
    test("each field means its jobs and no others", async () => {
      const waiting = await world.enqueue({ collection: "wiki" });
      const delayed = await world.enqueue({ run_at: inAnHour() });
      await world.enqueue({ priority: 9 });
      const atWork = await world.claimOne("worker-of-filters");
      await world.sql.query(
        "update public.rag_ingestion_queue set updated_at = now() - interval '1 day' where id = $1",
        [delayed.jobId],
      );

      expect(await idsOf({ status: ["queued"] })).toEqual([delayed.jobId, waiting.jobId]);
      expect(await idsOf({ status: ["processing"] })).toEqual([atWork.id]);
      expect(await idsOf({ status: ["queued", "processing"] })).toHaveLength(3);
      expect(await idsOf({ waits_for: ["time"] })).toEqual([delayed.jobId]);
      expect(await idsOf({ waits_for: ["slot", "time"] })).toHaveLength(2);
      expect(await idsOf({ collection: "wiki" })).toEqual([waiting.jobId]);
      expect(await idsOf({ worker_id: "worker-of-filters" })).toEqual([atWork.id]);
      expect(await idsOf({ document_ids: [waiting.documentId] })).toEqual([waiting.jobId]);
      expect(await idsOf({ older_than_seconds: 3600 })).toEqual([delayed.jobId]);
      expect(await idsOf({ job_id_prefix: waiting.jobId.slice(0, 13) })).toEqual([waiting.jobId]);
      expect(await idsOf({ tenant_id: world.tenant, kind: "document" })).toHaveLength(3);
      expect(await idsOf({ tenant_id: "nobody" })).toEqual([]);
    });

    test.each([
      [{ tennant_id: "x" }, "Unknown field in a filter of jobs: tennant_id"],
      [{ status: ["done"] }, 'The field status of a filter cannot be "done"'],
      [{ status: "queued" }, "The field status of a filter must be an array of texts"],
      [{ kind: "dance" }, 'The field kind of a filter cannot be "dance"'],
      [{ waits_for: ["godot"] }, 'The field waits_for of a filter cannot be "godot"'],
      [{ job_ids: ["'; drop table x"] }, "The field job_ids of a filter cannot be"],
      [{ job_id_prefix: "xyz" }, "The field job_id_prefix of a filter cannot be"],
      [{ tenant_id: null }, "The field tenant_id of a filter must be a text"],
      [{ older_than_seconds: -1 }, "must be a number from 0"],
      [{ older_than_seconds: "1 day" }, "must be a number from 0"],
      [["queued"], "A filter of jobs must be a JSON object"],
    ])("%j is refused in a sentence, by whatever takes a filter", async (filter, sentence) => {
      await world.enqueue();
      const refusal = { message: expect.stringContaining(sentence) };

      for (const name of ["rag_list_jobs", "rag_cancel_jobs", "rag_requeue_jobs", "rag_prune"] as const)
        await expect(world.call(name, { p_filter: filter }), name).rejects.toMatchObject(refusal);

      expect(await world.claim()).toHaveLength(1);
    });
  });

  describe("cancel and requeue", () => {
    test("a dry run counts and changes nothing", async () => {
      const { jobId } = await world.enqueue();

      expect(await world.call("rag_cancel_jobs", { p_filter: {}, p_dry_run: true })).toEqual({
        would_cancel: 1,
      });
      expect(await world.statusOf(jobId)).toBe("queued");

      await endJobs("failed", "1 hour");
      expect(
        await world.call("rag_requeue_jobs", { p_filter: { status: ["failed"] }, p_dry_run: true }),
      ).toEqual({ would_requeue: 1 });
      expect(await world.statusOf(jobId)).toBe("failed");
    });

    test("with a limit the work is done in steps, until nothing is left", async () => {
      for (let jobs = 0; jobs < 5; jobs += 1) await world.enqueue();
      const step = async (name: "rag_cancel_jobs" | "rag_requeue_jobs") =>
        Object.values((await world.call(name, { p_filter: {}, p_limit: 2 })) as object)[0];

      expect([await step("rag_cancel_jobs"), await step("rag_cancel_jobs")]).toEqual([2, 2]);
      expect([await step("rag_cancel_jobs"), await step("rag_cancel_jobs")]).toEqual([1, 0]);
      expect([await step("rag_requeue_jobs"), await step("rag_requeue_jobs")]).toEqual([2, 2]);
      expect([await step("rag_requeue_jobs"), await step("rag_requeue_jobs")]).toEqual([1, 0]);
      expect(await world.claim(10)).toHaveLength(5);
    });

    test("a job held back by a limit or a pause is cancelled whole", async () => {
      await pause("tenant", world.tenant);
      const { jobId } = await world.enqueue();

      expect(await world.call("rag_cancel_jobs", { p_filter: { waits_for: ["pause"] } })).toEqual({
        cancelled: 1,
      });
      expect(await world.job(jobId)).toMatchObject({ status: "cancelled", waits_for: null });
    });
  });

  describe("reset of what is stuck", () => {
    const reset = (args: Record<string, unknown> = {}) =>
      world.call("rag_reset_stuck", args) as Promise<Record<string, unknown>[]>;

    test("a job of a worker that is gone goes back, and it is told who held it", async () => {
      await world.enqueue();
      const job = await world.claimOne("gone");
      await world.expireLease(job);

      expect(await reset({ p_dry_run: true })).toMatchObject([{ id: job.id, status: "processing" }]);
      expect(await world.statusOf(job.id)).toBe("processing");
      expect(await reset()).toMatchObject([{ id: job.id, status: "queued", was_held_by: "gone" }]);
      expect(await reset()).toEqual([]);
      expect((await world.claimOne("next")).id).toBe(job.id);
    });

    test.each([
      0,
      179,
      -5,
      1e12,
      "NaN",
      "Infinity",
    ])("%s seconds are refused: it would rob healthy workers, or means nothing", async (seconds) => {
      await world.enqueue();
      const job = await world.claimOne();

      await expect(reset({ p_older_than_seconds: seconds })).rejects.toMatchObject({
        message: expect.stringContaining("180 seconds or more"),
      });

      expect(await world.statusOf(job.id)).toBe("processing");
    });
  });

  describe("pauses", () => {
    test.each([
      ["all", () => ""],
      ["kind", () => "document"],
      ["tenant", (tenant: string) => tenant],
    ] as const)("of %s: nothing is claimed until it is ended, and what is at work goes on", async (scope, nameOf) => {
      const name = nameOf(world.tenant);
      await world.enqueue();
      const atWork = await world.claimOne();
      await world.enqueue();
      await pause(scope, name);

      expect(await world.claim(5)).toEqual([]);
      expect(await world.statusOf(atWork.id)).toBe("processing");
      expect((await figures()).paused).toMatchObject([{ scope, name }]);
      expect(await world.call("rag_resume_jobs", { p_scope: scope, p_name: name })).toEqual({ resumed: 1 });
      expect(await world.claim(5)).toHaveLength(1);
    });

    test("of one tenant leaves the others their turn", async () => {
      await pause("tenant", "somebody-else");
      await world.enqueue();

      expect(await world.claim(5)).toHaveLength(1);
    });

    test("said twice is one pause with the newer reason, and ended twice is told", async () => {
      expect(await pause("all", "", "first")).toMatchObject({ was_paused: false });
      expect(await pause("all", "", "second")).toMatchObject({ was_paused: true });

      expect((await figures()).paused).toMatchObject([{ reason: "second" }]);
      expect(await world.call("rag_resume_jobs", { p_scope: "all" })).toEqual({ resumed: 1 });
      expect(await world.call("rag_resume_jobs", { p_scope: "all" })).toEqual({ resumed: 0 });
    });

    test.each([
      ["everything", "", 'not of "everything"'],
      [null, "", "A pause is of all, of a kind or of a tenant"],
      ["kind", "documents", 'There is no kind "documents"'],
      ["tenant", "", "Say which tenant"],
      ["all", "acme", "A pause of all has no name"],
    ])("of %j %j is refused in a sentence", async (scope, name, sentence) => {
      const refusal = { message: expect.stringContaining(sentence) };

      await expect(world.call("rag_pause_jobs", { p_scope: scope, p_name: name })).rejects.toMatchObject(
        refusal,
      );
      await expect(world.call("rag_resume_jobs", { p_scope: scope, p_name: name })).rejects.toMatchObject(
        refusal,
      );
      expect((await figures()).paused).toEqual([]);
    });
  });

  describe("pruning", () => {
    const walk = async (filter: Record<string, unknown>) => {
      let pruned = 0;
      let calls = 0;
      for (let page: number | null = 0; page !== null && calls < 1000; calls += 1) {
        const step = (await world.call("rag_prune", { p_filter: filter, p_page: page, p_pages: 1 })) as {
          pruned: number;
          next_page: number | null;
        };
        pruned += step.pruned;
        page = step.next_page;
      }
      return { pruned, calls };
    };

    test("takes what ended long ago, a stretch at a time, and nothing else", async () => {
      for (let jobs = 0; jobs < 60; jobs += 1) await world.enqueue();
      await endJobs("complete", "40 days");
      const young = await world.enqueue();
      await world.call("rag_cancel_jobs", { p_filter: { job_ids: [young.jobId] } });
      const waiting = await world.enqueue();
      await world.enqueue();
      const atWork = await world.claimOne();
      // Old, but not ended.
      await world.sql.query(
        "update public.rag_ingestion_queue set updated_at = now() - interval '90 days' where status in ('queued', 'processing')",
      );

      const dry = await world.call("rag_prune", {
        p_filter: { older_than_seconds: 30 * 86_400 },
        p_dry_run: true,
      });
      const { pruned, calls } = await walk({ older_than_seconds: 30 * 86_400 });

      expect(dry).toEqual({ would_prune: 60, next_page: null });
      expect(pruned).toBe(60);
      expect(calls).toBeGreaterThan(1);
      const left = await world.sql.query("select id from public.rag_ingestion_queue");
      expect(left).toHaveLength(3);
      expect(left.map((row) => row.id)).toEqual(expect.arrayContaining([young.jobId, atWork.id]));
      expect(await world.statusOf(waiting.jobId)).not.toBeUndefined();
    });

    test("obeys the other fields of the filter", async () => {
      await world.enqueue();
      await endJobs("failed", "40 days");

      expect((await walk({ older_than_seconds: 0, status: ["complete"] })).pruned).toBe(0);
      expect((await walk({ older_than_seconds: 0, tenant_id: "nobody" })).pruned).toBe(0);
      expect(
        (await walk({ older_than_seconds: 0, status: ["failed"], tenant_id: world.tenant })).pruned,
      ).toBe(1);
    });

    test.each([
      [{}, "Say how long ago"],
      [{ older_than_seconds: 0, status: ["queued"] }, "Only jobs that have ended"],
      [{ older_than_seconds: 0, waits_for: ["slot"] }, "Only jobs that have ended"],
    ])("%j is refused in a sentence", async (filter, sentence) => {
      const { jobId } = await world.enqueue();

      await expect(world.call("rag_prune", { p_filter: filter })).rejects.toMatchObject({
        message: expect.stringContaining(sentence),
      });

      expect(await world.statusOf(jobId)).toBe("queued");
    });
  });

  describe("figures", () => {
    test("tell what waits for what, who is at its limit, and that nobody holds vacuum back", async () => {
      await limitTenant(1);
      await world.enqueue();
      await world.claimOne();
      await world.enqueue();
      await world.enqueue({ run_at: inAnHour() });
      await world.claim(5);

      const seen = await figures();

      expect(seen).toMatchObject({
        queued: 2,
        delayed: 1,
        processing: 1,
        waiting: { cap: 1, time: 1 },
        capped: false,
        tenants_at_cap: [{ tenant_id: world.tenant, jobs: 1, max_jobs: 1 }],
        last_day: { seconds: 86_400 },
        last_hour_complete: 0,
      });
      // Other tests' sessions have other databases; this one's own are not idle in a transaction.
      expect(seen.oldest_snapshot?.state ?? "none").not.toBe("idle in transaction");
    });

    const onServers = legName === "embedded" ? () => {} : test;
    onServers("name the session that holds vacuum back, never its query", async () => {
      const holder = await openHolder(leg().url);
      try {
        const seen = await figures();

        const { oldest_snapshot: held, oldest_snapshot_seconds: seconds } = seen;
        expect(held).toMatchObject({ kind: "session", pid: holder.pid });
        expect(JSON.stringify(seen)).not.toContain("secret_of_the_query");
        if (legName === "supabase") {
          // service_role may not see since when: that is unknown, not nought.
          expect(held?.state).toBe("not visible");
          expect(seconds).toBeNull();
        } else {
          expect(held?.state).toBe("idle in transaction");
          expect(seconds).toBeGreaterThanOrEqual(0);
        }
      } finally {
        await holder.close();
      }
    });
  });

  describe("a hand that writes what cannot be", () => {
    test.each([
      ["a status that is none", "status = 'done'"],
      ["processing without a lease", "status = 'processing'"],
      ["a negative priority", "priority = -1"],
      ["a priority above nine", "priority = 10"],
      ["an impossible time", "run_at = 'infinity'"],
      ["an unknown kind", "kind = 'dance'"],
      ["no attempt at all", "max_attempts = 0"],
      ["an unknown reason to wait", "waits_for = 'godot'"],
      ["a document that is not there", "document_id = '00000000-0000-4000-8000-000000000000'"],
    ])("%s is refused, and the job is claimed as if nothing had been", async (_what, change) => {
      const { jobId } = await world.enqueue();

      await expect(
        world.sql.query(`update public.rag_ingestion_queue set ${change} where id = $1`, [jobId]),
      ).rejects.toThrow();

      expect((await world.claimOne()).id).toBe(jobId);
    });
  });

  const onPostgres = legName === "postgres" ? test : () => {};
  onPostgres("the recipe for pg_cron schedules a reaper that reaps", async () => {
    const recipe = await readFile(join(root, "supabase/recipes/reaper_pg_cron.sql"), "utf8");
    await expect(world.sql.script(recipe)).rejects.toThrow("pg_cron is not installed");
    await world.sql.script("rollback");
    await standInForPgCron(world.sql);
    await world.enqueue();
    const job = await world.claimOne("gone");
    await world.expireLease(job);

    await world.sql.script(recipe);
    await world.sql.script(recipe);

    const scheduled = await world.sql.query("select schedule, command from cron.job order by jobname");
    expect(scheduled.map((row) => row.schedule)).toEqual(["17 3 * * *", "* * * * *"]);
    for (const { command } of scheduled) await world.sql.script(String(command));
    expect(await world.statusOf(job.id)).toBe("queued");
  });
});

/** A transaction that took its snapshot and sits there. */
async function openHolder(url: string) {
  const session = await openPostgresSession({ url, poolMax: 1 });
  await session.script("begin isolation level repeatable read");
  const [row] = await session.query("select pg_backend_pid() as pid, 'x' as secret_of_the_query");
  return { pid: Number(row?.pid), close: () => session.close() };
}

/** The parts of pg_cron that the recipe uses, with the signatures of its version 1.6. */
async function standInForPgCron(sql: SqlSession): Promise<void> {
  await sql.script(`
    create schema cron;
    create table cron.job (jobid bigint generated always as identity primary key, schedule text not null,
      command text not null, nodename text not null default 'localhost', nodeport integer not null default 5432,
      database text not null default current_database(), username text not null default current_user,
      active boolean not null default true, jobname text, unique (jobname, username));
    create table cron.job_run_details (jobid bigint, runid bigint primary key, job_pid integer, database text,
      username text, command text, status text, return_message text, start_time timestamptz, end_time timestamptz);
    create function cron.schedule(job_name text, schedule text, command text) returns bigint language sql as $$
      insert into cron.job (jobname, schedule, command) values (job_name, schedule, command)
      on conflict (jobname, username) do update set schedule = excluded.schedule, command = excluded.command
      returning jobid $$;`);
}
