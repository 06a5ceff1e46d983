// npm run demo, twice, on a machine that has nothing, with a database in the environment that it must not touch.
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWorld, type RagWorld, root } from "./rag-process.ts";

let world: RagWorld;
beforeAll(async () => {
  world = await openWorld(join(root, "scripts/demo/demo.ts"));
});
afterAll(() => world.close());

test(
  "the demo finds all its answers, asks its own health, and pays nothing the second time",
  { timeout: 120_000 },
  async () => {
    const foreign = {
      DATABASE_URL: "postgres://nobody:hunter2@127.0.0.1:9/nothing",
      OPENAI_API_KEY: "sk-canary-of-this-test",
      // A broken setting of the newcomer's must not stop the demo.
      RAG_POOL_MAX: "1000",
    };

    const first = await world.rag([], foreign);
    const second = await world.rag([]);

    expect(first.code, first.err + first.out).toBe(0);
    expect(first.out).toContain("DATABASE_URL, OPENAI_API_KEY: set, and not touched by the demo.");
    expect(first.out).toMatch(/^6 documents in .* \d+ chunks: [1-9]\d* embedded, 0 reused$/m);
    expect(first.out).toContain("3 of 3 searches found the expected place.");
    expect(first.out).toMatch(/http:\/\/127\.0\.0\.1:\d+\/health: 200 ok/);
    expect(first.out).toContain("npm run rag -- search");
    expect(first.out + first.err).not.toMatch(/hunter2|sk-canary/);
    expect(second.code, second.err).toBe(0);
    expect(second.out).toMatch(/^6 documents in .*: 0 embedded, \d+ reused, 6 documents unchanged$/m);
    expect(second.out).toContain("nothing was embedded again");
    expect(second.out).toContain("3 of 3");
  },
);

test("a port that cannot be had ends the demo with a sentence and 2, not with a stack", async () => {
  const { code, err } = await world.rag([], { RAG_HTTP_HOST: "203.0.113.1" });

  expect(code).toBe(2);
  expect(err).toMatch(/^demo: .*\[config\.invalid\]/m);
  expect(err).not.toContain("    at ");
});
