import { connect, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { describeWith } from "../tests/services.ts";
import { type BusKind, closeWatched, heard, testWakeBus, untilLive, watch } from "./contract.ts";
import { commandOf, type OwnBroker, ownBroker, ownServer } from "./testing/own-server.ts";
import { HINT_CHANNEL } from "./wake-bus.ts";

const natsAt = (url: string): ReturnType<BusKind["options"]> => ({
  wakeBus: "auto",
  listenChannel: "rag_jobs",
  redisUrl: null,
  natsUrl: url,
  openLine: null,
});

const onPort = (port: number) => ["--addr", "127.0.0.1", "--port", String(port)];

afterEach(closeWatched);

describeWith("nats", "hints over NATS", () => {
  let nats: OwnBroker;
  let publisher: NatsConnection;
  beforeAll(async () => {
    nats = await ownBroker("nats");
    publisher = await connect({ servers: new URL(nats.url).host });
  });
  afterAll(async () => {
    await publisher.close();
    await nats[Symbol.asyncDispose]();
  });

  testWakeBus(() => ({
    url: nats.url,
    options: natsAt,
    async publish(...payloads) {
      for (const payload of payloads) publisher.publish(HINT_CHANNEL, payload);
      await publisher.flush();
    },
  }));

  test("bytes of no encoding, and as many as the server lets through, wake nobody", async () => {
    const watched = await watch(natsAt(nats.url));
    await untilLive(watched);

    publisher.publish(HINT_CHANNEL, new Uint8Array([0xff, 0xfe, 0x00, 0xc3]));
    publisher.publish(HINT_CHANNEL, new Uint8Array(1_000_000));

    await vi.waitFor(() => expect(watched.bus.counters().malformed).toBe(2));
    expect(watched.woken).not.toHaveBeenCalled();
  });

  test("every replica is woken", async () => {
    const watched = await Promise.all([1, 2, 3].map(() => watch(natsAt(nats.url))));
    for (const replica of watched) await untilLive(replica);

    publisher.publish(HINT_CHANNEL);

    for (const { bus } of watched) await heard(bus);
    for (const { woken } of watched) expect(woken).toHaveBeenCalledTimes(1);
  });
});

test.skipIf(commandOf("nats-server") === null)(
  "a NATS server that is killed and started again is found again, with a token [nats-server]",
  async () => {
    await using server = await ownServer("nats-server", (port) => [...onPort(port), "--auth", "hunter2"]);
    const watched = await watch(natsAt(`nats://hunter2@127.0.0.1:${server.port}`));
    await untilLive(watched);

    await server.kill();
    await vi.waitFor(() => expect(watched.bus.state()).toBe("unreachable"));
    await server.start();

    await untilLive(watched);
    const publisher = await connect({ servers: `127.0.0.1:${server.port}`, token: "hunter2" });
    publisher.publish(HINT_CHANNEL, "{}");
    await publisher.flush();
    await publisher.close();
    await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    expect(watched.told).toEqual(["bus.connected", "bus.lost wake.unreachable", "bus.regained"]);
  },
);

test.skipIf(commandOf("nats-server") === null)(
  "a wrong password is a refusal, told without the password, and the right one is none [nats-server]",
  async () => {
    await using server = await ownServer("nats-server", (port) => [
      ...[...onPort(port), "--user", "rag", "--pass", "hunter2"],
    ]);

    const wrong = await watch(natsAt(`nats://rag:hunter3@127.0.0.1:${server.port}`));
    const right = await watch(natsAt(`nats://rag:hunter2@127.0.0.1:${server.port}`));

    await vi.waitFor(() => expect(wrong.told).toEqual(["bus.lost wake.denied"]));
    expect(wrong.bus.advice()).toContain("NATS_URL");
    expect(wrong.bus.advice()).not.toContain("hunter3");
    await untilLive(right);
  },
);
