// Who is next, and who may not yet: tenants by fair share, caps to the job, pauses, floors, and many transitions in
// one call; over every transport.
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Job } from "../../document/lease.ts";
import { exchange } from "../../queue/exchange.ts";
import { describeWith } from "../services.ts";
import { describeEveryDatabase, type Leg, openLeg } from "./open-databases.ts";
import { World } from "./world.ts";

type Insert = { readonly tenant: string; readonly rows: number; readonly priority?: number };

/** Plain inserts, in this order, as applications make them; one document a row. */
async function insert(world: World, ...inserts: readonly Insert[]): Promise<void> {
  for (const { tenant, rows, priority = 0 } of inserts)
    await world.sql.query(
      `with added as (
         insert into public.rag_documents (tenant_id, external_id, source_uri)
         select $1, gen_random_uuid()::text, 'inline:x' from generate_series(1, $2::integer) returning id)
       insert into public.rag_ingestion_queue (document_id, priority) select id, $3::smallint from added`,
      [tenant, rows, priority],
    );
}

const tenantsOf = (jobs: readonly Job[]) => jobs.map((job) => job.tenantId.slice(-1)).join("");

describeEveryDatabase("fairness", (leg) => {
  let world: World;
  let a: string;
  let b: string;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_tenants");
    await world.sql.query("delete from public.rag_pauses");
    [a, b] = [`${randomUUID()}-a`, `${randomUUID()}-b`];
  });

  const settle = (jobs: readonly Job[], worker = "worker-a", slots = 0) =>
    exchange(
      world.call,
      {
        transitions: jobs.map((job) => ({
          job_id: job.id,
          lease_token: job.lease.token,
          transition: "complete",
          chunks: 0,
          segments: 0,
        })),
        slots,
        holds: 0,
        listens: null,
        reap: false,
      },
      { workerId: worker, kinds: ["document"], leaseSeconds: 60 },
      AbortSignal.timeout(30_000),
    );
  const cap = (tenant: string, jobs: number, weight = 1) =>
    world.sql.query("insert into public.rag_tenants (tenant_id, max_jobs, weight) values ($1, $2, $3)", [
      tenant,
      jobs,
      weight,
    ]);
  const pause = (scope: string, name: string) =>
    world.sql.query("insert into public.rag_pauses (scope, name) values ($1, $2)", [scope, name]);

  test("a tenant's single job does not wait for another's hundred", async () => {
    await insert(world, { tenant: a, rows: 100 });
    await settle(await world.claim(10));
    await insert(world, { tenant: b, rows: 1 });

    expect(tenantsOf(await world.claim(3))).toContain("b");
  });

  test("two tenants with a backlog take turns, and a tenant's own jobs keep their order", async () => {
    await insert(world, { tenant: a, rows: 6 }, { tenant: b, rows: 6 });

    const jobs = await world.claim(12);

    expect([...tenantsOf(jobs.slice(0, 6))].filter((name) => name === "a")).toHaveLength(3);
    const rows = await world.sql.query(
      "select id from public.rag_ingestion_queue where tenant_id = $1 order by position, ctid",
      [a],
    );
    expect(jobs.filter((job) => job.tenantId === a).map((job) => job.id)).toEqual(rows.map((row) => row.id));
  });

  test("weight three is served three times as often", async () => {
    await world.sql.query("insert into public.rag_tenants (tenant_id, weight) values ($1, 3)", [a]);
    await insert(world, { tenant: a, rows: 40 }, { tenant: b, rows: 40 });

    const served = [...tenantsOf(await world.claim(40))].filter((name) => name === "a").length;

    expect(served).toBeGreaterThanOrEqual(29);
    expect(served).toBeLessThanOrEqual(31);
  });

  test("a tenant at its cap gets no more, whoever asks, and does not stand in the way of others", async () => {
    await cap(a, 2);
    await insert(world, { tenant: a, rows: 30 }, { tenant: b, rows: 2 });

    const first = await world.claim(10, "one");
    const second = await world.claim(10, "two");

    expect(
      tenantsOf([...first, ...second])
        .split("")
        .sort()
        .join(""),
    ).toBe("aabb");
    const [waiting] = await world.sql.query(
      "select waits_for from public.rag_ingestion_queue where status = 'queued' order by position limit 1",
    );
    expect(waiting?.waits_for).toBe("cap");
  });

  test("each job that ends lets the next of its capped tenant in, until all are done", async () => {
    await cap(a, 2);
    await insert(world, { tenant: a, rows: 7 });
    let held = await world.claim(10);
    const sizes = [held.length];

    while (held.length > 0) {
      held = (await settle(held, "worker-a", 10)).jobs;
      sizes.push(held.length);
    }

    expect(sizes).toEqual([2, 2, 2, 1, 0]);
  });

  test("without its cap a tenant's waiting jobs are ready again", async () => {
    await cap(a, 1);
    await insert(world, { tenant: a, rows: 4 });
    expect(await world.claim(10)).toHaveLength(1);

    await world.sql.query("update public.rag_tenants set max_jobs = null where tenant_id = $1", [a]);

    expect(await world.claim(10)).toHaveLength(3);
  });

  test("nothing is claimed of a paused tenant, and everything once it is resumed", async () => {
    await insert(world, { tenant: a, rows: 3 }, { tenant: b, rows: 1 });
    await pause("tenant", a);
    await insert(world, { tenant: a, rows: 1 });
    expect(tenantsOf(await world.claim(10))).toBe("b");
    expect(await world.claim(10)).toEqual([]);

    await world.sql.query("delete from public.rag_pauses");

    expect(tenantsOf(await world.claim(10))).toBe("aaaa");
  });

  test.each([
    ["all", ""],
    ["kind", "document"],
  ])("a pause of %s %s stops claims, and not what is at work", async (scope, name) => {
    await insert(world, { tenant: a, rows: 2 });
    const [job] = await world.claim(1);
    if (job === undefined) throw new Error("a job was expected");

    await pause(scope, name);

    expect(await world.claim(10)).toEqual([]);
    expect((await settle([job])).settled).toEqual(["complete"]);
  });

  test("a priority that is changed by hand counts at the next claim", async () => {
    await insert(world, { tenant: a, rows: 3 });
    const [, , last] = await world.sql.query(
      "select id from public.rag_ingestion_queue order by position, ctid",
    );

    await world.sql.query("update public.rag_ingestion_queue set priority = 9 where id = $1", [last?.id]);

    expect((await world.claim(1))[0]?.id).toBe(last?.id);
  });

  test("a job that was put off by hand waits for its time", async () => {
    await insert(world, { tenant: a, rows: 1 });
    await world.sql.query("update public.rag_ingestion_queue set run_at = now() + interval '1 hour'");

    expect(await world.claim(10)).toEqual([]);
  });

  test("many transitions of every kind travel in one call, and each is answered in its place", async () => {
    await insert(world, { tenant: a, rows: 5 });
    const [done, tried, failed, given, stale] = await world.claim(5);
    if (!done || !tried || !failed || !given || !stale) throw new Error("five jobs were expected");
    const of = (job: Job, transition: string) => ({
      job_id: job.id,
      lease_token: job.lease.token,
      transition,
      error_code: "unexpected",
      error_detail: "Why.",
    });

    const answers = await world.call("rag_settle_jobs", {
      p_settled: [
        { ...of(tried, "retry") },
        { ...of(done, "complete"), chunks: 0, segments: 0 },
        { ...of(failed, "fail") },
        { ...of(given, "release"), delay_seconds: 60 },
        { ...of(stale, "complete"), lease_token: "1", chunks: 0, segments: 0 },
      ],
    });

    expect(answers).toEqual(["queued", "complete", "failed", "queued", { state: "lease_lost" }]);
    expect(await world.job(given.id)).toMatchObject({ status: "queued", attempts: 0 });
    expect(await world.job(tried.id)).toMatchObject({ status: "queued", attempts: 1 });
  });

  test("a transition that is sent twice is answered as the first time", async () => {
    await insert(world, { tenant: a, rows: 2 });
    const [first, second] = await world.claim(2);
    if (!first || !second) throw new Error("two jobs were expected");
    const sent = [
      { job_id: first.id, lease_token: first.lease.token, transition: "complete", chunks: 0, segments: 0 },
      {
        job_id: second.id,
        lease_token: second.lease.token,
        transition: "release",
        delay_seconds: 60,
        error_code: null,
        error_detail: null,
      },
    ];
    await world.call("rag_settle_jobs", { p_settled: sent });

    const again = await world.call("rag_settle_jobs", { p_settled: sent });

    expect(again).toMatchObject([{ state: "complete" }, "queued"]);
    expect(await world.job(second.id)).toMatchObject({ status: "queued", attempts: 0 });
  });

  test("an idle poll answers an empty object", async () => {
    expect(
      await world.call("rag_settle_and_claim", {
        p_worker: "idle",
        p_settled: [],
        p_slots: 4,
        p_kinds: ["document"],
        p_lease_seconds: 60,
        p_reap: false,
      }),
    ).toEqual({});
  });

  test("an idle worker reads the poll that found nothing", async () => {
    expect(await settle([], "idle", 4)).toMatchObject({ jobs: [], unreadable: [], settled: [] });
    expect(await settle([], "idle", 4)).toMatchObject({ jobs: [], unreadable: [], settled: [] });
  });

  test("an idle poll says when the next delayed job is due", async () => {
    await insert(world, { tenant: a, rows: 1 });
    await world.sql.query("update public.rag_ingestion_queue set run_at = now() + interval '20 seconds'");

    const { dueMs } = await settle([], "idle", 4);

    expect(dueMs).toBeGreaterThan(0);
    expect(dueMs).toBeLessThanOrEqual(20_000);
  });

  test("a claim whose answer was lost is given back at once by a worker that waits for none", async () => {
    await insert(world, { tenant: a, rows: 2 });
    const [known] = await world.claim(1, "forgetful");
    await world.claim(1, "forgetful");

    await world.call("rag_keep_leases", {
      p_worker: "forgetful",
      p_held: [{ job_id: known?.id, lease_token: known?.lease.token }],
      p_lease_seconds: 60,
      p_none_under_way: true,
    });

    const rows = await world.sql.query(
      "select status, attempts from public.rag_ingestion_queue order by status",
    );
    expect(rows).toEqual([
      { status: "processing", attempts: 1 },
      { status: "queued", attempts: 0 },
    ]);
  });
});

