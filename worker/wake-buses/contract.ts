// What every bus promises, whatever carries its hints. Each kind runs this suite against its real server, with a
// bad network in between.
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openActivity } from "../activity/activity.ts";
import { startTcpProxy, type TcpProxy } from "../tests/stand-ins/tcp-proxy.ts";
import { openWakeBus, type WakeBusOptions } from "./open-wake-bus.ts";
import { TIMES, type Times } from "./stay-connected.ts";
import { freePort } from "./testing/own-server.ts";
import type { WakeBus } from "./wake-bus.ts";

export type BusKind = {
  /** The real server's address. */
  readonly url: string;
  /** The settings under which this bus is the one, at that address. */
  options(url: string): Omit<WakeBusOptions, "activity">;
  /** Sends past the bus; resolves when the server has it. */
  publish(...payloads: readonly string[]): Promise<void>;
};

/** Impatient: what takes seconds in production is not what is tested. */
export const QUICK: Times = { connectMs: 2000, probeMs: 100, answerMs: 300, againMs: () => 50 };

export type Watched = {
  readonly bus: WakeBus;
  readonly woken: ReturnType<typeof vi.fn<() => void>>;
  /** `bus.lost wake.unreachable`, in order. */
  readonly told: string[];
};

const open: WakeBus[] = [];
const servers: Server[] = [];

/** Closed after the test. */
export async function watch(options: Omit<WakeBusOptions, "activity">): Promise<Watched> {
  const activity = openActivity();
  const told: string[] = [];
  activity.listen((name, facts) => told.push("code" in facts ? `${name} ${facts.code}` : name));
  const woken = vi.fn<() => void>();
  const bus = await openWakeBus({ times: QUICK, ...options, activity }, woken);
  open.push(bus);
  return { bus, woken, told };
}

export async function closeWatched(): Promise<void> {
  await Promise.all(open.splice(0).map((bus) => bus.close()));
  for (const server of servers.splice(0)) server.close();
}

/** Waits until it is live and the wake-up that goes with a new connection is over. */
export async function untilLive({ bus, woken }: Watched): Promise<void> {
  await vi.waitFor(() => expect(bus.state()).toBe("live"), { timeout: 10_000 });
  expect(woken).toHaveBeenCalled();
  woken.mockClear();
}

export const heard = (bus: WakeBus) => vi.waitFor(() => expect(bus.counters().received).toBeGreaterThan(0));

const HINT = JSON.stringify({ document_id: "6f2c", job_id: "0d3e" });

