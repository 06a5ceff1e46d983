import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect, createServer } from "node:net";
import { Writable } from "node:stream";
import { afterEach, describe, expect, test, vi } from "vitest";
import { openActivity } from "../activity/activity.ts";
import { Failure } from "../failure/failure.ts";
import { openLog } from "../log/log.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import { type StatusServerOptions, startStatusServer } from "./status-server.ts";

const TOKEN = "canary-token";
const working: WorkerState = {
  workerId: "host/1",
  condition: "working",
  code: null,
  advice: null,
  jobs: 1,
  slots: 4,
  loopAgeMs: 20,
  leaseAgeMs: 500,
};
const figures = {
  queued: 5,
  delayed: 2,
  processing: 1,
  oldest_queued_seconds: 12.5,
  last_day: { complete: 7, failed: 1, cancelled: 0, chunks: 90, reused_chunks: 4, tokens: 1, cost_usd: 0.1 },
  last_hour_complete: 3,
  workers: [{}, {}],
  model: { model: "all-MiniLM-L6-v2", dimensions: 384 },
};

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const part of opened.splice(0).reverse()) await part.close();
});

type Options = Partial<StatusServerOptions> & { readonly worker?: Partial<WorkerState> };

async function openWorld({ worker, ...options }: Options = {}) {
  const activity = openActivity();
  let logged = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk);
      done();
    },
  });
  let asked = 0;
  const { stats = async () => figures, ...others } = options;
  const server = await startStatusServer({
    port: 0,
    host: "127.0.0.1",
    token: null,
    activity,
    log: openLog({ level: "info", terminal: false, secrets: [], destination }),
    state: () => ({ ...working, ...worker }),
    stats: () => {
      asked += 1;
      return stats();
    },
    describe: { database: "embedded", transport: "embedded", provider: "embedded", model: "<all-MiniLM>" },
    version: "1.2.3",
    memoryBytes: 1e12,
    ...others,
  });
  opened.push(server);
  const { port } = new URL(server.url);
  const ask = (path: string, headers: Record<string, string> = {}, method = "GET", body = "") =>
    askHttp(Number(port), path, headers, method, body);
  return { server, activity, ask, port: Number(port), logged: () => logged, asked: () => asked };
}

type Answered = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string };

// Not fetch, which would neither send another Host nor a body with GET.
async function askHttp(
  port: number,
  path: string,
  headers: Record<string, string>,
  method: string,
  body: string,
): Promise<Answered> {
  const outgoing = request({ host: "127.0.0.1", port, path, method, headers, agent: false });
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  let text = "";
  for await (const part of response) text += String(part);
  return { status: response.statusCode, headers: response.headers, text };
}

async function rawAnswer(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  let text = "";
  socket.on("data", (part) => {
    text += String(part);
  });
  socket.write(bytes);
  // Not `once` of events, which fails with the socket: a connection that is cut is what some tests wait for.
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}

describe("/live", () => {
  test("is green while the loop turns, and asks no database", async () => {
    const { ask, asked } = await openWorld({ worker: { condition: "database-lost", loopAgeMs: 59_000 } });

    const answer = await ask("/live");

    expect(answer).toMatchObject({ status: 200, text: '{"status":"live"}\n' });
    expect(asked()).toBe(0);
  });

  test.each<[string, Partial<WorkerState>]>([
    ["stood still for more than a minute", { loopAgeMs: 61_000 }],
    ["has stopped", { condition: "stopped" }],
  ])("is red when the worker %s", async (_what, worker) => {
    const { ask } = await openWorld({ worker });

    const answer = await ask("/live");

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toEqual({
      error: { code: "http.not-live", message: expect.any(String) },
    });
  });
});

describe("/ready", () => {
  test("is green while the worker works", async () => {
    const { ask } = await openWorld();

    expect(await ask("/ready")).toMatchObject({ status: 200, text: '{"status":"ready"}\n' });
  });

  test.each<[Partial<WorkerState>, string]>([
    [{ condition: "database-lost", code: "database.unreachable" }, "database.unreachable"],
    [{ condition: "misconfigured", code: "embed.denied" }, "embed.denied"],
    [{ condition: "stopping" }, "worker.stopping"],
    [{ condition: "stopped" }, "worker.stopped"],
  ])("is red when %j, with a code, and says nothing of where", async (worker, code) => {
    const { ask } = await openWorld({ worker: { ...worker, advice: "at secret-host (port=1)" } });

    const answer = await ask("/ready");

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text).error.code).toBe(code);
    expect(answer.text).not.toContain("secret-host");
  });
});

