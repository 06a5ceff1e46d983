// What the queue promises, over every transport.
import { beforeEach, expect, test } from "vitest";
import type { Job } from "../../document/lease.ts";
import { describeEveryDatabase } from "./open-databases.ts";
import { fence, World } from "./world.ts";

describeEveryDatabase("the queue", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
  });

  const retry = (job: Job, code = "embed.unavailable") =>
    world.call("rag_retry_job", { ...fence(job), p_error_code: code, p_error_detail: "It was away." });
  const release = (job: Job, delaySeconds: number) =>
    world.call("rag_release_job", {
      ...fence(job),
      p_delay_seconds: delaySeconds,
      p_error_code: "embed.rate-limited",
      p_error_detail: "Asked to wait.",
    });
  const fail = (job: Job) =>
    world.call("rag_fail_job", { ...fence(job), p_error_code: "extract.empty", p_error_detail: "Empty." });
  const keep = (worker: string, held: readonly Job[]) =>
    world.call("rag_keep_leases", {
      p_worker: worker,
      p_held: held.map((job) => ({ job_id: job.id, lease_token: job.lease.token })),
      p_lease_seconds: 60,
    });

  test("a plain insert is all an application needs", async () => {
    const documentId = await world.document();

    await world.sql.query("insert into public.rag_ingestion_queue (document_id) values ($1)", [documentId]);

    const job = await world.claimOne();
    expect(job.document?.id).toBe(documentId);
    expect(job.tenantId).toBe(world.tenant);
    expect(job.attempt).toBe(1);
  });

  test("an empty queue answers that nothing is ready", async () => {
    expect(await world.claim(10)).toEqual([]);
  });

  test("a job is claimed once, however many ask", async () => {
    const { jobId } = await world.enqueue();

    const claims = await Promise.all(["a", "b", "c"].map((worker) => world.claim(5, worker)));

    expect(claims.flat().map((job) => job.id)).toEqual([jobId]);
  });

  test("tokens only rise", async () => {
    await world.enqueue();
    const first = await world.claimOne();
    await release(first, 0);
    const second = await world.claimOne();

    expect(BigInt(second.lease.token)).toBeGreaterThan(BigInt(first.lease.token));
  });

  test("the higher priority goes first, then the order of arrival", async () => {
    const low = await world.enqueue({ priority: 0 });
    const high = await world.enqueue({ priority: 5 });
    const lowToo = await world.enqueue({ priority: 0 });

    const claimed = await world.claim(3);

    expect(claimed.map((job) => job.id)).toEqual([high.jobId, low.jobId, lowToo.jobId]);
  });

  test("a job waits for its run_at", async () => {
    await world.enqueue({ run_at: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await world.claim()).toEqual([]);

    await world.makeDue();

    expect(await world.claim()).toHaveLength(1);
  });

  test("only the kinds that were asked for are claimed", async () => {
    await world.sql.query("insert into public.rag_ingestion_queue (kind, tenant_id) values ('sync', $1)", [
      world.tenant,
    ]);
    expect(await world.claim(5)).toEqual([]);
  });

  test.each([
    ["an unknown kind", { kind: "dance" }],
    ["a negative priority", { priority: -1 }],
    ["an impossible run_at", { run_at: "infinity" }],
    ["an unknown field", { urgent: true }],
    ["a document that does not exist", { document_id: "00000000-0000-4000-8000-000000000000" }],
  ])("%s is refused and leaves nothing behind", async (_what, fields) => {
    await expect(world.enqueue(fields)).rejects.toThrow();

    const rows = await world.sql.query("select 1 from public.rag_ingestion_queue");
    expect(rows).toHaveLength(0);
  });

  test("a dedupe key is taken once, also after its job is finished", async () => {
    const first = await world.enqueue({ dedupe_key: "m-1" });
    const job = await world.claimOne();
    await fail(job);

    const again = await world.enqueue({ dedupe_key: "m-1" });

    expect(again.jobId).toBe(first.jobId);
    expect(await world.claim()).toEqual([]);
  });

  test("a later job of a document ends the one that waits as superseded", async () => {
    const first = await world.enqueue();
    const second = await world.enqueue({ document_id: first.documentId });

    expect(await world.job(first.jobId)).toMatchObject({
      status: "cancelled",
      error_code: "job.superseded",
    });
    expect((await world.claim(5)).map((job) => job.id)).toEqual([second.jobId]);
  });

  test("several rows of one document in one insert leave one waiting", async () => {
    const documentId = await world.document();
    await world.sql.query("insert into public.rag_ingestion_queue (document_id) values ($1), ($1), ($1)", [
      documentId,
    ]);

    const rows = await world.sql.query("select status from public.rag_ingestion_queue order by status");

    expect(rows.map((row) => row.status)).toEqual(["cancelled", "cancelled", "queued"]);
  });

  test("a later job of a document at work waits until that one is settled", async () => {
    const { documentId } = await world.enqueue();
    const first = await world.claimOne();
    const second = await world.enqueue({ document_id: documentId });
    expect(await world.claim(5)).toEqual([]);

    await fail(first);

    expect((await world.claim(5)).map((job) => job.id)).toEqual([second.jobId]);
  });

  test("two waiting rows of one document never run at once, even when both slipped in", async () => {
    const { documentId, jobId } = await world.enqueue();
    await world.enqueue({ document_id: documentId });
    // As two inserts leave them that did not see each other.
    await world.sql.query("update public.rag_ingestion_queue set status = 'queued' where id = $1", [jobId]);

    const claimed = await world.claim(5);

    expect(claimed).toHaveLength(1);
  });

  test("where two rows of one document slipped in, the others' are claimed beside it, each with what is its own", async () => {
    const { documentId, jobId } = await world.enqueue();
    await world.enqueue({ document_id: documentId });
    await world.sql.query("update public.rag_ingestion_queue set status = 'queued' where id = $1", [jobId]);
    const others = [await world.enqueue(), await world.enqueue()];

    const claimed = await world.claim(5);

    expect(claimed.map((job) => job.document?.id).sort()).toEqual(
      [documentId, ...others.map((other) => other.documentId)].sort(),
    );
    for (const job of claimed) {
      const row = await world.job(job.id);
      expect([row.document_id, String(row.lease_token)]).toEqual([job.document?.id, job.lease.token]);
    }
  });

  test("a job that failed for now comes back later with its error in the history", async () => {
    await world.enqueue();
    const job = await world.claimOne();

    expect(await retry(job)).toBe("queued");

    const row = await world.job(job.id);
    expect(row).toMatchObject({ status: "queued", attempts: 1, error_code: "embed.unavailable" });
    expect(row.lease_token).toBeNull();
    expect(row.errors).toMatchObject([{ code: "embed.unavailable", attempt: 1, worker_id: "worker-a" }]);
  });

  test("the last attempt ends the job", async () => {
    await world.enqueue({ max_attempts: 2 });
    await retry(await world.claimOne());
    await world.makeDue();

    expect(await retry(await world.claimOne())).toBe("failed");
  });

  test("the error history keeps the last ten", async () => {
    await world.enqueue({ max_attempts: 50 });
    let id = "";
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      const job = await world.claimOne();
      id = job.id;
      await retry(job, `embed.unavailable`);
      await world.makeDue();
    }

    const errors = (await world.job(id)).errors as { attempt: number }[];
    expect(errors.map((error) => error.attempt)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test("a release costs no attempt and says why the job waits", async () => {
    await world.enqueue();
    const job = await world.claimOne();

    expect(await release(job, 3600)).toBe("queued");

    expect(await world.job(job.id)).toMatchObject({ attempts: 0, error_code: "embed.rate-limited" });
    expect(await world.claim()).toEqual([]);
    const described = (await world.call("rag_describe_job", { p_job_id: job.id })) as { waits_for: string };
    expect(described.waits_for).toMatch(/next try in \d+ s, after embed\.rate-limited/);
  });

  test("a failure is final, marks the document, and may be told twice", async () => {
    const { documentId } = await world.enqueue();
    const job = await world.claimOne();

    expect(await fail(job)).toBe("failed");
    expect(await fail(job)).toBe("failed");

    expect(await world.statusOf(job.id)).toBe("failed");
    expect((await world.documentRow(documentId)).status).toBe("failed");
    expect(((await world.job(job.id)).errors as unknown[]).length).toBe(1);
  });

  test("a job is reaped only when its lease and its worker's row have both run out", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await keep("worker-a", [job]);
    await world.sql.query(
      "update public.rag_ingestion_queue set lease_expires_at = now() - interval '1 hour' where id = $1",
      [job.id],
    );
    expect(await world.call("rag_reap", { p_limit: 10 })).toEqual({ requeued: 0, failed: 0 });

    await world.expireLease(job);

    expect(await world.call("rag_reap", { p_limit: 10 })).toEqual({ requeued: 1, failed: 0 });
    expect((await world.claimOne("worker-b")).attempt).toBe(2);
  });

  test("a worker whose session was cut and who calls is not missed: its jobs stay its own", async () => {
    await world.enqueue();
    await world.claimOne("worker-a");
    const miss = () =>
      world.sql.query(
        `update public.rag_workers set locked_at = clock_timestamp(),
           missing_since = clock_timestamp() - interval '2 seconds' where worker_id = 'worker-a'`,
      );
    const call = (worker: string) =>
      world.call("rag_settle_and_claim", {
        p_worker: worker,
        p_settled: [],
        p_slots: 0,
        p_kinds: ["document"],
        p_lease_seconds: 60,
        p_reap: false,
      });

    await miss();
    await call("worker-a");
    expect(await world.call("rag_reap", { p_limit: 10 })).toEqual({ requeued: 0, failed: 0 });
    await miss();
    await call("worker-b");
    expect(await world.call("rag_reap", { p_limit: 10 })).toEqual({ requeued: 1, failed: 0 });
  });

  test("a document that kills its worker every time ends", async () => {
    await world.enqueue({ max_attempts: 2 });
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const job = await world.claimOne();
      await world.expireLease(job);
      await world.call("rag_reap", { p_limit: 10 });
      await world.makeDue();
    }

    const [row] = await world.sql.query("select status, error_code from public.rag_ingestion_queue");
    expect(row).toMatchObject({ status: "failed", error_code: "job.attempts-spent" });
  });

  test("a claim whose answer was lost comes back without costing an attempt", async () => {
    await world.enqueue();
    const [lost] = await world.claim();
    await world.sql.query(
      "update public.rag_ingestion_queue set lease_expires_at = now() - interval '1 second'",
    );

    expect(await keep("worker-a", [])).toEqual({ lost: [], orphans: 1 });

    expect(await world.job(lost?.id ?? "")).toMatchObject({ status: "queued", attempts: 0 });
  });

  test("a renewal names the leases that are lost", async () => {
    await world.enqueue();
    await world.enqueue();
    const [mine, taken] = await world.claim(2);
    if (!mine || !taken) throw new Error("two jobs were expected");
    await world.call("rag_cancel_jobs", { p_filter: { job_ids: [taken.id] } });

    const answer = await keep("worker-a", [mine, taken]);

    expect(answer).toEqual({ lost: [taken.lease.token], orphans: 0 });
  });

  test("a renewal touches quiet jobs, so that the operators' reset spares them", async () => {
    await world.enqueue();
    const job = await world.claimOne();
    await world.sql.query("update public.rag_ingestion_queue set updated_at = now() - interval '20 minutes'");

    await keep("worker-a", [job]);
    await world.sql.query(
      "UPDATE rag_ingestion_queue SET status = 'queued' WHERE status = 'processing' AND updated_at < NOW() - INTERVAL '10 minutes'",
    );

    expect(await world.statusOf(job.id)).toBe("processing");
  });

  test("the operators' reset takes the lease away and gives the job one more attempt", async () => {
    await world.enqueue({ max_attempts: 1 });
    const slow = await world.claimOne("slow");
    await world.sql.query("update public.rag_ingestion_queue set updated_at = now() - interval '20 minutes'");

    await world.sql.query(
      "UPDATE rag_ingestion_queue SET status = 'queued' WHERE status = 'processing' AND updated_at < NOW() - INTERVAL '10 minutes'",
    );

    expect(await fail(slow)).toBe("lease_lost");
    const next = await world.claimOne("quick");
    expect(next.id).toBe(slow.id);
  });

  test("the operators' list works as written", async () => {
    await world.enqueue();
    const rows = await world.sql.query(
      "SELECT id, status, submitted_at, error_detail FROM rag_ingestion_queue ORDER BY submitted_at DESC LIMIT 10",
    );
    expect(rows).toHaveLength(1);
  });

  test("a document with an id that no standard made is claimed beside its neighbours", async () => {
    const { jobId } = await world.enqueue();
    await world.sql.query("insert into public.rag_documents (id, source_uri) values ($1, 'inline:x')", [
      "c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    ]);
    await world.sql.query(
      "insert into public.rag_ingestion_queue (document_id) values ('c4ca4238-a0b9-2382-0dcc-509a6f75849b')",
    );

    const claimed = await world.claim(5);

    expect(claimed).toHaveLength(2);
    expect(claimed.map((job) => job.id)).toContain(jobId);
  });

  test("a job for later leaves the one that is due alone, and the newest inherits the urgency", async () => {
    const due = await world.enqueue({ priority: 9 });
    const later = new Date(Date.now() + 86_400_000).toISOString();
    await world.enqueue({ document_id: due.documentId, run_at: later });
    expect(await world.statusOf(due.jobId)).toBe("queued");

    const newest = await world.enqueue({ document_id: due.documentId });

    expect(await world.statusOf(due.jobId)).toBe("cancelled");
    expect((await world.job(newest.jobId)).priority).toBe(9);
  });

  test("a dedupe key is the document's tenant's, however the request names it", async () => {
    const documentId = await world.document();
    const request = { document_id: documentId, dedupe_key: "k" };
    const first = await world.call("rag_enqueue", { p_request: request });
    const second = (await world.call("rag_enqueue", { p_request: request })) as { state: string };

    expect(second).toMatchObject({ state: "duplicate", job_id: (first as { job_id: string }).job_id });
  });

  test("text without a name is one document however often it is sent", async () => {
    const send = async () =>
      (await world.call("rag_enqueue", { p_request: { content: "Just text." } })) as { document_id: string };

    expect((await send()).document_id).toBe((await send()).document_id);
  });

  test("a document of another tenant cannot be written through its id", async () => {
    const documentId = await world.document();
    await expect(
      world.call("rag_upsert_document", { p_request: { document_id: documentId, tenant_id: "evil" } }),
    ).rejects.toThrow();
  });

  test("a job is of its document's tenant, whatever a plain insert says", async () => {
    const documentId = await world.document();
    await world.sql.query(
      "insert into public.rag_ingestion_queue (document_id, tenant_id) values ($1, 'evil')",
      [documentId],
    );
    expect((await world.claimOne()).tenantId).toBe(world.tenant);
  });

  test("requeue leaves failures alone that a later job has made history", async () => {
    const { documentId } = await world.enqueue();
    await fail(await world.claimOne());
    await world.ingest(["good"], documentId);

    expect(await world.call("rag_requeue_jobs", { p_filter: { status: ["failed"] } })).toEqual({
      requeued: 0,
    });
  });

  test("cancel ends waiting and running jobs, and the running one's worker is told", async () => {
    await world.enqueue();
    const running = await world.claimOne();
    await world.enqueue();

    expect(await world.call("rag_cancel_jobs", { p_filter: { tenant_id: world.tenant } })).toEqual({
      cancelled: 2,
    });
    expect(await fail(running)).toBe("lease_lost");
  });

  test("requeue brings a failed job back with all its attempts, once for each document", async () => {
    const { documentId } = await world.enqueue();
    await fail(await world.claimOne());
    await world.enqueue({ document_id: documentId });
    await fail(await world.claimOne());

    const answer = await world.call("rag_requeue_jobs", { p_filter: { status: ["failed"] } });

    expect(answer).toEqual({ requeued: 1 });
    expect((await world.claimOne()).attempt).toBe(1);
  });

  test("a filter with an unknown name is refused, not ignored", async () => {
    await world.enqueue();
    await expect(world.call("rag_cancel_jobs", { p_filter: { tennant_id: "x" } })).rejects.toThrow();
    expect(await world.claim()).toHaveLength(1);
  });

  test("a worker that retires gives back what it still holds", async () => {
    await world.enqueue();
    const job = await world.claimOne("leaving");

    expect(await world.call("rag_retire_worker", { p_worker: "leaving" })).toEqual({ released: 1 });
    expect(await world.job(job.id)).toMatchObject({ status: "queued", attempts: 0 });
  });

  test("a hand-edited processing row without a lease is refused", async () => {
    const { jobId } = await world.enqueue();
    await expect(
      world.sql.query("update public.rag_ingestion_queue set status = 'processing' where id = $1", [jobId]),
    ).rejects.toThrow();
  });

  test("deleting a document takes its jobs with it, also the one at work", async () => {
    const { documentId } = await world.enqueue();
    const job = await world.claimOne();

    await world.sql.query("delete from public.rag_documents where id = $1", [documentId]);

    expect(await world.complete(job, 0)).toBe("lease_lost");
  });

  test("the figures count what waits and what runs", async () => {
    await world.enqueue();
    await world.enqueue();
    await world.claimOne();

    const stats = (await world.call("rag_queue_stats", {})) as Record<string, unknown>;

    expect(stats).toMatchObject({ queued: 1, processing: 1, delayed: 0 });
  });
});
