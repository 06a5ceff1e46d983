import { afterEach, describe, expect, test } from "vitest";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { closeWorlds, openWorld, rawAnswer } from "./testing/open-world.ts";

afterEach(closeWorlds);

const token = "the-token";
const bearer = { authorization: `Bearer ${token}`, "content-type": "application/json" };
const hit = {
  score: 0.9,
  document_id: "d",
  title: "Handbook",
  source_uri: null,
  chunk_index: 0,
  page_number: 1,
  section: null,
  speaker: null,
  started_ms: null,
  ended_ms: null,
  content: "the text",
};

/** A server whose database answers one hit and tells what it was asked. */
async function openAsked(
  embed = async (texts: readonly string[]) => texts.map(() => Float32Array.of(0.5, 1)),
) {
  const calls: { name: string; args: Readonly<Record<string, unknown>> }[] = [];
  const call: SqlCall = async (name, args) => {
    calls.push({ name, args });
    return [hit];
  };
  const embedder = {
    model: "a-model",
    embed: async (texts: readonly string[]) => ({ vectors: await embed(texts), tokens: 1 }),
  };
  const world = await openWorld({
    token,
    searchable: { database: { call }, embedder: async () => embedder },
  });
  const post = async (path: string, body: unknown, headers: Record<string, string> = bearer) => {
    const answer = await world.ask(
      path,
      headers,
      "POST",
      typeof body === "string" ? body : JSON.stringify(body),
    );
    return { ...answer, json: JSON.parse(answer.text) };
  };
  return { ...world, post, calls };
}

describe("POST /search", () => {
  test("finds by both ways unless asked otherwise, with the filter as it is", async () => {
    const { post, calls } = await openAsked();

    const answer = await post("/search", {
      query: "drills",
      limit: 3,
      filter: { tenant_id: "acme", tags: ["a"] },
    });

    expect(answer).toMatchObject({ status: 200, json: { hits: [hit] } });
    expect(calls).toEqual([
      {
        name: "rag_hybrid_search",
        args: {
          p_query: "drills",
          p_query_embedding: "[0.500000000,1.00000000]",
          p_model: "a-model",
          p_limit: 3,
          p_weight: 0.3,
          p_filter: { tenant_id: "acme", tags: ["a"] },
        },
      },
    ]);
  });

  test("by words alone it embeds nothing", async () => {
    const { post, calls } = await openAsked(() => Promise.reject(new Error("embedded")));

    expect((await post("/search", { query: "drills", mode: "text" })).status).toBe(200);
    expect(calls[0]?.name).toBe("rag_text_search");
  });

  test.each([
    ["an unknown filter", { query: "x", filter: { tenant: "typo" } }],
    ["an unknown field", { query: "x", tenant_id: "acme" }],
    ["no query", { limit: 3 }],
    ["an empty query", { query: "  " }],
    ["too many hits", { query: "x", limit: 101 }],
    ["a filter of null", { query: "x", filter: null }],
    ["no JSON", "{"],
    ["bytes that are no text", "\u0000"],
  ])("%s is refused and nothing is searched", async (_what, body) => {
    const { post, calls } = await openAsked();

    const answer = await post("/search", body);

    expect(answer).toMatchObject({ status: 400, json: { error: { code: "http.invalid-body" } } });
    expect(calls).toEqual([]);
  });
});

describe("POST /embed", () => {
  test("gives the model and one vector for each text", async () => {
    const { post } = await openAsked();

    const answer = await post("/embed", { texts: ["one", "two"] });

    expect(answer).toMatchObject({
      status: 200,
      json: {
        model: "a-model",
        embeddings: [
          [0.5, 1],
          [0.5, 1],
        ],
      },
    });
  });

  test.each([
    ["none", []],
    ["too many", Array.from({ length: 65 }, () => "x")],
    ["an empty one", [""]],
    ["one that is too long", ["x".repeat(32_001)]],
  ])("texts: %s is refused", async (_what, texts) => {
    const { post } = await openAsked();
    expect(await post("/embed", { texts })).toMatchObject({ status: 400 });
  });

  test.each([
    ["a text the model refuses", new Failure("embed.input-rejected"), 422],
    ["a provider that is down", new Failure("embed.unavailable"), 503],
    ["a defect", new Error("secret detail"), 500],
  ])("%s is told by its code", async (_what, thrown, status) => {
    const { post, logged } = await openAsked(() => Promise.reject(thrown));

    const answer = await post("/embed", { texts: ["private words"] });

    expect(answer.status).toBe(status);
    expect(answer.json.error.code).toMatch(/^[a-z]+(\.[a-z-]+)?$/);
    expect(answer.text + logged()).not.toMatch(/secret detail|private words/);
  });
});

describe("who may ask", () => {
  test.each([
    ["no token", {}],
    ["another token", { authorization: "Bearer another" }],
  ])("with %s the answer is 401 and nothing is searched", async (_what, headers) => {
    const { post, calls } = await openAsked();

    for (const path of ["/search", "/embed"])
      expect(
        await post(path, { query: "x", texts: ["x"] }, { "content-type": "application/json", ...headers }),
      ).toMatchObject({
        status: 401,
        json: { error: { code: "http.unauthorised" } },
      });
    expect(calls).toEqual([]);
  });

  test("without a token of its own the server has no such routes, on loopback either", async () => {
    const { ask } = await openWorld({ token: null });

    for (const path of ["/search", "/embed"])
      expect((await ask(path, { "content-type": "application/json" }, "POST", "{}")).status).toBe(404);
  });

  test("other methods are refused", async () => {
    const { ask } = await openAsked();
    expect(await ask("/search", bearer)).toMatchObject({ status: 405, headers: { allow: "POST" } });
  });

  test("another content type is refused: a form on a web page cannot ask", async () => {
    const { post } = await openAsked();
    expect((await post("/search", { query: "x" }, { ...bearer, "content-type": "text/plain" })).status).toBe(
      415,
    );
  });

  test("a body beyond the limit is refused before its end", async () => {
    const { port } = await openAsked();

    const answer = await rawAnswer(
      port,
      `POST /embed HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: 9000000\r\n\r\n${" ".repeat(1_100_000)}`,
    );

    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer.toLowerCase()).toContain("connection: close");
  });

  test("more than eight at once are told to come back", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { post } = await openAsked(async () => {
      await promise;
      return [Float32Array.of(1)];
    });
    const asked = Array.from({ length: 9 }, () => post("/embed", { texts: ["x"] }));

    const refused = await Promise.race(asked);
    resolve();
    const statuses = (await Promise.all(asked)).map((answer) => answer.status);

    expect(refused).toMatchObject({ status: 503, json: { error: { code: "http.busy" } } });
    expect(statuses.filter((status) => status === 200)).toHaveLength(8);
  });
});
