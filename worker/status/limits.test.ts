// Whoever is slow, large or many: what they cost is bounded, and /live answers beside them.
import { once } from "node:events";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import type { SqlCall } from "../document/sql-call.ts";
import { MOST_CONNECTIONS } from "./count-connections.ts";
import { MOST_STREAMS } from "./dashboard/events.ts";
import { closeLater, closeWorlds, openWorld, rawAnswer } from "./testing/open-world.ts";
import { someDashboard } from "./testing/some-dashboard.ts";

const TOKEN = "canary-token";
// Twice what a silent connection is given, on a busy machine.
const PATIENCE = { timeout: 40_000, interval: 200 };
vi.setConfig({ testTimeout: 90_000 });
afterEach(closeWorlds);

/** A connection that says `first`, then `more` again and again, until the server ends it. */
function drip(port: number, first: string, more = ""): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  const again = setInterval(() => more !== "" && socket.writable && socket.write(more), 300);
  socket
    .on("error", () => {})
    .on("data", (part) => {
      text += String(part);
    });
  socket.write(first);
  return new Promise((resolve) =>
    socket.once("close", () => {
      clearInterval(again);
      resolve(text);
    }),
  );
}

async function hold(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, "127.0.0.1").on("error", () => {}));
  closeLater({
    async close() {
      for (const socket of sockets) socket.destroy();
    },
  });
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  return sockets;
}

test("a token of 10 MB is refused before it is read, from twenty senders at once, and costs no memory", async () => {
  const { port, ask } = await openWorld({ token: TOKEN });
  const bytes = `GET /health HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${"x".repeat(10_000_000)}\r\n\r\n`;
  const before = process.memoryUsage().arrayBuffers;

  const answers = await Promise.all(Array.from({ length: 20 }, () => rawAnswer(port, bytes)));

  // A sender that is still writing when the answer comes may lose it with the connection.
  for (const answer of answers) expect(answer).toMatch(/^(HTTP\/1\.1 431 |$)/);
  expect(answers.join("")).toContain("431");
  // The senders' own buffers aside, which are of this process too.
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * bytes.length);
  expect((await ask("/live")).status).toBe(200);
});

test("who sends a head or a body by drops, or nothing, is cut after some ten seconds, and /live answers meanwhile", async () => {
  const { port, ask } = await openWorld({ token: TOKEN });
  const post = `POST /search HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n`;

  const slow = Promise.all([
    drip(port, "GET /live HTTP/1.1\r\nx: y"),
    drip(port, "GET /live HTTP/1.1\r\nx: y", "z"),
    drip(port, ""),
    drip(port, `${post}{`),
    drip(port, `${post}{`, " "),
  ]);
  const meanwhile = await ask("/live");
  const [silentHead, drippedHead, silent, silentBody, drippedBody] = await slow;

  expect(meanwhile.status).toBe(200);
  expect(drippedHead).toContain("408 Request Timeout");
  expect(silentHead).toMatch(/^$|408/);
  expect(silent).toMatch(/^$|408/);
  for (const body of [silentBody, drippedBody]) expect(body).not.toContain("200 OK");
});

test("a stranger's body is not waited for, whatever he says about its length", async () => {
  const { port } = await openWorld({ token: TOKEN });
  const strange = (headers: string) =>
    rawAnswer(port, `POST /jobs/actions HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n\r\n`);

  const answers = await Promise.all([
    strange("content-length: 999999999999"),
    strange("transfer-encoding: chunked"),
    strange("expect: 100-continue\r\ncontent-length: 10"),
  ]);

  for (const answer of answers) {
    expect(answer).toContain("HTTP/1.1 401 ");
    expect(answer.toLowerCase()).toContain("connection: close");
  }
});

test("more connections than are served: each gets a sentence, and /live its answer", async () => {
  const { port, ask } = await openWorld();
  await hold(port, MOST_CONNECTIONS);

  const [live, ready, page, health] = await Promise.all(
    ["/live", "/ready", "/", "/health"].map((path) => ask(path)),
  );

  expect([live?.status, ready?.status]).toEqual([200, 200]);
  expect(live?.headers.connection).toBe("close");
  expect([page?.status, health?.status]).toEqual([503, 503]);
  expect(JSON.parse(health?.text ?? "").error.code).toBe("http.busy");
});

test("when the crowd has gone everything is served again", async () => {
  const { port, ask } = await openWorld();
  const crowd = await hold(port, MOST_CONNECTIONS);
  await vi.waitFor(async () => expect((await ask("/health")).status).toBe(503), PATIENCE);

  for (const socket of crowd) socket.destroy();

  await vi.waitFor(async () => expect((await ask("/health")).status).toBe(200), PATIENCE);
});

test("readers of the stream who never read are ended, and make room for others", async () => {
  const title = "x".repeat(3_000_000);
  const [failure] = someDashboard.failures;
  const call: SqlCall = async (name) =>
    name === "rag_sum_costs" ? [] : { ...someDashboard, failures: [{ ...failure, title }] };
  const embedder = () => Promise.reject(new Error("nobody embeds here"));
  const { port } = await openWorld({ searchable: { database: { call }, embedder } });
  for (const socket of await hold(port, MOST_STREAMS)) {
    socket.pause();
    socket.write("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n");
  }
  await vi.waitFor(async () => expect(await statusOfStream(port)).toBe(503), PATIENCE);

  await vi.waitFor(async () => expect(await statusOfStream(port)).toBe(200), PATIENCE);
});

/** What a further stream is answered; it leaves at once. */
async function statusOfStream(port: number): Promise<number> {
  const asking = request({ host: "127.0.0.1", port, path: "/events", agent: false }).end();
  const [response] = await once(asking, "response");
  asking.on("error", () => {}).destroy();
  return response.statusCode;
}
