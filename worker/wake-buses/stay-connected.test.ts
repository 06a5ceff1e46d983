import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { type StayingConnected, stayConnected, TIMES, type Times } from "./stay-connected.ts";
import type { BusConnection, ConnectBus } from "./wake-bus.ts";

const PATIENT: Times = { connectMs: 60_000, probeMs: 60_000, answerMs: 60_000, againMs: () => 1 };
const AWAY = new Failure("wake.unreachable");

type Line = BusConnection & { lose(why: Failure): void };

function openLine(probe: () => Promise<unknown> = async () => {}): Line {
  const { promise: lost, resolve: lose } = Promise.withResolvers<Failure>();
  return { lost, lose, probe, close: vi.fn(async () => {}) };
}

const open: StayingConnected[] = [];

function keep(connect: ConnectBus<Line>, times: Partial<Times> = {}) {
  const connected = vi.fn<(line: Line) => void>();
  const failed = vi.fn<(failure: Failure) => void>();
  const link = stayConnected(connect, { connected, failed }, { ...PATIENT, ...times });
  open.push(link);
  return { link, connected, failed };
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((link) => link.close()));
});

test("a connection that says it is lost is told with its reason, closed, and made again", async () => {
  const lines: Line[] = [];
  const { connected, failed } = keep(async () => {
    const line = openLine();
    lines.push(line);
    return line;
  });
  await vi.waitFor(() => expect(connected).toHaveBeenCalledTimes(1));

  lines[0]?.lose(AWAY);

  await vi.waitFor(() => expect(connected).toHaveBeenCalledTimes(2));
  expect(failed.mock.calls).toEqual([[AWAY]]);
  expect(lines[0]?.close).toHaveBeenCalledTimes(1);
});

test.each([
  ["never answers", () => new Promise<never>(() => {})],
  ["refuses", () => Promise.reject(new Error("gone"))],
])("a server that %s when asked is lost", async (_, probe) => {
  const line = openLine(probe);
  const { failed } = keep(async () => line, { probeMs: 1, answerMs: 20 });

  await vi.waitFor(() => expect(failed).toHaveBeenCalled());

  expect(failed.mock.calls[0]?.[0]).toMatchObject({ code: "wake.unreachable" });
  expect(line.close).toHaveBeenCalled();
});

test("a connection that comes after its time is closed and used by nobody", async () => {
  const late = openLine();
  const { promise, resolve } = Promise.withResolvers<Line>();
  const { failed, connected, link } = keep(() => promise, { connectMs: 10, againMs: () => 60_000 });
  await vi.waitFor(() => expect(failed).toHaveBeenCalledTimes(1));

  resolve(late);

  await vi.waitFor(() => expect(late.close).toHaveBeenCalledTimes(1));
  await link.close();
  expect(connected).not.toHaveBeenCalled();
});

test("closing does not wait for a try that hangs, nor for the next one, and says nothing more", async () => {
  const hanging = keep(() => new Promise<never>(() => {}));
  const waiting = keep(() => Promise.reject(AWAY), { againMs: () => 3_600_000 });
  await waiting.link.settled;

  await hanging.link.close();
  await waiting.link.close();

  expect(hanging.failed).not.toHaveBeenCalled();
  expect(waiting.failed).toHaveBeenCalledTimes(1);
});

test("closing does not wait for a connection that will not close", async () => {
  const line = { ...openLine(), close: () => new Promise<never>(() => {}) };
  const { link, connected } = keep(async () => line);
  await vi.waitFor(() => expect(connected).toHaveBeenCalled());

  await expect(link.close()).resolves.toBeUndefined();
});

test("what nobody expected is told, and it is tried again", async () => {
  const connect = vi.fn<ConnectBus<Line>>(() => Promise.reject(new TypeError("x is not a function")));
  const { failed } = keep(connect);

  await vi.waitFor(() => expect(connect.mock.calls.length).toBeGreaterThan(2));

  expect(failed.mock.calls[0]?.[0]).toMatchObject({ code: "unexpected" });
});

test("ten idle replicas together ask their server less than once a second", () => {
  // Each probe comes after four fifths of its time at the earliest.
  expect((10 * 1000) / (TIMES.probeMs * 0.8)).toBeLessThan(1);
});
