// From an event's publication to the client, through Redis and a gateway in a process of its own, with a thousand
// sockets open; and what a socket costs the gateway. The clients are plain sockets of this process.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createClient } from "@redis/client";
import { SignJWT } from "jose";
import { WebSocket } from "ws";
import { REALTIME_CHANNEL } from "../../worker/realtime/event.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";

const SOCKETS = 1000;
// As many as a hundred jobs tell in five seconds, one event each a second, for users with several tabs.
const EVENTS_A_SECOND = 200;
const ROUND_MS = 5000;
const ROUNDS = 3;
const SECRET = "a-secret-of-at-least-thirty-two-bytes!!";
const KNOCK_AT_ONCE = 100;

export async function benchGateway(report: Report, options: BenchOptions): Promise<void> {
  const redisUrl = process.env.REDIS_URL ?? process.env.RAG_TEST_REDIS_URL;
  if (redisUrl === undefined) throw new Error("gateway needs REDIS_URL.");
  const sockets = options.jobs ?? SOCKETS;
  const gateway = await startGateway(redisUrl);
  const publisher = createClient({ url: redisUrl });
  await publisher.connect();
  const open: WebSocket[] = [];
  try {
    const before = memoryOf(gateway.child);
    const waits: number[] = [];
    const arrived = (text: string) => {
      const { sent } = JSON.parse(text).payload as { sent?: number };
      if (sent !== undefined) waits.push(performance.now() - sent);
    };
    for (let from = 0; from < sockets; from += KNOCK_AT_ONCE)
      open.push(
        ...(await Promise.all(
          Array.from({ length: Math.min(KNOCK_AT_ONCE, sockets - from) }, (_, one) =>
            connect(gateway.url, `user-${from + one}`, arrived),
          ),
        )),
      );
    const grown = memoryOf(gateway.child) - before;
    let expected = 0;
    for (let round = 1; round <= (options.rounds ?? ROUNDS); round += 1) {
      expected += await publishFor(ROUND_MS, async (count) => {
        const user = `user-${(count * 7) % sockets}`;
        const event = {
          user_id: user,
          type: "job.progress",
          payload: { job_id: "j", sent: performance.now() },
        };
        await publisher.publish(REALTIME_CHANNEL, JSON.stringify(event));
      });
      options.progress(`round ${round}  ${waits.length} of ${expected} events arrived`);
    }
    const lastAt = performance.now();
    while (waits.length < expected && performance.now() - lastAt < 5000)
      await new Promise((resolve) => setTimeout(resolve, 20));
    if (waits.length !== expected) throw new Error(`${waits.length} of ${expected} events arrived`);
    const figure = { bench: "gateway", case: `${sockets} sockets, ${EVENTS_A_SECOND}/s`, contestant: "ours" };
    report({ ...figure, metric: "event p50", value: quantile(waits, 0.5), unit: "ms" });
    report({ ...figure, metric: "event p99", value: quantile(waits, 0.99), unit: "ms" });
    report({ ...figure, metric: "event max", value: quantile(waits, 1), unit: "ms" });
    report({ ...figure, metric: "a socket", value: grown / sockets / 1024, unit: "kB RSS" });
  } finally {
    for (const socket of open) socket.terminate();
    publisher.destroy();
    gateway.child.kill("SIGTERM");
  }
}

async function publishFor(ms: number, publish: (count: number) => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  let count = 0;
  while (performance.now() - startedAt < ms) {
    const due = ((performance.now() - startedAt) / 1000) * EVENTS_A_SECOND;
    for (; count < due; count += 1) await publish(count);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return count;
}

async function connect(url: string, user: string, arrived: (text: string) => void): Promise<WebSocket> {
  const token = await new SignJWT({ sub: user, aud: "authenticated" })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(SECRET));
  const socket = new WebSocket(url, ["bearer", token]);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("error", reject);
  // Its welcome; only then it is in the hub.
  socket.once("message", () => resolve());
  socket.on("message", (data) => arrived(String(data)));
  await promise;
  return socket;
}

async function startGateway(redisUrl: string): Promise<{ child: ChildProcess; url: string }> {
  const main = new URL("../../worker/main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main, "gateway"], {
    env: {
      ...process.env,
      REDIS_URL: redisUrl,
      SUPABASE_JWT_SECRET: SECRET,
      PORT: "0",
      RAG_HTTP_HOST: "127.0.0.1",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    if (!line.startsWith("{")) continue;
    const said = JSON.parse(line) as { msg?: string; url?: string };
    if (said.msg !== "gateway ready" || said.url === undefined) continue;
    child.stdout.resume();
    const url = `${said.url.replace("http", "ws")}/ws`;
    for (let tries = 0; tries < 100; tries += 1) {
      if ((await fetch(`${said.url}/ready`)).ok) return { child, url };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("the gateway did not start");
}

/** Bytes of RSS. */
function memoryOf({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}
