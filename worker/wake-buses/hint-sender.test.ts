import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { Failure } from "../failure/failure.ts";
import { describeWith } from "../tests/services.ts";
import { startTcpProxy } from "../tests/stand-ins/tcp-proxy.ts";
import type { WakeBusConfig } from "./choose-bus.ts";
import { closeWatched, heard, QUICK, untilLive, watch } from "./contract.ts";
import { type HintSender, openHintSender } from "./hint-sender.ts";
import { freePort, type OwnBroker, ownBroker } from "./testing/own-server.ts";

const HINT = { jobId: "0d3e", documentId: "6f2c" };
const senders: HintSender[] = [];

const config = (urls: Partial<WakeBusConfig>): WakeBusConfig => ({
  wakeBus: "auto",
  listenChannel: "rag_jobs",
  redisUrl: null,
  natsUrl: null,
  ...urls,
});

async function openSender(urls: Partial<WakeBusConfig>) {
  const unsent = vi.fn<(failure: Failure) => void>();
  const sender = await openHintSender(config(urls), unsent, QUICK);
  senders.push(sender);
  return { sender, unsent };
}

afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.close()));
  await closeWatched();
});

const kinds = [
  ["redis", (url: string) => ({ redisUrl: url })],
  ["nats", (url: string) => ({ natsUrl: url })],
] as const;

for (const [name, urls] of kinds) {
  describeWith(name, `sending hints over ${name}`, () => {
    let broker: OwnBroker;
    beforeAll(async () => {
      broker = await ownBroker(name);
    });
    afterAll(() => broker[Symbol.asyncDispose]());

    test("a hint that is sent and left alone wakes the workers", async () => {
      const watched = await watch({ ...config(urls(broker.url)), openLine: null });
      await untilLive(watched);
      const { sender, unsent } = await openSender(urls(broker.url));

      sender.send(HINT);
      await sender.close();

      await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
      expect(watched.bus.counters()).toMatchObject({ received: 1, malformed: 0 });
      expect(unsent).not.toHaveBeenCalled();
    });

    test("of ten thousand hints the last one arrives, and not all of them travel", async () => {
      const watched = await watch({ ...config(urls(broker.url)), openLine: null });
      await untilLive(watched);
      const { sender } = await openSender(urls(broker.url));

      sender.send(HINT);
      await heard(watched.bus);

      for (let sent = 0; sent < 10_000; sent += 1) sender.send({ ...HINT, jobId: String(sent) });
      await sender.close();

      await vi.waitFor(() => expect(watched.bus.counters().received).toBeGreaterThan(1));
      expect(watched.bus.counters().received).toBeLessThan(100);
    });

    test("a server that is away is told once, and holds nobody up", async () => {
      const url = new URL(broker.url);
      url.port = String(await freePort());
      const { sender, unsent } = await openSender(urls(url.href));

      sender.send(HINT);
      await vi.waitFor(() => expect(unsent).toHaveBeenCalledTimes(1));
      sender.send(HINT);
      await sender.close();
      await sender.close();

      expect(unsent).toHaveBeenCalledTimes(1);
      expect(unsent.mock.calls[0]?.[0]).toMatchObject({ code: "wake.unreachable" });
    });

    test("a hint of a time without connection is sent when the server is back", async () => {
      const { hostname, port } = new URL(broker.url);
      await using stack = new AsyncDisposableStack();
      const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
      stack.defer(() => proxy.close());
      const watched = await watch({ ...config(urls(broker.url)), openLine: null });
      await untilLive(watched);
      proxy.refuse(true);
      const { sender, unsent } = await openSender(urls(proxy.through(broker.url)));
      sender.send(HINT);
      await vi.waitFor(() => expect(unsent).toHaveBeenCalledTimes(1));

      proxy.refuse(false);

      await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1), { timeout: 5000 });
    });

    test("a server that takes and never answers holds the end up for no more than its time", async () => {
      const { hostname, port } = new URL(broker.url);
      await using stack = new AsyncDisposableStack();
      const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
      stack.defer(() => proxy.close());
      proxy.stall("up", "down");
      const { sender, unsent } = await openSender(urls(proxy.through(broker.url)));

      sender.send(HINT);
      await sender.close();

      expect(unsent).toHaveBeenCalledTimes(1);
    });
  });
}

test("without a broker there is nothing to send, and nothing to connect to", async () => {
  const { sender, unsent } = await openSender({ wakeBus: "postgres" });

  sender.send(HINT);
  await sender.close();

  expect(unsent).not.toHaveBeenCalled();
});
