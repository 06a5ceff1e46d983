import { createClient } from "@redis/client";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { describeWith } from "../tests/services.ts";
import { type BusKind, closeWatched, QUICK, testWakeBus, untilLive, watch } from "./contract.ts";
import { commandOf, type OwnBroker, ownBroker, ownServer } from "./testing/own-server.ts";
import { HINT_CHANNEL } from "./wake-bus.ts";

const redisAt = (url: string): ReturnType<BusKind["options"]> => ({
  wakeBus: "auto",
  listenChannel: "rag_jobs",
  redisUrl: url,
  natsUrl: null,
  openLine: null,
});

afterEach(closeWatched);

describeWith("redis", "hints over Redis", () => {
  let redis: OwnBroker;
  let publisher: ReturnType<typeof createClient>;
  beforeAll(async () => {
    redis = await ownBroker("redis");
    // Longer than the five seconds a command usually gets: a flood stands before it.
    publisher = createClient({ url: redis.url, commandOptions: { timeout: 60_000 } });
    await publisher.connect();
  });
  afterAll(async () => {
    publisher.destroy();
    await redis[Symbol.asyncDispose]();
  });

  testWakeBus(() => ({
    url: redis.url,
    options: redisAt,
    async publish(...payloads) {
      await Promise.all(payloads.map((payload) => publisher.publish(HINT_CHANNEL, payload)));
    },
  }));

  test("a payload of eight megabytes wakes nobody", async () => {
    const watched = await watch(redisAt(redis.url));
    await untilLive(watched);

    await publisher.publish(HINT_CHANNEL, `{"job_id":"${"x".repeat(8_000_000)}"}`);

    await vi.waitFor(() => expect(watched.bus.counters().malformed).toBe(1));
    expect(watched.woken).not.toHaveBeenCalled();
    expect(watched.bus.state()).toBe("live");
  });

  test("a wrong password is told without the password", async () => {
    const url = new URL(redis.url);
    url.username = "nobody";
    url.password = "hunter2";

    const { bus, told } = await watch(redisAt(url.href));

    await vi.waitFor(() => expect(told).toEqual(["bus.lost wake.denied"]));
    expect(bus.advice()).toContain("REDIS_URL");
    expect(bus.advice()).not.toContain("hunter2");
  });
});

test.skipIf(commandOf("redis-server") === null)(
  "a Redis server that is killed and started again is found again [redis-server]",
  async () => {
    await using server = await ownServer("redis-server", (port) => [
      ...["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--requirepass", "hunter2"],
    ]);
    const address = `redis://:hunter2@127.0.0.1:${server.port}`;
    const watched = await watch({ ...redisAt(address), times: QUICK });
    await untilLive(watched);

    await server.kill();
    await vi.waitFor(() => expect(watched.bus.state()).toBe("unreachable"));
    await server.start();

    await untilLive(watched);
    const publisher = createClient({ url: address });
    await publisher.connect();
    await publisher.publish(HINT_CHANNEL, "{}");
    publisher.destroy();
    await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    expect(watched.told).toEqual(["bus.connected", "bus.lost wake.unreachable", "bus.regained"]);
  },
);

test.skipIf(commandOf("redis-server") === null)(
  "a Redis server that wants a password, or grants no channel, is told as a refusal [redis-server]",
  async () => {
    await using server = await ownServer("redis-server", (port) => [
      ...["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--requirepass", "hunter2"],
      ...["--user", "mute", "on", ">hunter3", "+@all", "resetchannels"],
    ]);

    const without = await watch(redisAt(`redis://127.0.0.1:${server.port}`));
    const mute = await watch(redisAt(`redis://mute:hunter3@127.0.0.1:${server.port}`));

    await vi.waitFor(() => expect(without.told).toEqual(["bus.lost wake.denied"]));
    await vi.waitFor(() => expect(mute.told).toEqual(["bus.lost wake.denied"]));
  },
);
