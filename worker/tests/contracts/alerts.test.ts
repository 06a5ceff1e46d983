// What the database knows of alerts, over every transport: when one is due, and that one replica alone sends it.
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { fence, World } from "./world.ts";

type Due = { name: string; state: string; says: string };

describeEveryDatabase("alerts", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    for (const table of ["rag_alerts", "rag_pauses", "rag_costs"])
      await world.sql.query(`delete from public.${table}`);
  });

  const LIMITS = { job_seconds: 300, queue_seconds: 900, budget_usd: null };
  const away = [{ name: "provider", says: "openai is away." }];
  const watch = (seen: readonly object[] = [], worker = "one", limits: object = LIMITS) =>
    world.call("rag_watch_alerts", { p_worker: worker, p_seen: seen, p_limits: limits }) as Promise<Due[]>;
  const confirm = (sent = true, worker = "one") =>
    world.call("rag_confirm_alerts", { p_worker: worker, p_sent: sent });
  /** As if so many minutes had gone by since anything was seen or told. */
  const later = (minutes: number) =>
    world.sql.query(
      `update public.rag_alerts set seen_at = seen_at - make_interval(mins => $1),
         told_at = told_at - make_interval(mins => $1), sending_until = sending_until - make_interval(mins => $1)`,
      [minutes],
    );
  const names = (due: readonly Due[]) => due.map(({ name, state }) => `${name} ${state}`);
  const fail = async (code: string) => {
    await world.enqueue({ title: "Secret plans" });
    const job = await world.claimOne();
    await world.call("rag_fail_job", { ...fence(job), p_error_code: code, p_error_detail: "Secret words" });
  };

  test("nothing is due where all is well", async () => {
    expect(await watch()).toEqual([]);
  });

  test("of many replicas that see the same one alone sends it, and nobody again", async () => {
    const due = await Promise.all(["one", "two", "three"].map((worker) => watch(away, worker)));

    expect(due.flat()).toMatchObject([{ name: "provider", state: "firing", says: "openai is away." }]);
    const sender = ["one", "two", "three"][due.findIndex((one) => one.length > 0)] ?? "";
    await confirm(true, sender);
    expect(await watch(away, "two")).toEqual([]);
  });

  test("what could not be sent is sent by whoever looks a minute later", async () => {
    await watch(away);
    await confirm(false);
    expect(await watch(away, "two")).toEqual([]);
    await later(1);

    expect(names(await watch(away, "two"))).toEqual(["provider firing"]);
  });

  test("what a sender took along into its death is sent by another one", async () => {
    await watch(away, "one");
    expect(await watch(away, "two")).toEqual([]);
    await later(2);

    expect(names(await watch(away, "two"))).toEqual(["provider firing"]);
    // The first one lives after all, and confirms what is no longer its to send.
    await confirm(true, "one");
    await confirm(false, "two");
    await later(1);
    expect(names(await watch(away, "three"))).toEqual(["provider firing"]);
  });

  test("its end is told once, and not before nobody has seen it for a while", async () => {
    await watch(away);
    await confirm();
    expect(await watch()).toEqual([]);
    await later(2);

    expect(names(await watch())).toEqual(["provider resolved"]);
    await confirm();
    expect(await watch()).toEqual([]);
  });

  test("what comes and goes is told at most every five minutes, and what stays again after six hours", async () => {
    await watch(away);
    await confirm();
    await later(2);
    await watch();
    await confirm();
    expect(await watch(away)).toEqual([]);
    await later(6);
    expect(names(await watch(away))).toEqual(["provider firing"]);
    await confirm();
    await later(359);
    // Seen all the while.
    await world.sql.query("update public.rag_alerts set seen_at = now()");
    expect(await watch(away)).toEqual([]);
    await later(2);
    expect(names(await watch(away))).toEqual(["provider firing"]);
  });

  test("failed jobs are told together, by code and number, never by title or detail, and each once", async () => {
    await watch();
    await fail("extract.corrupt");
    await fail("extract.corrupt");
    await fail("source.not-found");

    const due = await watch();
    await confirm();

    expect(due).toMatchObject([
      {
        name: "failed-jobs",
        state: "firing",
        says: "3 jobs failed: extract.corrupt (2), source.not-found (1).",
      },
    ]);
    expect(JSON.stringify(due)).not.toContain("Secret");
    await later(6);
    expect(await watch()).toEqual([]);
    await fail("extract.corrupt");
    expect(await watch()).toMatchObject([{ says: "1 job failed: extract.corrupt (1)." }]);
  });

  test("failures of before the first look are nobody's news", async () => {
    await fail("extract.corrupt");

    expect(await watch()).toEqual([]);
  });

  test("a job at work for too long is told by its id", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    expect(await watch()).toEqual([]);
    await world.sql.query(
      "update public.rag_ingestion_queue set started_at = now() - interval '6 minutes' where id = $1",
      [job.id],
    );

    expect(await watch()).toMatchObject([
      { name: "long-jobs", says: `1 job is at work for more than 300 s: ${job.id.slice(0, 8)}.` },
    ]);
  });

  test("a queue that nobody works off is told, unless somebody paused it", async () => {
    const { jobId } = await world.enqueue();
    await world.sql.query(
      "update public.rag_ingestion_queue set run_at = now() - interval '20 minutes' where id = $1",
      [jobId],
    );
    await world.call("rag_pause_jobs", { p_scope: "all" });
    expect(await watch()).toEqual([]);
    await world.call("rag_resume_jobs", { p_scope: "all" });

    expect(await watch()).toMatchObject([
      { name: "queue-age", says: "The oldest job that could be taken waits for 20 min." },
    ]);
  });

  test("a worker that went silent is told once; one that stopped is not", async () => {
    await watch();
    await world.enqueue();
    await world.claimOne("crashed");
    await world.enqueue();
    await world.claimOne("stopped");
    await world.call("rag_retire_worker", { p_worker: "stopped" });
    await world.sql.query("update public.rag_alerts set mark = now() - interval '5 minutes'");
    await world.sql.query(
      "update public.rag_workers set alive_until = now() - interval '1 minute' where worker_id = 'crashed'",
    );

    expect(await watch()).toMatchObject([
      { name: "worker-lost", says: "A worker went silent without a stop: crashed. Its jobs are taken over." },
    ]);
    await confirm();
    await later(6);
    expect(await watch()).toEqual([]);
  });

  test("a spent budget is told", async () => {
    const capped = { ...LIMITS, budget_usd: 5 };
    const tell = (cost: string) =>
      world.call("rag_tell_costs", {
        p_worker: "one",
        p_day: null,
        p_costs: [{ tenant_id: "acme", model: "m", tokens: 1, cost_usd: cost }],
      });
    await tell("4.99");
    expect(await watch([], "one", capped)).toEqual([]);
    await tell("5.00");

    expect(names(await watch([], "one", capped))).toEqual(["budget firing"]);
  });

  test("a name that a replica makes up is not an alert", async () => {
    expect(await watch([{ name: "nonsense", says: "x" }])).toEqual([]);
  });
});
