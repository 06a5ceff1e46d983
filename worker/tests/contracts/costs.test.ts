// What replicas tell of their spending, over every transport.
import { randomUUID } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { openLedger } from "../../costs/ledger.ts";
import { Failure } from "../../failure/failure.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { World } from "./world.ts";

describeEveryDatabase("costs", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_costs");
  });

  const tell = (worker: string, costs: readonly object[], day: string | null = null) =>
    world.call("rag_tell_costs", { p_worker: worker, p_day: day, p_costs: costs }) as Promise<{
      day: string;
      ends_in_seconds: number;
      spent_usd: number;
    }>;
  const paid = (tokens: number, cost_usd: string, tenant_id = "acme") => ({
    tenant_id,
    model: "m",
    tokens,
    cost_usd,
  });
  const sums = (by: readonly string[], more: object = {}) =>
    world.call("rag_sum_costs", { p_by: by, p_since: null, p_tenant: null, ...more });

  test("totals told twice, or overtaken by newer ones, count once", async () => {
    await tell("one", [paid(100, "0.2")]);
    await tell("one", [paid(300, "0.6")]);
    await tell("one", [paid(100, "0.2")]);
    const answer = await tell("one", [paid(300, "0.6")]);

    expect(Number(answer.spent_usd)).toBe(0.6);
    expect(answer.ends_in_seconds).toBeGreaterThan(0);
    expect(answer.ends_in_seconds).toBeLessThanOrEqual(86_400);
  });

  test("what replicas paid is added up, and told apart by what is asked for", async () => {
    await tell("one", [paid(100, "0.1"), paid(50, "0.05", "other")]);
    await tell("two", [paid(200, "0.2")]);
    const today = (await tell("two", [])).day;

    expect(await sums(["tenant"])).toEqual([
      { day: null, tenant_id: "acme", model: null, tokens: 300, cost_usd: 0.3 },
      { day: null, tenant_id: "other", model: null, tokens: 50, cost_usd: 0.05 },
    ]);
    expect(await sums(["day", "model"], { p_tenant: "other" })).toEqual([
      { day: today, tenant_id: null, model: "m", tokens: 50, cost_usd: 0.05 },
    ]);
    expect(await sums(["day"], { p_since: "2999-01-01" })).toEqual([]);
  });

  test("a day that has not begun is today, and one that has ended stays what it was", async () => {
    await tell("one", [paid(1, "1")], "2999-12-31");
    await tell("one", [paid(2, "2")], "2026-01-02");

    const { day, spent_usd } = await tell("one", []);

    expect(Number(spent_usd)).toBe(1);
    expect(await sums(["day"])).toEqual([
      { day, tenant_id: null, model: null, tokens: 1, cost_usd: 1 },
      { day: "2026-01-02", tenant_id: null, model: null, tokens: 2, cost_usd: 2 },
    ]);
  });

  test("jobs outlive their sums' rows the other way round: pruning a job leaves what it cost", async () => {
    await tell("one", [paid(100, "0.2")]);
    await world.sql.query("delete from public.rag_ingestion_queue");

    expect(await sums(["tenant"])).toMatchObject([{ tenant_id: "acme", tokens: 100 }]);
  });

  test("jobs that wait for the next day's budget are due when there is money again; others go on waiting", async () => {
    const { jobId } = await world.enqueue();
    const other = await world.enqueue({ run_at: "2199-01-01T00:00:00Z" });
    const job = await world.claimOne();
    await world.call("rag_release_job", {
      p_job_id: job.id,
      p_lease_token: job.lease.token,
      p_delay_seconds: 3600,
      p_error_code: "embed.budget-spent",
      p_error_detail: "spent",
    });
    const waiting = (await world.call("rag_describe_job", { p_job_id: jobId })) as { waits_for: string };

    const answer = await world.call("rag_end_budget_wait", {});

    expect(waiting.waits_for).toContain("budget");
    expect(answer).toEqual({ resumed: 1 });
    expect((await world.claim(5)).map((one) => one.id)).toEqual([jobId]);
    expect(await world.statusOf(other.jobId)).toBe("queued");
  });

  test("a ledger refuses paid work when all replicas together have reached the cap, and tells its own on closing", async () => {
    const open = (budgetUsd: number | null) =>
      openLedger({ call: world.call, workerId: randomUUID(), budgetUsd });
    const spent = (costUsd: number) => ({ tenantId: "acme", model: "m", tokens: 10, costUsd });
    const one = await open(1);
    one.admit();
    one.add(spent(0.7));
    one.admit();
    await one.close();

    const two = await open(1);
    two.admit();
    two.add(spent(0.4));

    expect(() => two.admit()).toThrow(Failure);
    await two.close();
    const three = await open(1);
    let refusal: unknown;
    try {
      three.admit();
    } catch (thrown) {
      refusal = thrown;
    }
    expect(refusal).toMatchObject({ code: "embed.budget-spent", kind: "waiting" });
    expect((refusal as Failure).retryAfterMs).toBeLessThanOrEqual(86_460_000);
    await three.close();
    const free = await open(null);
    free.admit();
    await free.close();
    expect(await sums(["tenant"])).toMatchObject([{ tenant_id: "acme", tokens: 20, cost_usd: 1.1 }]);
  });
});
