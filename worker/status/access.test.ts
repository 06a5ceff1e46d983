import { afterEach, describe, expect, test } from "vitest";
import { closeWorlds, openWorld } from "./testing/open-world.ts";

const TOKEN = "canary-token";

afterEach(closeWorlds);

describe("who may read", () => {
  // The page itself says nothing; what it shows it has to ask for.
  test.each([
    "/live",
    "/ready",
    "/metrics",
    "/",
    "/dashboard/page.js",
  ])("%s is open off loopback", async (path) => {
    const { ask } = await openWorld({ host: null });

    expect((await ask(path)).status).toBe(200);
  });

  test.each([
    "/health",
    "/events",
    "/jobs",
    "/jobs/nothing",
    "/documents/00000000-0000-4000-8000-000000000000/chunks",
  ])("%s needs a token off loopback, also when none is set", async (path) => {
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