describe("/health", () => {
  test("tells status, checks, worker, queue and what runs", async () => {
    const { ask } = await openWorld();

    const answer = await ask("/health");

    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toMatchObject({
      status: "ok",
      checks: {
        database: { status: "ok" },
        leases: { status: "ok" },
        provider: { status: "ok" },
        configuration: { status: "ok" },
        memory: { status: "ok" },
      },
      worker: { id: "host/1", condition: "working", jobs: 1, slots: 4, lease_age_seconds: 0.5 },
      queue: { queued: 5, processing: 1 },
      database: "embedded",
      version: "1.2.3",
      uptime_seconds: expect.any(Number),
    });
  });

  test("a misconfigured worker is down, with the advice", async () => {
    const worker = {
      condition: "misconfigured",
      code: "embed.denied",
      advice: "Check OPENAI_API_KEY.",
    } as const;
    const { ask } = await openWorld({ worker });

    const answer = await ask("/health");

    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({
      status: "down",
      checks: { configuration: { status: "down", says: "Check OPENAI_API_KEY." } },
      worker: { code: "embed.denied" },
    });
  });

  test("a database that never answers does not hang the page", async () => {
    const { ask, asked } = await openWorld({ stats: () => new Promise(() => {}) });

    const answers = await Promise.all([ask("/health"), ask("/health"), ask("/metrics")]);

    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect(JSON.parse(answers[0]?.text ?? "")).toMatchObject({
      status: "degraded",
      checks: { database: { says: expect.stringContaining("did not answer") } },
      queue: null,
    });
    // One question hangs; nobody asks a second one meanwhile.
    expect(asked()).toBe(1);
  });

  test("a database that refuses is told by its code", async () => {
    const { ask } = await openWorld({ stats: () => Promise.reject(new Failure("database.denied")) });

    const answer = await ask("/health");

    expect(JSON.parse(answer.text).checks.database).toEqual({
      status: "degraded",
      says: expect.stringContaining("[database.denied]"),
    });
  });

  test("an answer that is no queue figures is trouble, not a crash", async () => {
    const { ask } = await openWorld({ stats: async () => ({ queued: "many" }) });

    const answer = await ask("/health");

    expect(JSON.parse(answer.text)).toMatchObject({ status: "degraded", queue: null });
  });

  test("a provider that fails and late leases degrade, and a provider that answers again does not", async () => {
    const { ask, activity } = await openWorld();
    activity.say("embeddings.failed", { provider: "openai", code: "embed.unavailable", durationMs: 5 });
    activity.say("leases.late", { lateMs: 4_000 });

    const ill = JSON.parse((await ask("/health")).text);
    activity.say("embeddings.received", {
      provider: "openai",
      model: "m",
      texts: 1,
      tokens: 1,
      durationMs: 5,
    });
    const better = JSON.parse((await ask("/health")).text);

    expect(ill.checks).toMatchObject({
      provider: { status: "degraded", says: expect.stringContaining("[embed.unavailable]") },
      leases: { status: "degraded", says: expect.stringContaining("4.00 s late") },
    });
    expect(better.checks.provider.status).toBe("ok");
  });

  test("memory above the limit degrades", async () => {
    const { ask } = await openWorld({ memoryBytes: 1 });

    expect(JSON.parse((await ask("/health")).text).checks.memory.status).toBe("degraded");
  });

  test("a page that fails is an answer and a log line, without the reason in it", async () => {
    const { ask, logged } = await openWorld({
      state: () => {
        throw new RangeError("secret-host");
      },
    });

    const answer = await ask("/health");

    expect(answer).toMatchObject({ status: 500 });
    expect(JSON.parse(answer.text).error.code).toBe("unexpected");
    expect(answer.text).not.toContain("secret-host");
    expect(logged()).toContain("status page failed");
  });
});

describe("who may read", () => {
  test.each(["/live", "/ready", "/metrics"])("%s is open off loopback", async (path) => {
    const { ask } = await openWorld({ host: null });

    expect((await ask(path)).status).toBe(200);
  });

  test.each(["/health", "/"])("%s needs a token off loopback, also when none is set", async (path) => {
    const { ask } = await openWorld({ host: null });

    const answer = await ask(path, { authorization: "Bearer " });

    expect(answer).toMatchObject({ status: 401, headers: { "www-authenticate": "Bearer" } });
    expect(JSON.parse(answer.text).error).toEqual({
      code: "http.unauthorised",
      message: expect.stringContaining("RAG_HTTP_TOKEN"),
    });
  });

  test.each([
    [undefined],
    [TOKEN],
    ["Bearer"],
    ["Bearer x"],
    [`Bearer ${TOKEN}x`],
    [`Bearer ${TOKEN.slice(1)}`],
    [`Basic ${TOKEN}`],
  ])("a token is set and %s is not it", async (authorization) => {
    const { ask } = await openWorld({ token: TOKEN });

    const answer = await ask("/health", authorization === undefined ? {} : { authorization });

    expect(answer.status).toBe(401);
    expect(answer.text).not.toContain(TOKEN);
  });

  test.each([null, "127.0.0.1"])("the right token opens /health (host: %s)", async (host) => {
    const { ask } = await openWorld({ token: TOKEN, host });

    expect((await ask("/health", { authorization: `bearer ${TOKEN}` })).status).toBe(200);
  });

  test("a web page that points its own name to this machine reads nothing", async () => {
    const { ask } = await openWorld();

    const asked = await Promise.all(
      ["evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost", "[::1]:1"].map((host) =>
        ask("/health", { host }),
      ),
    );

    expect(asked.map((answer) => answer.status)).toEqual([401, 401, 401, 200, 200]);
  });
});

