import { afterEach, describe, expect, test } from "vitest";
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import { closeWorlds, openWorld } from "../testing/open-world.ts";

afterEach(closeWorlds);

const token = "canary-token";
const bearer = { authorization: `Bearer ${token}`, "content-type": "application/json" };
const ID = "00000000-0000-4000-8000-000000000001";

async function openAsked(answer: unknown = { requeued: 2, would_requeue: 7 }) {
  const calls: { name: string; args: Readonly<Record<string, unknown>> }[] = [];
  let woken = 0;
  const call: SqlCall = async (name, args) => {
    calls.push({ name, args });
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const world = await openWorld({
    token,
    searchable: { database: { call }, embedder: () => Promise.reject(new Error("nobody embeds here")) },
    wake: () => {
      woken += 1;
    },
  });
  const act = async (body: unknown, headers: Record<string, string> = bearer) => {
    const answered = await world.ask("/jobs/actions", headers, "POST", JSON.stringify(body));
    return { ...answered, json: JSON.parse(answered.text) };
  };
  return { ...world, act, calls, woken: () => woken };
}

describe("POST /jobs/actions", () => {
  test("counts without changing anything or waking anybody", async () => {
    const { act, calls, woken } = await openAsked();

    const answer = await act({ action: "retry", filter: { status: ["failed"] }, count_only: true });

    expect(answer).toMatchObject({ status: 200, json: { jobs: 7 } });
    expect(calls).toEqual([
      {
        name: "rag_requeue_jobs",
        args: { p_filter: { status: ["failed"] }, p_dry_run: true, p_limit: null },
      },
    ]);
    expect(woken()).toBe(0);
  });

  test("retries no more than was agreed to, wakes the worker, and logs that without the filter's values", async () => {
    const { act, calls, woken, logged } = await openAsked();

    const answer = await act({ action: "retry", filter: { tenant_id: "secret-tenant" }, at_most: 5 });

    expect(answer.json).toEqual({ jobs: 2 });
    expect(calls[0]?.args).toEqual({
      p_filter: { tenant_id: "secret-tenant", status: ["failed"] },
      p_dry_run: false,
      p_limit: 5,
    });
    expect(woken()).toBe(1);
    expect(logged()).toContain("jobs acted on over HTTP");
    expect(logged()).not.toContain("secret-tenant");
  });

  test("what is named by id is retried also when it was cancelled", async () => {
    const { act, calls } = await openAsked();

    await act({ action: "retry", filter: { job_ids: [ID] } });

    expect(calls[0]?.args.p_filter).toEqual({ job_ids: [ID], status: ["failed", "cancelled"] });
  });

  test.each([
    [
      { action: "cancel", filter: { status: ["queued"] } },
      "rag_cancel_jobs",
      { p_filter: { status: ["queued"] }, p_dry_run: false, p_limit: 1000 },
    ],
    [
      { action: "prioritise", filter: { job_ids: [ID] }, priority: 9 },
      "rag_prioritise_jobs",
      { p_filter: { job_ids: [ID] }, p_dry_run: false, p_limit: 1000, p_priority: 9 },
    ],
    [
      { action: "pause", scope: "tenant", name: "acme", reason: "a leak" },
      "rag_pause_jobs",
      { p_scope: "tenant", p_name: "acme", p_reason: "a leak" },
    ],
    [{ action: "resume", scope: "all" }, "rag_resume_jobs", { p_scope: "all", p_name: "" }],
  ])("%j becomes %s", async (body, name, args) => {
    const { act, calls } = await openAsked({});

    expect((await act(body)).status).toBe(200);
    expect(calls).toEqual([{ name, args }]);
  });

  test.each([
    ["an empty filter", { action: "cancel", filter: {} }],
    ["no filter", { action: "cancel" }],
    ["an unknown field", { action: "cancel", filter: { tenant: "acme" } }],
    ["an unknown action", { action: "delete", filter: { status: ["queued"] } }],
    ["a priority of ten", { action: "prioritise", filter: { status: ["queued"] }, priority: 10 }],
    ["SQL for a status", { action: "cancel", filter: { status: ["queued' or true --"] } }],
    ["SQL for an id", { action: "cancel", filter: { job_ids: ["' or 1=1 --"] } }],
    ["too many at once", { action: "cancel", filter: { status: ["queued"] }, at_most: 1_000_000 }],
  ])("%s is refused, and nothing is changed", async (_what, body) => {
    const { act, calls } = await openAsked();

    expect(await act(body)).toMatchObject({ status: 400, json: { error: { code: "http.invalid-body" } } });
    expect(calls).toEqual([]);
  });

  test("a failing database is told by its code", async () => {
    const { act } = await openAsked(new Failure("database.unreachable"));

    expect(await act({ action: "retry", filter: { job_ids: [ID] } })).toMatchObject({
      status: 503,
      json: { error: { code: "database.unreachable" } },
    });
  });
});

test.each([
  ["a value that the database cannot store", "22021", "A value of the request cannot be stored"],
  ["what a constraint forbids", "23514", "A value of the request cannot be stored"],
  ["what a function of ours cannot mean, in its sentence", "22023", "The scope is all, kind or tenant."],
])("%s is the sender's to correct", async (_what, sqlstate, says) => {
  const { act } = await openAsked(
    new Failure("database.rejected", { says: "The scope is all, kind or tenant.", facts: { sqlstate } }),
  );

  const answer = await act({ action: "pause", scope: "tenant", name: "\u0000" });

  expect(answer).toMatchObject({
    status: 400,
    json: { error: { code: "http.invalid-value", message: expect.stringContaining(says) } },
  });
});

test("what the database rejects for any other reason is ours", async () => {
  const { act } = await openAsked(new Failure("database.rejected", { facts: { sqlstate: "42P10" } }));

  expect(await act({ action: "pause", scope: "all" })).toMatchObject({ status: 500 });
});

describe("who may act", () => {
  const cancelAll = { action: "cancel", filter: { status: ["queued"] } };

  test.each([
    ["no token", {}],
    ["another token", { authorization: "Bearer another" }],
    [
      "the token as a cookie, as another site's page would send it",
      { cookie: `token=${token}; rag-token=${token}` },
    ],
  ])("with %s the answer is 401 and nothing is changed", async (_what, headers) => {
    const { act, calls } = await openAsked();

    const answer = await act(cancelAll, { "content-type": "application/json", ...headers });

    expect(answer).toMatchObject({ status: 401, json: { error: { code: "http.unauthorised" } } });
    expect(calls).toEqual([]);
  });

  test("a form on another site's page cannot act, even if it had the token", async () => {
    const { act, calls } = await openAsked();

    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
      expect((await act(cancelAll, { ...bearer, "content-type": type })).status).toBe(415);
    expect(calls).toEqual([]);
  });

  test("no answer lets another site read or ask: there are no CORS headers", async () => {
    const { ask } = await openAsked();

    const asked = await ask("/jobs/actions", { ...bearer, origin: "https://evil.example" }, "OPTIONS");

    expect(asked.status).toBe(405);
    expect(Object.keys(asked.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  test("without a token of its own the server has no such route", async () => {
    const { ask } = await openWorld({ token: null });

    expect((await ask("/jobs/actions", { "content-type": "application/json" }, "POST", "{}")).status).toBe(
      404,
    );
  });
});
