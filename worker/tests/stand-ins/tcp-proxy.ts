// A TCP proxy that treats its connections as bad networks do: stalls, delays, cuts, resets and half-opens them,
// each direction by itself. What it is told holds for the connections that are open and for those to come,
// except where it says otherwise.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as after } from "node:timers/promises";

/** up: from the client to the server. */
export type Direction = "up" | "down";

/** Bytes of one connection's answers on their way; what it returns arrives in their place. */
export type Rewrite = (bytes: Buffer) => Buffer;

export type TcpProxyOptions = {
  readonly host: string;
  readonly port: number;
  /** Called for each connection; changes what the server sends. */
  readonly rewriteDown?: () => Rewrite;
};

export type TcpProxy = {
  readonly port: number;
  /** The same address with this proxy in place of its server. */
  through(address: string): string;
  /** Connections that are open now. */
  open(): number;
  /** Bytes wait until `flow`; the connections stay open. */
  stall(...directions: readonly Direction[]): void;
  /** As `stall("up")`, once and from just before these bytes on: they must come in one piece. */
  stallBefore(bytes: Buffer): void;
  flow(): void;
  /** Each piece waits so long; 0 ends it. */
  delay(ms: number, ...directions: readonly Direction[]): void;
  /** Ends what is open, politely (FIN). Answers how many. */
  cut(): number;
  /** Ends what is open with RST. Answers how many. */
  reset(): number;
  /**
   * What is open now carries nothing more, not even its end, until `reset` or `heal`; new connections are well.
   * Answers how many.
   */
  halfOpen(): number;
  /** New connections are reset at once. */
  refuse(refused: boolean): void;
  /** Everything flows again; what was half-open is reset, as it would be by a router that forgot it. */
  heal(): void;
  close(): Promise<void>;
};

export async function startTcpProxy(options: TcpProxyOptions): Promise<TcpProxy> {
  const lines = new Set<Line>();
  const weather: Weather = {
    stalled: new Set(),
    delayMs: { up: 0, down: 0 },
    stallBefore: null,
    changed: Promise.withResolvers<void>(),
  };
  let refused = false;
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    client.on("error", () => {}); // Told by its close.
    if (refused) return void client.resetAndDestroy();
    const line = openLine(client, options, weather);
    lines.add(line);
    void line.ended.then(() => lines.delete(line));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // SAFETY: a TCP server that listens has one.

  const change = () => {
    const { changed } = weather;
    weather.changed = Promise.withResolvers<void>();
    changed.resolve();
  };
  const each = (act: (line: Line) => void): number => {
    const now = [...lines];
    for (const line of now) act(line);
    return now.length;
  };
  const proxy: TcpProxy = {
    port,
    through(address) {
      const url = new URL(address);
      url.hostname = "127.0.0.1";
      url.port = String(port);
      return url.href;
    },
    open: () => lines.size,
    stall(...directions) {
      for (const direction of directions) weather.stalled.add(direction);
    },
    stallBefore(bytes) {
      weather.stallBefore = bytes;
    },
    flow() {
      weather.stalled.clear();
      change();
    },
    delay(ms, ...directions) {
      for (const direction of directions) weather.delayMs[direction] = ms;
    },
    cut: () => each((line) => line.end("politely")),
    reset: () => each((line) => line.end("rudely")),
    halfOpen: () => each((line) => line.die()),
    refuse(on) {
      refused = on;
    },
    heal() {
      refused = false;
      proxy.delay(0, "up", "down");
      each((line) => {
        if (line.dead()) line.end("rudely");
      });
      proxy.flow();
    },
    async close() {
      server.close();
      proxy.reset();
      await Promise.all([...lines].map((line) => line.ended));
    },
  };
  return proxy;
}

type Weather = {
  readonly stalled: Set<Direction>;
  readonly delayMs: Record<Direction, number>;
  stallBefore: Buffer | null;
  changed: PromiseWithResolvers<void>;
};

/** One connection of a client and its counterpart at the server. */
type Line = {
  end(manner: "politely" | "rudely"): void;
  die(): void;
  dead(): boolean;
  readonly ended: Promise<unknown>;
};

function openLine(client: Socket, options: TcpProxyOptions, weather: Weather): Line {
  const server = connect({ host: options.host, port: options.port, noDelay: true, allowHalfOpen: true });
  server.on("error", () => {});
  const over = new AbortController();
  let dead = false;
  const end: Line["end"] = (manner) => {
    over.abort();
    for (const socket of [client, server]) {
      if (manner === "rudely") socket.resetAndDestroy();
      else socket.destroy();
    }
  };
  const passes = async (direction: Direction) => {
    while (dead || weather.stalled.has(direction)) await orOver(weather.changed.promise, over.signal);
    const delayMs = weather.delayMs[direction];
    if (delayMs > 0) await after(delayMs, undefined, { signal: over.signal });
  };
  const write = async (to: Socket, bytes: Buffer) => {
    if (bytes.length > 0 && !to.write(bytes)) await once(to, "drain", { signal: over.signal });
  };
  const carry = async (direction: Direction, from: Socket, to: Socket, rewrite?: Rewrite) => {
    // One direction may end before the other: its end is passed on, the socket stays.
    for await (const bytes of from.iterator({ destroyOnReturn: false })) {
      await passes(direction);
      const told = rewrite === undefined ? (bytes as Buffer) : rewrite(bytes as Buffer);
      const at = direction === "up" && weather.stallBefore ? told.indexOf(weather.stallBefore) : -1;
      if (at === -1) await write(to, told);
      else {
        weather.stallBefore = null;
        weather.stalled.add(direction);
        await write(to, told.subarray(0, at));
        await passes(direction);
        await write(to, told.subarray(at));
      }
    }
    await passes(direction);
    to.end();
  };
  const ended = Promise.all([
    carry("up", client, server),
    carry("down", server, client, options.rewriteDown?.()),
  ])
    // One side is gone: the other hears of it, unless nothing may be heard any more.
    .catch(() => passes("up").catch(() => {}))
    .finally(() => end("politely"));
  return {
    end,
    die() {
      dead = true;
    },
    dead: () => dead,
    ended,
  };
}

async function orOver(promise: Promise<void>, over: AbortSignal): Promise<void> {
  over.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<void>();
  const leave = () => reject(over.reason);
  over.addEventListener("abort", leave, { once: true });
  await Promise.race([promise, aborted]).finally(() => over.removeEventListener("abort", leave));
}
