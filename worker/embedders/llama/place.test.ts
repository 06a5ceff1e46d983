// Where a llama-server of ours listens, and what happens when somebody else is there.
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startEmbeddingServer } from "../../tests/stand-ins/embedding-server.ts";
import { failureOf } from "../contract.ts";
import { checkHost } from "./place.ts";
import { proveOurs } from "./prove-server.ts";
import { type LlamaWorld, openLlamaWorld } from "./testing/llama-world.ts";

const never = new AbortController().signal;
let world: LlamaWorld;
beforeEach(async () => {
  world = await openLlamaWorld();
});
afterEach(() => world.close());

describe("a port that is wanted", () => {
  async function listen(): Promise<{ port: number; close(): void }> {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const address = server.address();
    return { port: typeof address === "object" ? (address?.port ?? 0) : 0, close: () => server.close() };
  }

  test("and free is used", async () => {
    const { port, close } = await listen();
    close();
    const embedder = await world.open("well", { setup: { where: { host: null, port } } });

    await embedder.embed(["text"], never);

    expect((await world.starts())[0]?.args).toContain(`--host 127.0.0.1 --port ${port}`);
  });

  test("and taken is a wrong configuration that names it", async () => {
    const { port, close } = await listen();
    const embedder = await world.open("well", { setup: { where: { host: null, port } } });

    const failure = await failureOf(embedder.embed(["text"], never));
    close();

    expect(failure).toMatchObject({ code: "config.invalid", kind: "misconfigured" });
    expect(failure.message).toContain(String(port));
  });

  test("and answered by another llama-server is never taken for ours", async () => {
    const other = await startEmbeddingServer({
      dialect: "llama-server",
      dimensions: 8,
      model: "stand-in.gguf",
    });
    const port = Number(new URL(other.url).port);

    const failure = await failureOf(
      proveOurs(
        { where: { host: null, port } },
        "rag-ours",
        (path) => fetch(`${other.url}${new URL(String(path)).pathname}`),
        never,
      ),
    );
    await other.close();

    expect(failure).toMatchObject({ code: "config.invalid", kind: "misconfigured" });
  });
});

test.each(["127.0.0.1", "127.1.2.3", "::1", "localhost", null])("%s is of this machine", (host) => {
  expect(() => checkHost(host)).not.toThrow();
});

test.each([
  "0.0.0.0",
  "::",
  "192.168.1.5",
  "example.org",
  "/tmp/a.sock",
])("%s is not an address to listen at", (host) => {
  expect(() => checkHost(host)).toThrow(expect.objectContaining({ code: "config.invalid" }));
});
