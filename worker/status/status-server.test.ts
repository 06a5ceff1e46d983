import { once } from "node:events";
import { createServer } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import { askHttp, closeLater, closeWorlds, openWorld, rawAnswer } from "./testing/open-world.ts";

afterEach(closeWorlds);

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

  test("a part of an id is not found, and told what an id and its address look like", async () => {
    const { ask } = await openWorld();

    const { status, text } = await ask("/jobs/0001");

    expect(status).toBe(404);
    expect(JSON.parse(text).error.message).toMatch(/ \/jobs\/ID, .*given whole/);
  });

  test("a field of the filter that is sent beside it is told where it belongs", async () => {
    const { ask } = await openWorld();

    const { status, text } = await ask("/jobs?status=failed");

    expect(status).toBe(400);
    expect(JSON.parse(text).error).toEqual({
      code: "http.invalid-query",
      message: expect.stringContaining('the parameter filter, which is a JSON object: {"status":["failed"]}'),
    });
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

    for (const path of ["/live", "/health", "/jobs", "/", "/nothing"]) {
      expect((await ask(path)).headers).toMatchObject({
        // The page's own files are asked for again each time.
        "cache-control": path === "/" ? "no-cache" : "no-store",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "content-security-policy": expect.stringContaining("default-src 'none'"),
      });
    }
  });
});

describe("where it listens", () => {
  async function occupy(port: number): Promise<number> {
    const other = createServer();
    other.listen(port, "127.0.0.1");
    await once(other, "listening");
    closeLater({
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

    const { hostname, port } = new URL(server.url);
    expect(hostname).toBe("127.0.0.1");
    expect(Number(port)).toBeGreaterThan(8080);
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
