import { afterEach, describe, expect, test } from "vitest";
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import { closeWorlds, openWorld } from "../testing/open-world.ts";

afterEach(closeWorlds);

const ID = "00000000-0000-4000-8000-000000000001";

async function openAsked(answer: unknown) {
  const calls: { name: string; args: Readonly<Record<string, unknown>> }[] = [];
  const call: SqlCall = async (name, args) => {
    calls.push({ name, args });
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const embedder = () => Promise.reject(new Error("nobody embeds here"));
  const world = await openWorld({ searchable: { database: { call }, embedder } });
  const get = async (path: string) => {
    const { status, text } = await world.ask(path);
    return { status, json: JSON.parse(text) };
  };
  return { ...world, get, calls };
}

const filtered = (filter: unknown) => `/jobs?filter=${encodeURIComponent(JSON.stringify(filter))}`;

describe("GET /jobs", () => {
  const page = {
    jobs: [
      { id: ID, error_code: "extract.corrupt", title: "<script>" },
      { id: ID, error_code: "no.such-code" },
      { id: ID, error_code: null },
    ],
    next: null,
    looked_back_to: null,
  };

  test("gives a page, with advice where the catalogue has some", async () => {
    const { get, calls } = await openAsked(page);

    const answer = await get("/jobs");

    expect(answer.status).toBe(200);
    expect(answer.json.jobs.map((job: { advice: unknown }) => job.advice)).toEqual([
      { user: expect.any(String), operator: expect.any(String) },
      null,
      null,
    ]);
    expect(calls[0]).toMatchObject({ name: "rag_browse_jobs", args: { p_filter: {}, p_limit: 50 } });
  });

  test("values travel as they are, SQL or not, and a place to go on from keeps its microseconds", async () => {
    const { get, calls } = await openAsked(page);
    const filter = { text: "'; drop table rag_documents; --", tenant_id: "a' or '1'='1" };

    await get(`${filtered(filter)}&before=2026-11-22T10:00:00.123456%2B00:00&before_id=${ID}&limit=7`);

    expect(calls[0]?.args).toEqual({
      p_filter: filter,
      p_limit: 7,
      p_before: "2026-11-22T10:00:00.123456+00:00",
      p_before_id: ID,
    });
  });

  test.each([
    filtered({ tenant: "typo" }),
    filtered({ status: ["done"] }),
    filtered([]),
    "/jobs?filter={",
    "/jobs?limit=0",
    "/jobs?limit=100000",
    "/jobs?before=now()",
    "/jobs?befor=2026-01-01",
  ])("%s is refused, and the database is not asked", async (path) => {
    const { get, calls } = await openAsked(page);

    expect(await get(path)).toMatchObject({ status: 400, json: { error: { code: "http.invalid-query" } } });
    expect(calls).toEqual([]);
  });
});

describe("one job, one document", () => {
  test.each([
    [`/jobs/${ID}`, "rag_describe_job"],
    [`/documents/${ID}`, "rag_describe_document"],
  ])("%s asks %s", async (path, name) => {
    const { get, calls } = await openAsked({ id: ID, error_code: null });

    expect(await get(path)).toMatchObject({ status: 200, json: { id: ID } });
    expect(calls[0]?.name).toBe(name);
  });

  test("a document comes with what was said of it and with what it is related to", async () => {
    const { get, calls } = await openAsked({ id: ID });

    const { json } = await get(`/documents/${ID}`);

    expect(json).toEqual({ id: ID, analysis: { id: ID }, related: { id: ID } });
    expect(calls.map(({ name }) => name)).toEqual([
      "rag_describe_document",
      "rag_read_analysis",
      "rag_related",
    ]);
  });

  test("its chunks come after the one that was seen last", async () => {
    const { get, calls } = await openAsked([]);

    expect(await get(`/documents/${ID}/chunks?after=49&limit=10`)).toEqual({
      status: 200,
      json: { chunks: [] },
    });
    expect(calls).toEqual([
      { name: "rag_list_chunks", args: { p_document_id: ID, p_after: 49, p_limit: 10 } },
    ]);
  });

  test.each([`/jobs/${ID}`, `/documents/${ID}`])("%s of which there is none is 404", async (path) => {
    const { get } = await openAsked(null);

    expect(await get(path)).toMatchObject({
      status: 404,
      json: { error: { code: expect.stringMatching(/unknown$/) } },
    });
  });

  test.each([
    "/jobs/1",
    "/documents/x/chunks",
    "/documents",
    `/jobs/${ID}/x`,
  ])("%s is no address", async (path) => {
    const { get, calls } = await openAsked({});

    expect((await get(path)).status).toBe(404);
    expect(calls).toEqual([]);
  });

  test("a database that is away is told by its code, and why it is only in the log", async () => {
    const { get, logged } = await openAsked(new Failure("database.unreachable", { says: "at secret-host" }));

    const answer = await get(`/jobs/${ID}`);

    expect(answer).toMatchObject({ status: 503, json: { error: { code: "database.unreachable" } } });
    expect(logged()).toContain("database.unreachable");
  });

  test("more than four questions at once are told to come back", async () => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    const embedder = () => Promise.reject(new Error("nobody embeds here"));
    const { ask } = await openWorld({ searchable: { database: { call: () => promise }, embedder } });
    const asked = Array.from({ length: 5 }, () => ask(`/jobs/${ID}`));

    const first = await Promise.race(asked);
    resolve({ error_code: null });

    expect(first.status).toBe(503);
    expect((await Promise.all(asked)).filter((answer) => answer.status === 200)).toHaveLength(4);
  });
});
