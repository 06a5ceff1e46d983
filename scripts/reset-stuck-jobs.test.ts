// The script as an operator runs it, statement by statement, on a database of its own.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "../worker/tests/contracts/open-databases.ts";
import { World } from "../worker/tests/contracts/world.ts";

describeEveryDatabase("resetting stuck jobs by script", (leg) => {
  let world: World;

  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  const runScript = async (): Promise<readonly (readonly Record<string, unknown>[])[]> => {
    const text = await readFile(join(import.meta.dirname, "reset-stuck-jobs.sql"), "utf8");
    const statements = text
      .replaceAll(/--.*$/gm, "")
      .split(";")
      .filter((statement) => statement.trim() !== "");
    const answers = [];
    for (const statement of statements) answers.push(await world.sql.query(statement));
    return answers;
  };

  test("a job whose worker is gone is reset, shown with who held it, and can be claimed again", async () => {
    await world.enqueue();
    const job = await world.claimOne("worker-gone");
    await world.expireLease(job);

    const [, reset] = await runScript();

    expect(reset).toMatchObject([{ id: job.id, status: "queued", was_held_by: "worker-gone" }]);
    expect((await world.claimOne("worker-new")).id).toBe(job.id);
  });

  test("a job untouched for ten minutes is reset even under a lease that still runs", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await world.sql.query(
      "update public.rag_ingestion_queue set updated_at = now() - interval '11 minutes' where id = $1",
      [job.id],
    );

    const [, reset] = await runScript();

    expect(reset).toMatchObject([{ id: job.id }]);
  });

  test("the slow worker that comes back after the reset changes nothing", async () => {
    await world.enqueue();
    const late = await world.claimOne("worker-slow");
    await world.begin(late);
    await world.expireLease(late);
    await runScript();

    const answer = await world.complete(late, 0);

    expect(answer).toBe("lease_lost");
    expect(await world.statusOf(late.id)).toBe("queued");
  });

  test("a job in work is left alone", async () => {
    await world.enqueue();
    const job = await world.claimOne();

    const [, reset] = await runScript();

    expect(reset).toEqual([]);
    expect(await world.statusOf(job.id)).toBe("processing");
  });

  test("a job whose own lease has run out is left alone while its worker gives signs of life", async () => {
    await world.enqueue();
    const job = await world.claimOne("worker-alive");
    await world.expireLease(job);
    await world.call("rag_keep_leases", {
      p_worker: "worker-alive",
      p_held: [{ job_id: job.lease.jobId, lease_token: job.lease.token }],
      p_lease_seconds: 60,
    });

    const [, reset] = await runScript();

    expect(reset).toEqual([]);
    expect(await world.statusOf(job.id)).toBe("processing");
  });

  test("the last jobs are shown first, ten at most, and finished ones are never touched", async () => {
    for (let count = 0; count < 11; count += 1) await world.enqueue();
    await world.sql.query(
      "update public.rag_ingestion_queue set status = 'failed', updated_at = now() - interval '1 day'",
    );

    const [shown, reset] = await runScript();

    expect(shown).toHaveLength(10);
    expect(reset).toEqual([]);
  });
});
