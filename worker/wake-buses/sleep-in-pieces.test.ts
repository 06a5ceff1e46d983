import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { sleepInPieces } from "./sleep-in-pieces.ts";

test("an answer that came while the thread was held is read before the wait is over", async () => {
  const server = createServer((socket) => socket.end("pong")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const socket = connect(typeof address === "object" ? (address?.port ?? 0) : 0, "127.0.0.1");
  const answered = new AbortController();
  socket.once("data", () => answered.abort());
  await once(socket, "connect");

  const waiting = sleepInPieces(50, answered.signal);
  const until = performance.now() + 100;
  while (performance.now() < until);
  await waiting;

  expect(answered.signal.aborted).toBe(true);
  socket.destroy();
  server.close();
});

test("a fired signal ends the wait without an error", async () => {
  await expect(sleepInPieces(3_600_000, AbortSignal.abort())).resolves.toBeUndefined();
});