describe("whatever is sent", () => {
  test.each([
    "/nothing",
    "/health/",
    "//live",
    "/live%00",
    "http://host/live",
    "*",
  ])("%s is not found, as JSON", async (path) => {
    const { ask } = await openWorld();

    const answer = await ask(path);

    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.text).error.code).toBe("http.not-found");
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])("%s is not allowed", async (method) => {
    const { ask } = await openWorld();

    const answer = await ask("/live", {}, method);

    expect(answer).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
  });

  test("HEAD gives the headers of GET and no body", async () => {
    const { ask } = await openWorld();

    const answer = await ask("/live", {}, "HEAD");

    expect(answer).toMatchObject({ status: 200, text: "", headers: { "content-length": "18" } });
  });

  test("a query changes nothing", async () => {
    const { ask } = await openWorld();

    expect((await ask("/live?x=/health")).status).toBe(200);
  });

  test("a body is not read: the connection ends with the answer", async () => {
    const { port } = await openWorld();

    const answer = await rawAnswer(
      port,
      "GET /live HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nx",
    );

    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.toLowerCase()).toContain("connection: close");
  });

  test.each([
    ["too many headers", `GET /live HTTP/1.1\r\nx: ${"x".repeat(20_000)}\r\n\r\n`, "431"],
    ["no HTTP at all", "\u0016\u0003\u0001 hello\r\n\r\n", "400"],
  ])("%s is refused and the server lives on", async (_what, bytes, status) => {
    const { port, ask } = await openWorld();

    const answer = await rawAnswer(port, bytes);

    expect(answer).toContain(`HTTP/1.1 ${status} `);
    expect((await ask("/live")).status).toBe(200);
  });

  test("every answer forbids caching, sniffing, framing and scripts", async () => {
    const { ask } = await openWorld();

    for (const path of ["/live", "/", "/nothing"]) {
      expect((await ask(path)).headers).toMatchObject({
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "content-security-policy": expect.stringContaining("default-src 'none'"),
      });
    }
  });

  test("the front page names what runs, escaped, and links the others", async () => {
    const { ask } = await openWorld();

    const answer = await ask("/");

    expect(answer.headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(answer.text).toContain("&#60;all-MiniLM&#62;");
    expect(answer.text).toContain('<a href="/health">');
  });
});

describe("where it listens", () => {
  async function occupy(port: number): Promise<number> {
    const other = createServer();
    other.listen(port, "127.0.0.1");
    await once(other, "listening");
    opened.push({
      close: async () => {
        other.close();
      },
    });
    const address = other.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  test("a named port that is taken is a sentence, not another port", async () => {
    const port = await occupy(0);

    const started = openWorld({ port, host: "127.0.0.1" });

    await expect(started).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining(`Port ${port} on 127.0.0.1 is taken`),
    });
  });

  test("an address that this machine does not have is a sentence", async () => {
    const started = openWorld({ host: "192.0.2.1" });

    await expect(started).rejects.toMatchObject({
      code: "config.invalid",
      message: expect.stringContaining("RAG_HTTP_HOST"),
    });
  });

  test("no named port: 8080 or the next free one, on loopback, and the log says which", async () => {
    // Whoever has 8080 already serves as well as we do.
    await occupy(8080).catch(() => {});

    const { server, logged, ask } = await openWorld({ port: null, host: null });

    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:80(8[1-9]|9\d|[1-2]\d\d)$/);
    expect(logged()).toContain("took the next free one");
    expect((await ask("/health")).status).toBe(200);
  });

  test("a named port without an address is reached on every address, and shown as localhost", async () => {
    const { server, ask } = await openWorld({ port: 0, host: null });

    expect(server.url).toMatch(/^http:\/\/localhost:\d+$/);
    expect((await ask("/live")).status).toBe(200);
  });
});

describe("close", () => {
  test("cuts who keeps a connection, who says nothing and who waits, and may be called twice", async () => {
    const { server, port, asked } = await openWorld({ stats: () => new Promise(() => {}) });
    const idle = rawAnswer(port, "GET /live HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n");
    const silent = rawAnswer(port, "GET /live HTTP/1.1\r\n");
    const waiting = rawAnswer(port, "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await vi.waitFor(() => expect(asked()).toBe(1));

    await Promise.all([server.close(), server.close()]);

    expect(await idle).toContain("200 OK");
    // Neither the server's patience with half a request nor that with the database ran out first.
    expect([await silent, await waiting]).toEqual(["", ""]);
    await expect(askHttp(port, "/live", {}, "GET", "")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});
