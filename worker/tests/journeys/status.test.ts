// A worker as its operator sees it: a real process, its log and its pages over HTTP, in good times and bad.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { describeWith, freshDatabase } from "../services.ts";

const root = join(import.meta.dirname, "../../..");
const TOKEN = "canary-http-token";
const KEY = "canary-openai-key";
const TITLE = "Merger with Initech";
// The embedded database is made once for the machine, which takes seconds on a cold one.
const PATIENCE = { timeout: 50_000, interval: 100 };
vi.setConfig({ testTimeout: 180_000 });

let folder: string;
const started: { process: ChildProcess; ended: Promise<unknown> }[] = [];
const closers: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-status-"));
});

afterEach(async () => {
  for (const child of started.splice(0)) {
    child.process.kill("SIGKILL");
    await child.ended;
  }
  for (const close of closers.splice(0).reverse()) await close();
  await rm(folder, { recursive: true, force: true });
});

type Settings = Readonly<Record<string, string>>;

function startRag(args: readonly string[], settings: Settings = {}) {
  const child = spawn(process.execPath, [join(root, "worker/main.ts"), ...args], {
    // No .env of the developer's: the settings are those of the test.
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...settings },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      text += part;
    });
  }
  const ended = once(child, "close");
  started.push({ process: child, ended });
  const lines = () =>
    text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line): Record<string, unknown> => JSON.parse(line));
  return { child, text: () => text, lines, ended: async () => (await ended)[0] as number | null };
}

async function startWorker(settings: Settings = {}) {
  const worker = startRag(["worker"], { PORT: "0", RAG_HTTP_HOST: "127.0.0.1", ...settings });
  const url = await vi.waitFor(() => {
    const ready = worker.lines().find((line) => line.event === "worker.started");
    expect(ready, worker.text()).toBeDefined();
    return String(ready?.http);
  }, PATIENCE);
  const ask = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(new URL(path, url), { headers });
    return { status: answer.status, text: await answer.text() };
  };
  return { ...worker, url, ask };
}

test("a worker shows a document's way in its log and its metrics, and neither title, text nor secret", async () => {
  const worker = await startWorker({ RAG_HTTP_TOKEN: TOKEN, LOG_LEVEL: "debug" });
  await writeFile(join(folder, "note.md"), "# Lending\n\nA drill may be kept for a fortnight.\n");

  startRag(["ingest", "note.md", "--title", TITLE]);
  await vi.waitFor(
    () => expect(worker.lines().map((line) => line.event)).toContain("job.completed"),
    PATIENCE,
  );

  const metrics = await worker.ask("/metrics");
  const health = await worker.ask("/health", { authorization: `Bearer ${TOKEN}` });
  expect(metrics.text).toContain('rag_jobs_total{outcome="complete",code=""} 1');
  expect(metrics.text).toMatch(/^rag_chunks_total [1-9]/m);
  expect(JSON.parse(health.text)).toMatchObject({
    status: "ok",
    transport: "embedded",
    provider: "embedded",
    queue: { queued: 0, processing: 0, last_day: { complete: 1 } },
  });
  const events = worker.lines().map((line) => line.event);
  expect(events).toEqual(expect.arrayContaining(["job.claimed", "job.measured", "job.progressed"]));
  for (const told of [worker.text(), metrics.text, health.text])
    expect(told).not.toMatch(/Merger|fortnight|canary/);
});

test("without the token /health and what the dashboard reads are closed, and /live, /ready, /metrics and its page open", async () => {
  const worker = await startWorker({ RAG_HTTP_TOKEN: TOKEN });

  const asked = await Promise.all(
    ["/live", "/ready", "/metrics", "/", "/health", "/events", "/jobs"].map((path) => worker.ask(path)),
  );

  expect(asked.map((answer) => answer.status)).toEqual([200, 200, 200, 200, 401, 401, 401]);
});