/** `kind` is asked in each test, when its server is known to be there. */
export function testWakeBus(kindOf: () => BusKind): void {
  let kind: BusKind;
  let proxy: TcpProxy;
  const throughProxy = () => kind.options(proxy.through(kind.url));

  beforeEach(async () => {
    kind = kindOf();
    const { hostname, port } = new URL(kind.url);
    proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  });
  afterEach(async () => {
    await closeWatched();
    await proxy.close();
  });

  test("a hint wakes", async () => {
    const watched = await watch(kind.options(kind.url));
    await untilLive(watched);

    await kind.publish(HINT);

    await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    // On a quick machine it comes so close upon the wake-up of the connection that one look serves both.
    expect(watched.bus.counters()).toMatchObject({ received: 1, malformed: 0, reconnects: 0 });
    expect(watched.told).toEqual(["bus.connected"]);
  });

  test("a server that is away at the start keeps nobody waiting, and is found when it comes", async () => {
    proxy.refuse(true);
    const watched = await watch(throughProxy());
    expect(watched.bus.state()).toBe("unreachable");
    expect(watched.bus.advice()).toMatch(/\.( \(.*\))?$/);

    proxy.refuse(false);

    await untilLive(watched);
    expect(watched.told).toEqual([expect.stringMatching(/^bus\.lost (wake|database)\./), "bus.regained"]);
    expect(watched.bus.advice()).toBeNull();
  });

  test("a port on which nothing listens is unreachable, said once", async () => {
    const url = new URL(kind.url);
    url.port = String(await freePort());

    const againMs = vi.fn(() => 20);

    const { bus, told } = await watch({ ...kind.options(url.href), times: { ...QUICK, againMs } });

    await vi.waitFor(() => expect(againMs.mock.calls.length).toBeGreaterThan(4));
    expect(bus.state()).toBe("unreachable");
    expect(told).toEqual([expect.stringMatching(/^bus\.lost (wake|database)\.unreachable$/)]);
    expect(bus.advice()).toContain("Nothing listens");
  });

  test.each([
    // Noticed without asking the server.
    ["reset", 60_000, () => proxy.reset()],
    ["cut", 60_000, () => proxy.cut()],
    ["dead without a word", QUICK.probeMs, () => proxy.halfOpen()],
  ])("a connection that is %s is made again, and hints arrive again", async (_, probeMs, harm) => {
    const watched = await watch({ ...throughProxy(), times: { ...QUICK, probeMs } });
    await untilLive(watched);

    harm();

    await vi.waitFor(() => expect(watched.told.at(-1)).toBe("bus.regained"), { timeout: 10_000 });
    await untilLive(watched);
    await kind.publish(HINT);
    await vi.waitFor(() => expect(watched.woken).toHaveBeenCalledTimes(1));
    expect(watched.told.slice(0, 2)).toEqual([
      "bus.connected",
      expect.stringMatching(/^bus\.lost wake\.unreachable/),
    ]);
    expect(watched.bus.counters().reconnects).toBeGreaterThanOrEqual(1);
  });

  test("hints of a time without connection are lost, and one look makes up for them", async () => {
    const watched = await watch(throughProxy());
    await untilLive(watched);
    proxy.refuse(true);
    proxy.reset();
    await vi.waitFor(() => expect(watched.bus.state()).toBe("unreachable"));

    await kind.publish(HINT, HINT);
    proxy.refuse(false);

    await untilLive(watched);
    expect(watched.bus.counters().received).toBe(0);
  });

  test.each([
    ["no JSON", "parse me"],
    ["an unfinished object", '{"job_id":'],
    ["a number", "12"],
    ["null", "null"],
    ["a list", "[1,2]"],
    ["an id that is an object", '{"job_id":{"$ne":1}}'],
    ["nested without end", "[".repeat(7000)],
    ["bytes that are no text", "\u{1}\u{1f}\u{7f}"],
  ])("%s wakes nobody and is counted", async (_, payload) => {
    const watched = await watch(kind.options(kind.url));
    await untilLive(watched);

    await kind.publish(payload);

    await heard(watched.bus);
    expect(watched.bus.counters()).toMatchObject({ received: 1, malformed: 1 });
    expect(watched.woken).not.toHaveBeenCalled();
  });

  test("fifty thousand hints at once are a few looks at the queue, the last one behind them all", async () => {
    // The answer to a probe stands behind the flood, as it does in production.
    const times = { ...QUICK, answerMs: TIMES.answerMs };
    const watched = await watch({ ...kind.options(kind.url), times });
    await untilLive(watched);
    const flood = Array.from({ length: 50_000 }, (_, job) => JSON.stringify({ job_id: String(job) }));
    let receivedAtLastWake = 0;
    watched.woken.mockImplementation(() => {
      receivedAtLastWake = watched.bus.counters().received;
    });

    await kind.publish(...flood);

    await vi.waitFor(() => expect(receivedAtLastWake).toBe(50_000), { timeout: 30_000 });
    const { coalesced, malformed } = watched.bus.counters();
    expect(watched.woken.mock.calls.length).toBeLessThan(500);
    expect(coalesced).toBeGreaterThan(49_000);
    expect(malformed).toBe(0);
    expect(watched.bus.state()).toBe("live");
  });

  test("closing while it tries to connect ends it, and nothing connects any more", async () => {
    proxy.stall("up", "down");
    const watched = await watch({ ...throughProxy(), times: { ...QUICK, connectMs: 60_000 } });
    await vi.waitFor(() => expect(proxy.open()).toBeGreaterThan(0));

    await watched.bus.close();
    await watched.bus.close();

    expect(watched.bus.state()).toBe("silent");
    proxy.flow();
    await vi.waitFor(() => expect(proxy.open()).toBe(0), { timeout: 10_000 });
    expect(watched.woken).not.toHaveBeenCalled();
  });

  test("of tries that a hanging server never answered no connection stays open", async () => {
    const callers = new Set<Socket>();
    const url = await listenInstead(kind.url, (socket) => {
      callers.add(socket.once("close", () => callers.delete(socket)).resume());
    });
    const againMs = vi.fn(() => 20);
    const watched = await watch({ ...kind.options(url), times: { ...QUICK, connectMs: 100, againMs } });

    await vi.waitFor(() => expect(againMs.mock.calls.length).toBeGreaterThan(5), { timeout: 10_000 });
    await watched.bus.close();

    await vi.waitFor(() => expect(callers.size).toBe(0));
  });

  test("after closing nobody is woken", async () => {
    const closed = await watch(kind.options(kind.url));
    const other = await watch(kind.options(kind.url));
    await untilLive(closed);
    await untilLive(other);

    await closed.bus.close();
    await kind.publish(HINT);

    await heard(other.bus);
    expect(closed.woken).not.toHaveBeenCalled();
    expect(closed.bus.listens()).toBeNull();
  });

  test.each([
    ["hangs up at once", ""],
    ["speaks nonsense", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["greets and resets", 'INFO {"max_payload":1}\r\n+OK\r\n'],
  ])("a server that %s does no harm", async (_, greeting) => {
    let callers = 0;
    const url = await listenInstead(kind.url, (socket) => {
      callers += 1;
      socket.write(greeting, () => socket.resetAndDestroy());
    });

    const { bus, woken } = await watch(kind.options(url));

    await vi.waitFor(() => expect(callers).toBeGreaterThan(5), { timeout: 20_000 });
    expect(bus.state()).toBe("unreachable");
    expect(woken).not.toHaveBeenCalled();
  });
}

/** A server of the test's own in the place of the real one. Answers the address. */
async function listenInstead(url: string, take: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    take(socket);
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // SAFETY: a TCP server that listens has one.
  const address = new URL(url);
  address.port = String(port);
  return address.href;
}
