import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, test } from "vitest";
import { createRagClient, markHtml, type RpcClient } from "./index.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A database that gives these answers by function name and keeps what it was asked. */
function answering(answers: Readonly<Record<string, unknown>>) {
  const calls: [string, unknown][] = [];
  const supabase: RpcClient = {
    async rpc(name: string, args: unknown) {
      calls.push([name, args]);
      const answer = answers[name];
      return answer instanceof Error
        ? { data: null, error: { code: "42501", message: answer.message } }
        : {
            data: Array.isArray(answer) && name === "rag_describe_job" ? answer.shift() : answer,
            error: null,
          };
    },
  };
  return { supabase, calls };
}

/** An HTTP server that gives one answer and tells what it was sent. */
async function serving(status: number, body: string) {
  const asked: { path: string | undefined; authorization: string | undefined; body: string }[] = [];
  const server = createServer(async (request, response) => {
    asked.push({
      path: request.url,
      authorization: request.headers.authorization,
      body: await text(request),
    });
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

describe("search", () => {
  test("without an embedder asks by words alone", async () => {
    const { supabase, calls } = answering({ rag_text_search: [] });

    await createRagClient(supabase).search("drills", { filter: { tenant_id: "acme" } });

    expect(calls).toEqual([
      ["rag_text_search", { p_query: "drills", p_limit: 10, p_filter: { tenant_id: "acme" } }],
    ]);
  });

  test("with a worker to embed asks by both ways, for that worker's model", async () => {
    const { supabase, calls } = answering({ rag_hybrid_search: [] });
    const { url, asked } = await serving(200, '{"model": "m", "embeddings": [[0.5, 1]]}');

    await createRagClient(supabase, { embed: { worker: { url: `${url}/`, token: "t" } } }).search("drills");

    expect(asked).toEqual([{ path: "/embed", authorization: "Bearer t", body: '{"texts":["drills"]}' }]);
    expect(calls[0]).toEqual([
      "rag_hybrid_search",
      {
        p_query: "drills",
        p_query_embedding: "[0.5,1]",
        p_model: "m",
        p_weight: 0.3,
        p_limit: 10,
        p_filter: {},
      },
    ]);
  });

  test("with OpenAI to embed sends its request", async () => {
    const { supabase, calls } = answering({ rag_search_chunks: [] });
    const { url, asked } = await serving(200, '{"data": [{"index": 0, "embedding": [1, 2]}]}');
    const openai = { apiKey: "k", model: "text-embedding-3-small", dimensions: 2, baseUrl: url };

    await createRagClient(supabase, { embed: { openai } }).search("drills", { mode: "vector" });

    expect(asked[0]).toMatchObject({ path: "/embeddings", authorization: "Bearer k" });
    expect(JSON.parse(asked[0]?.body ?? "")).toEqual({
      model: "text-embedding-3-small",
      input: ["drills"],
      encoding_format: "float",
      dimensions: 2,
    });
    expect(calls[0]?.[1]).toMatchObject({ p_query_embedding: "[1,2]", p_model: "text-embedding-3-small" });
  });

  test("as the signed-in user asks that user's search", async () => {
    const { supabase, calls } = answering({ rag_search_mine: [] });
    await createRagClient(supabase, { mine: true }).search("drills");
    expect(calls[0]?.[0]).toBe("rag_search_mine");
  });

  test.each([
    [
      "an error of the worker",
      401,
      '{"error": {"code": "http.unauthorised", "message": "No."}}',
      "http.unauthorised",
    ],
    ["a page of a proxy", 502, "<html>", "http.502"],
    ["no vectors", 200, '{"model": "m", "embeddings": []}', "embed.bad-answer"],
    ["vectors without numbers", 200, '{"model": "m", "embeddings": [[null]]}', "embed.bad-answer"],
    ["no JSON", 200, "<html>", "embed.bad-answer"],
  ])("%s ends in its code, and nothing is searched", async (_what, status, body, code) => {
    const { supabase, calls } = answering({ rag_hybrid_search: [] });
    const { url } = await serving(status, body);

    const searching = createRagClient(supabase, { embed: { worker: { url, token: "t" } } }).search("drills");

    await expect(searching).rejects.toMatchObject({ name: "RagError", code });
    expect(calls).toEqual([]);
  });

  test("a refusal of the database is thrown with its code", async () => {
    const { supabase } = answering({ rag_text_search: new Error("permission denied") });
    await expect(createRagClient(supabase).search("x")).rejects.toMatchObject({ code: "42501" });
  });

  test("a search by meaning without an embedder says what is missing", async () => {
    await expect(
      createRagClient(answering({}).supabase).search("x", { mode: "vector" }),
    ).rejects.toMatchObject({
      code: "client.no-embed",
    });
  });
});

test("an entity is sent as it is, and what a document relates to is asked for in its own words", async () => {
  const upserted = { document_id: "d", job_id: null, state: "unchanged" };
  const { supabase, calls } = answering({ rag_upsert_entity: upserted, rag_related: [] });
  const client = createRagClient(supabase);

  const answer = await client.upsertEntity({
    entity_type: "task",
    entity_id: "7",
    content: "Mend the roof.",
  });
  await client.related("d", { types: ["cross_reference"], unresolved: true });

  expect(answer).toEqual(upserted);
  expect(calls).toEqual([
    ["rag_upsert_entity", { p_request: { entity_type: "task", entity_id: "7", content: "Mend the roof." } }],
    ["rag_related", { p_document_id: "d", p_types: ["cross_reference"], p_limit: 50, p_unresolved: true }],
  ]);
});

describe("follow", () => {
  const step = (status: string, processed_chunks = 0) => ({
    id: "j",
    status,
    stage: null,
    processed_segments: 0,
    processed_chunks,
  });

  test("tells each change once and ends with the job", async () => {
    const answers = [
      step("queued"),
      step("queued"),
      step("processing", 1),
      step("complete", 2),
      step("complete", 2),
    ];
    const { supabase } = answering({ rag_describe_job: answers });

    const told: string[] = [];
    for await (const { status } of createRagClient(supabase).follow("j", { everyMs: 1 })) told.push(status);

    expect(told).toEqual(["queued", "processing", "complete"]);
  });

  test("a job that does not exist is an error, not an endless wait", async () => {
    const { supabase } = answering({ rag_describe_job: [null] });
    await expect(createRagClient(supabase).follow("j").next()).rejects.toMatchObject({
      code: "job.not-found",
    });
  });

  test("ends when the signal does, in the middle of a pause", async () => {
    const { supabase } = answering({ rag_describe_job: [step("queued"), step("queued")] });
    const stop = new AbortController();
    const following = createRagClient(supabase).follow("j", { everyMs: 3_600_000, signal: stop.signal });
    await following.next();

    const next = following.next();
    stop.abort();

    expect(await next).toEqual({ done: true, value: undefined });
  });
});

test("marked HTML escapes the document, inside the marks too, and survives places that make no sense", () => {
  expect(markHtml(`a <b onclick="x">&'`, [[2, 4]])).toBe(
    "a <mark>&lt;b</mark> onclick=&quot;x&quot;&gt;&amp;&#39;",
  );
  expect(
    markHtml("abc", [
      [2, 1],
      [1, 2],
      [0, 1],
      [2, 99],
    ]),
  ).toBe("a<mark>b</mark>c");
});
