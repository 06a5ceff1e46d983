import { expect, test } from "vitest";
import { brokerConnector, chooseBus, type WakeBusConfig } from "./choose-bus.ts";

const config = (given: Partial<WakeBusConfig>): WakeBusConfig => ({
  wakeBus: "auto",
  listenChannel: "rag_jobs",
  redisUrl: null,
  natsUrl: null,
  ...given,
});
const REDIS = { redisUrl: "redis://r" };
const NATS = { natsUrl: "nats://n" };

test.each([
  ["redis before all", { ...REDIS, ...NATS }, true, "redis"],
  ["nats before LISTEN", NATS, true, "nats"],
  ["LISTEN where there is a session", {}, true, "postgres"],
  ["nobody on the embedded database and over the Supabase API", {}, false, "silent"],
  ["a broker there, too", REDIS, false, "redis"],
] as const)("auto takes %s", (_, given, canListen, expected) => {
  expect(chooseBus(config(given), canListen)).toBe(expected);
});

test("what was asked for wins over what has an address", () => {
  expect(chooseBus(config({ wakeBus: "nats", ...REDIS, ...NATS }), true)).toBe("nats");
  expect(chooseBus(config({ wakeBus: "silent", ...REDIS }), true)).toBe("silent");
});

test.each([
  ["redis", "REDIS_URL"],
  ["nats", "NATS_URL"],
  ["postgres", "DATABASE_URL"],
] as const)("RAG_WAKE_BUS=%s without %s is a mistake, and both are named", (wakeBus, needed) => {
  expect(() => chooseBus(config({ wakeBus }), false)).toThrow(
    expect.objectContaining({ code: "config.invalid", message: `RAG_WAKE_BUS=${wakeBus} needs ${needed}.` }),
  );
});

test("a channel that Postgres would cut is refused, one of 63 bytes is not", () => {
  const name = "ü".repeat(31);

  expect(() => chooseBus(config({ listenChannel: `${name}xx` }), true)).toThrow("63 bytes");
  expect(chooseBus(config({ listenChannel: `${name}x` }), true)).toBe("postgres");
});

test.each([
  [{ redisUrl: "redis://u:hunter2%@host" }, "REDIS_URL"],
  [{ natsUrl: "nats://hunter2%zz@host" }, "NATS_URL"],
])("an address that cannot be read is a mistake at once, and is not repeated", async (given, named) => {
  const name = chooseBus(config(given), false);

  const refused = await brokerConnector(name, config(given), null).catch((thrown: unknown) => thrown);

  expect(refused).toMatchObject({ code: "config.invalid", message: expect.stringContaining(named) });
  expect(String(refused)).not.toContain("hunter2");
});
