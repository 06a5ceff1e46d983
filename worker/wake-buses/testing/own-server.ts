// A Redis or NATS server of a test's own, to be killed, started again and given passwords. Its program comes from
// where `scripts/services` unpacked it, or from the PATH.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { vi } from "vitest";
import { serviceUrl } from "../../tests/services.ts";

type Program = "redis-server" | "nats-server" | "pgbouncer";
type Command = readonly [file: string, ...before: readonly string[]];

const UNPACKED = join(process.env.RAG_SERVICES_DIR ?? "/var/cache/rag-services", "trixie");

/** How the program is started here; null when this machine has none. */
export function commandOf(program: Program): Command | null {
  for (const folder of ["/usr/bin", "/usr/sbin"]) {
    if (process.getuid?.() === 0 && existsSync(UNPACKED + join(folder, program)))
      return ["chroot", "--userspec=nobody:nogroup", UNPACKED, join(folder, program)];
  }
  const found = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
  const file = found.find((path) => existsSync(path));
  return file === undefined ? null : [file];
}

/** A file that the program may read, under the path by which it finds it. Removed with the returned function. */
export function fileFor(program: Program, text: string): { path: string; remove(): void } {
  const inside = `/tmp/rag-test-${randomBytes(6).toString("hex")}`;
  const outside = commandOf(program)?.[0] === "chroot" ? UNPACKED + inside : inside;
  writeFileSync(outside, text, { mode: 0o644 });
  return { path: inside, remove: () => rmSync(outside, { force: true }) };
}

export type OwnServer = {
  readonly port: number;
  /** As a machine does that loses its power. */
  kill(): Promise<void>;
  /** On the same port; resolves when it accepts connections. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Starts it; `args` is given its port. */
export async function ownServer(
  program: Program,
  args: (port: number) => readonly string[],
  given?: number,
): Promise<OwnServer> {
  const command = commandOf(program);
  if (command === null) throw new Error(`No ${program} here: scripts/services up.`);
  const [file, ...before] = command;
  const port = given ?? (await freePort());
  let child: ChildProcess | null = null;
  const kill = async () => {
    const killed = child;
    child = null;
    if (killed === null || killed.exitCode !== null) return;
    const exited = once(killed, "exit");
    killed.kill("SIGKILL");
    await exited;
  };
  const start = async () => {
    child = spawn(file, [...before, ...args(port)], { stdio: "ignore" });
    await vi.waitFor(() => accepts(port), { timeout: 10_000, interval: 20 });
  };
  await start();
  return { port, kill, start, [Symbol.asyncDispose]: kill };
}

const brokers = {
  redis: {
    program: "redis-server",
    args: (port: number) => ["--bind", "127.0.0.1", "--port", String(port), "--save", ""],
  },
  nats: {
    program: "nats-server",
    args: (port: number) => ["--addr", "127.0.0.1", "--port", String(port)],
  },
} as const;

export type OwnBroker = { readonly url: string; [Symbol.asyncDispose](): Promise<void> };

/**
 * A broker on which nobody else publishes, for tests that count; the one that all share where its program is
 * not here.
 */
export async function ownBroker(name: keyof typeof brokers): Promise<OwnBroker> {
  const { program, args } = brokers[name];
  if (commandOf(program) === null) return { url: serviceUrl(name), [Symbol.asyncDispose]: async () => {} };
  const server = await ownServer(program, args);
  return { url: `${name}://127.0.0.1:${server.port}`, [Symbol.asyncDispose]: server.kill };
}

/** A port of the loopback on which nothing listens just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // SAFETY: a TCP server that listens has one.
  server.close();
  await once(server, "close");
  return port;
}

async function accepts(port: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  try {
    await once(socket, "connect");
  } finally {
    socket.destroy();
  }
}