test("a stop ends the pages, tells so in the log, and leaves with 0", async () => {
  const worker = await startWorker();

  worker.child.kill("SIGTERM");

  expect(await worker.ended()).toBe(0);
  expect(worker.lines().map((line) => line.event)).toEqual(
    expect.arrayContaining(["worker.stopping", "worker.stopped"]),
  );
  await expect(worker.ask("/live")).rejects.toThrow();
});

test("a port that is taken ends the start with a sentence", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  closers.push(async () => other.close());
  await once(other, "listening");
  const address = other.address();
  const port = typeof address === "object" ? String(address?.port) : "";

  const worker = startRag(["worker"], { PORT: port, RAG_HTTP_HOST: "127.0.0.1" });

  expect(await worker.ended()).toBe(2);
  expect(worker.text()).toContain(`Port ${port} on 127.0.0.1 is taken`);
});

test("a key that the provider refuses is told by its code, and not shown", async () => {
  const refuses = createServer((socket) => {
    socket.on("error", () => {});
    const body = `{"error":{"message":"Incorrect API key provided: ${KEY}","code":"invalid_api_key"}}`;
    socket.once("data", () =>
      socket.end(
        `HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      ),
    );
  }).listen(0, "127.0.0.1");
  closers.push(async () => refuses.close());
  await once(refuses, "listening");
  const address = refuses.address();
  const port = typeof address === "object" ? address?.port : 0;

  const worker = startRag(["worker"], {
    PORT: "0",
    LOG_LEVEL: "debug",
    OPENAI_API_KEY: KEY,
    OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`,
  });

  expect(await worker.ended()).toBe(2);
  expect(worker.text()).toContain("embed.denied");
  expect(worker.text()).not.toContain(KEY);
});

describeWith("postgres", "on a Postgres that goes away", () => {
  test("/live stays green, /ready is red until it is back, and /health answers meanwhile", async () => {
    const database = await freshDatabase();
    closers.push(() => database.drop());
    const door = await openDoor(database.url);
    closers.push(() => door.close());
    const settings = { DATABASE_URL: door.url, RAG_POLL_INTERVAL_MS: "200", RAG_POOL_TIMEOUT_SECONDS: "2" };
    const migrated = startRag(["migrate"], settings);
    expect(await migrated.ended(), migrated.text()).toBe(0);
    const worker = await startWorker(settings);

    door.shut();
    await vi.waitFor(async () => expect((await worker.ask("/ready")).status).toBe(503), PATIENCE);
    const whileAway = await Promise.all(
      ["/live", "/ready", "/health", "/metrics"].map((path) => worker.ask(path)),
    );
    door.open();
    await vi.waitFor(async () => expect((await worker.ask("/ready")).status).toBe(200), PATIENCE);

    expect(whileAway.map((answer) => answer.status)).toEqual([200, 503, 503, 200]);
    expect(JSON.parse(whileAway[1]?.text ?? "").error.code).toMatch(/^database\./);
    expect(JSON.parse(whileAway[2]?.text ?? "").checks.database.status).toBe("down");
    expect(whileAway[3]?.text).toContain("rag_queue_figures_known 0");
    expect(worker.lines().map((line) => line.event)).toEqual(
      expect.arrayContaining(["database.lost", "database.regained"]),
    );
  });
});

/** A way to the database that can be shut: connections end, new ones are refused. */
async function openDoor(target: string) {
  const { hostname, port } = new URL(target);
  const passing = new Set<Socket>();
  let shut = false;
  const server = createServer((near) => {
    if (shut) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      passing.add(from);
      from
        .on("error", () => {})
        .once("close", () => {
          passing.delete(from);
          to.destroy();
        });
      from.pipe(to);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const url = new URL(target);
  url.port = typeof address === "object" ? String(address?.port) : "";
  const end = () => {
    shut = true;
    for (const socket of passing) socket.destroy();
  };
  return {
    url: url.href,
    shut: end,
    open: () => {
      shut = false;
    },
    close: async () => {
      end();
      server.close();
    },
  };
}
