// The lease keeper's thread against a main thread that is busy for longer than a lease, while a real reaper in
// another process looks for prey.
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openActivity } from "../../activity/activity.ts";
import { readConfig } from "../../config/config.ts";
import { openLeaseKeeper } from "../../queue/lease-keeper.ts";
import { type Leg, openLeg } from "../contracts/open-databases.ts";
import { World } from "../contracts/world.ts";
import { describeWith } from "../services.ts";

const LEASE_SECONDS = 2;

describeWith(["postgres", "pgbouncer"], "the lease keeper", () => {
  let leg: Leg;
  let world: World;
  beforeEach(async () => {
    leg = await openLeg("postgres");
    world = await new World(leg).start();
  });
  afterEach(() => leg.close());

  const keeperOf = async (workerId: string) => {
    const keeper = openLeaseKeeper({
      workerId,
      leaseSeconds: LEASE_SECONDS,
      stallSeconds: 60,
      activity: openActivity(),
      call: leg.database.call,
      connection: readConfig({ DATABASE_URL: leg.url }),
    });
    await keeper.begin();
    return keeper;
  };

  test("a main thread that is busy for three leases keeps its jobs", { timeout: 60_000 }, async () => {
    await world.enqueue();
    const [job] = await world.claim(1, "busy", LEASE_SECONDS);
    if (job === undefined) throw new Error("a job was expected");
    const keeper = await keeperOf("busy");
    let lost = false;
    keeper.hold(job.lease, () => {
      lost = true;
    });
    const reaper = fork(new URL("./reap-for-a-while.ts", import.meta.url), [leg.url, "9"]);

    const until = performance.now() + 3 * LEASE_SECONDS * 1000;
    while (performance.now() < until) Math.sqrt(until);
    const [{ requeued }] = (await once(reaper, "message")) as [{ requeued: number }];
    await keeper.stop();

    expect({ requeued, lost }).toEqual({ requeued: 0, lost: false });
    expect(await world.statusOf(job.id)).toBe("processing");
  });

  test("without a keeper the same job is rescued", { timeout: 60_000 }, async () => {
    await world.enqueue();
    const [job] = await world.claim(1, "dead", LEASE_SECONDS);
    const reaper = fork(new URL("./reap-for-a-while.ts", import.meta.url), [leg.url, "5"]);

    const [{ requeued }] = (await once(reaper, "message")) as [{ requeued: number }];

    expect(requeued).toBe(1);
    expect(await world.statusOf(job?.id ?? "")).toBe("queued");
  });

  test("a job that was taken away is told to its holder", { timeout: 60_000 }, async () => {
    await world.enqueue();
    const [job] = await world.claim(1, "robbed", LEASE_SECONDS);
    if (job === undefined) throw new Error("a job was expected");
    const keeper = await keeperOf("robbed");
    const lost = new Promise<void>((resolve) => keeper.hold(job.lease, resolve));

    await world.call("rag_cancel_jobs", { p_filter: { job_ids: [job.id] } });

    await lost;
    await keeper.stop();
  });

  test("a keeper that never began leaves nothing: the worker was refused before it could work", async () => {
    const connection = readConfig({ DATABASE_URL: leg.url });
    const { call } = leg.database;
    const lease = { workerId: "refused", leaseSeconds: LEASE_SECONDS };
    const keeper = openLeaseKeeper({
      ...lease,
      stallSeconds: 60,
      activity: openActivity(),
      call,
      connection,
    });

    // Longer than it needs to load and to connect.
    await sleep(1500);
    await keeper.stop();

    expect(await leg.sql.query("select worker_id from public.rag_workers")).toEqual([]);
  });
});