describeWith(["postgres", "pgbouncer"], "the queue beside open transactions", () => {
  let leg: Leg;
  let world: World;
  beforeAll(async () => {
    leg = await openLeg("postgres");
  });
  afterAll(() => leg.close());
  beforeEach(async () => {
    world = await new World(leg).start();
    await world.sql.query("delete from public.rag_tenants");
    await world.sql.query("delete from public.rag_pauses");
  });

  const floor = async () => {
    const [row] = await world.sql.query(
      "select public.rag_cell('public.rag_queue_floor_0') as floor, public.rag_cell('public.rag_queue_clock_0') as clock",
    );
    return { floor: Number(row?.floor), clock: Number(row?.clock) };
  };
  /** The floors are raised at most every tenth of a second. */
  const raiseFloors = async () => {
    for (let turn = 0; turn < 3; turn += 1) await world.sql.query("select public.rag_raise_floors()");
  };

  test("two that insert for the tenants A, B and B, A both commit", async () => {
    const [x, y] = ["x", "y"];
    await Promise.all(
      [
        [x, y],
        [y, x],
      ].map((tenants) =>
        world.sql.transaction(async (session) => {
          for (const tenant of tenants) {
            await session.query(
              `with added as (insert into public.rag_documents (tenant_id, source_uri) values ($1, 'inline:x') returning id)
               insert into public.rag_ingestion_queue (document_id) select id from added`,
              [tenant],
            );
            await session.query("select pg_sleep(0.3)");
          }
        }),
      ),
    );

    expect(await world.claim(10)).toHaveLength(4);
  });

  test.each([
    // A claim may take a sixteenth of the cap beside others where seven more such shares have room: eight claims of
    // two after sixteen jobs at work are 32. The ninth gets none, nor does one that asks for more than a share.
    { cap: 32, atWork: 16, asks: [2, 2, 2, 2, 2, 2, 2, 2, 2], get: [2, 2, 2, 2, 2, 2, 2, 2, 0] },
    { cap: 32, atWork: 0, asks: [2, 5, 2], get: [2, 0, 2] },
    // Near the cap one counts at a time.
    { cap: 32, atWork: 17, asks: [2, 2], get: [2, 0] },
    { cap: 8, atWork: 0, asks: [1, 1], get: [1, 0] },
  ])("claims of one tenant that are not committed yet never pass its cap: $cap, $atWork at work, asked for $asks", async ({
    cap,
    atWork,
    asks,
    get,
  }) => {
    await world.sql.query("insert into public.rag_tenants (tenant_id, max_jobs) values ('many', $1)", [cap]);
    await insert(world, { tenant: "many", rows: 100 });
    for (let left = atWork; left > 0; left -= 1) await world.claim(1);
    const sql = postgres(leg.url, { max: asks.length, onnotice: () => {} });
    try {
      const open = await Promise.all(asks.map(() => sql.reserve()));
      const got: number[] = [];
      for (const [place, session] of open.entries()) {
        await session`begin`;
        const [row] =
          await session`select coalesce(json_array_length(public.rag_claim_jobs(${`worker-${place}`}, ${asks[place] ?? 0}, '{document}', 60) -> 'job_id'), 0) as jobs`;
        got.push(row?.jobs);
      }
      for (const session of open) await session`commit`;

      expect(got).toEqual(get);
    } finally {
      await sql.end({ timeout: 1 });
    }
  });

  test("the floor follows the clock once nothing is ready below it", async () => {
    await insert(world, { tenant: "x", rows: 20 });
    await world.claim(20);
    await raiseFloors();

    const { floor: raised, clock } = await floor();
    expect(raised).toBe(clock);
  });

  test("a row inserted early and committed late is found, though the clock has passed it", async () => {
    await world.sql.transaction(async (late) => {
      await late.query(
        `with added as (insert into public.rag_documents (tenant_id, source_uri) values ('late', 'inline:x') returning id)
         insert into public.rag_ingestion_queue (document_id) select id from added`,
      );
      await insert(world, { tenant: "x", rows: 50 });
      expect(await world.claim(100)).toHaveLength(50);
      await raiseFloors();
    });
    await raiseFloors();

    const jobs = await world.claim(10);

    expect(jobs.map((job) => job.tenantId)).toEqual(["late"]);
  });

  test("a claim that is rolled back leaves its rows where claims look", async () => {
    await insert(world, { tenant: "x", rows: 5 });
    await world.sql
      .transaction(async (session) => {
        await session.query("select public.rag_claim_jobs('gone', 5, array['document'], 60)");
        throw new Error("cut");
      })
      .catch(() => {});
    await raiseFloors();

    expect(await world.claim(10)).toHaveLength(5);
  });

  test("an application that writes elsewhere for long does not hold the floor down", async () => {
    await world.sql.transaction(async (elsewhere) => {
      await elsewhere.query("create temporary table elsewhere (n integer) on commit drop");
      await insert(world, { tenant: "x", rows: 10 });
      await world.claim(10);
      await raiseFloors();
      const { floor: raised, clock } = await floor();
      expect(raised).toBe(clock);
    });
  });

  test("a floor that is too high is lowered by the look at the whole index", async () => {
    await insert(world, { tenant: "x", rows: 3 });
    await world.sql.query(
      "select setval('public.rag_queue_floor_0', (select max(position) + 1000000 from public.rag_ingestion_queue))",
    );
    expect(await world.claim(10)).toEqual([]);

    await world.sql.query("select setval('public.rag_queue_checked_at', 1)");
    await world.sql.query("select public.rag_raise_floors()");

    expect(await world.claim(10)).toHaveLength(3);
  });
});
