// What Prometheus makes of a worker: the real server scrapes a real worker with the files of scripts/observability, and
// every metric that a rule or the dashboard names is one that a worker shows.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { describeWith, serviceUrl } from "../services.ts";
import { openWorld, type RagWorld, type RunningRag, root } from "./rag-process.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const PATIENCE = { timeout: 60_000, interval: 200 };

const folder = join(root, "scripts/observability");
const read = (file: string) => readFileSync(join(folder, file), "utf8");
const run = promisify(execFile);
const promtool = (...args: string[]) =>
  run(join(serviceUrl("prometheus"), "promtool"), args, { cwd: folder });

type Panel = {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
};
const dashboard = JSON.parse(read("dashboard.json")) as {
  readonly schemaVersion: number;
  readonly uid: string;
  readonly panels: readonly Panel[];
};
const rules = (
  parse(read("rules.yaml")) as {
    groups: { rules: { alert: string; expr: string; annotations: Record<string, string> }[] }[];
  }
).groups.flatMap((group) => group.rules);

/** As Grafana asks: its variables are filled in. */
const queries = dashboard.panels
  .flatMap(({ title, targets }) => (targets ?? []).map(({ expr }) => ({ title, expr })))
  .map(({ title, expr }) => ({
    title,
    expr: expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*"),
  }));
const expressions = [...queries.map(({ expr }) => expr), ...rules.map(({ expr }) => expr)];

/** Names of metrics: words with a prefix of ours or of Node's, outside of quotes. */
const namesIn = (expression: string) =>
  expression.replace(/"[^"]*"/g, "").match(/\b(rag|process|nodejs)_[a-z0-9_]+/g) ?? [];

test("the dashboard is one that Grafana takes: panels with their own ids that do not lie over each other", () => {
  expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
  expect(dashboard.uid).toMatch(/^[a-zA-Z0-9-]{1,40}$/);
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const taken = new Set<string>();
  for (const { title, type, gridPos, targets } of dashboard.panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect([title, taken.has(`${x} ${y}`)]).toEqual([title, false]);
        taken.add(`${x} ${y}`);
      }
    if (type !== "row") expect([title, targets?.length]).not.toEqual([title, 0]);
  }
});

let world: RagWorld;
let worker: RunningRag;
let url: string;

beforeAll(async () => {
  world = await openWorld();
  await writeFile(join(world.folder, "note.md"), "# Lending\n\nA drill may be kept for a fortnight.\n");
  worker = world.start(
    ["worker"],
    { PORT: "0", RAG_HTTP_HOST: "127.0.0.1", RAG_DAILY_BUDGET_USD: "5" },
    600_000,
  );
  url = await vi.waitFor(() => {
    const line = worker
      .output()
      .split("\n")
      .find((candidate) => candidate.includes('"event":"worker.started"'));
    expect(line, worker.output()).toBeDefined();
    return String((JSON.parse(line ?? "{}") as { http: string }).http);
  }, PATIENCE);
  await world.rag(["ingest", "note.md"]);
  await vi.waitFor(() => expect(worker.output()).toContain("job.completed"), PATIENCE);
});
afterAll(() => world?.close());

const metrics = async () => await (await fetch(new URL("/metrics", url))).text();

test("every metric that a rule or the dashboard names is shown by a worker", async () => {
  const text = await metrics();
  const shown = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]),
  );

  for (const expression of expressions)
    for (const name of namesIn(expression)) {
      const family = name.replace(/_(bucket|sum|count)$/, "");
      const isThere = shown.has(name) || shown.get(family) === "histogram";
      expect([expression, name, isThere]).toEqual([expression, name, true]);
    }
  expect(expressions.flatMap(namesIn).length).toBeGreaterThan(60);
});

test("the steps of a job are timed, each once for a small document", async () => {
  const text = await metrics();

  for (const step of ["fetch", "begin", "extract", "chunk", "reuse", "embed", "stage", "publish"])
    expect(text).toContain(`rag_step_duration_seconds_count{step="${step}"} 1\n`);
  expect(text).toContain('rag_step_duration_seconds_count{step="analyse"} 0\n');
});

test("labels are few, and none is of a tenant, a document or a job", async () => {
  const samples = (await metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));

  const labels = new Set(
    samples.flatMap((line) => [...line.matchAll(/([a-z_]+)="/g)].map(([, name]) => name)),
  );

  expect([...labels].filter((label) => /tenant|document|job|user|title|path/.test(label ?? ""))).toEqual([]);
  expect(samples.length).toBeLessThan(1_000);
});

describeWith("prometheus", "with the real programs", () => {
  test("promtool finds nothing to say about what a worker shows", async () => {
    const check = spawn(join(serviceUrl("prometheus"), "promtool"), ["check", "metrics"]);
    let said = "";
    for (const stream of [check.stdout, check.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        said += text;
      });
    check.stdin.end(await metrics());

    const [code] = (await once(check, "close")) as [number];

    expect([said, code]).toEqual(["", 0]);
  });

  test("promtool takes the configuration and the rules, and each alert fires when it should", async () => {
    await promtool("check", "config", "prometheus.yaml");
    const tested = await promtool("test", "rules", "rules.test.yaml");

    expect(tested.stdout).toContain("SUCCESS");
    const told = read("rules.test.yaml");
    for (const { alert } of rules)
      expect([alert, told.includes(`alertname: ${alert}`)]).toEqual([alert, true]);
  });

  test("a Prometheus that scrapes a worker answers every query of the dashboard and the rules", async () => {
    const prometheus = await startPrometheus();
    try {
      await vi.waitFor(async () => {
        expect(await prometheus.query('up{job="rag-worker"}')).toMatchObject([
          { value: [expect.anything(), "1"] },
        ]);
      }, PATIENCE);

      for (const expression of expressions) await prometheus.query(expression);

      expect(await prometheus.query('rag_jobs_total{outcome="complete"}')).toMatchObject([
        { metric: { job: "rag-worker" }, value: [expect.anything(), "1"] },
      ]);
      expect(await prometheus.query("ALERTS{alertstate='firing'}")).toEqual([]);
      const loaded = await prometheus.get("/api/v1/rules");
      expect(loaded.groups?.flatMap((group) => group.rules)).toHaveLength(rules.length);
    } finally {
      await prometheus.stop();
    }
  });
});

test("scrapes while the worker stops are answered whole or not at all, and it stops as ever", async () => {
  // Last of this file: the worker is gone after it.
  let answered = 0;
  const scrape = async () => {
    for (let times = 0; times < 10_000; times += 1) {
      const answer = await fetch(new URL("/metrics", url)).catch(() => null);
      const text = await answer?.text().catch(() => null);
      if (answer === null || text === null || text === undefined) return;
      answered += 1;
      expect([answer.status, text.endsWith("\n"), text.includes("rag_build_info{")]).toEqual([
        200,
        true,
        true,
      ]);
    }
  };
  const scraping = [scrape(), scrape(), scrape(), scrape()];
  await vi.waitFor(() => expect(answered).toBeGreaterThan(10), PATIENCE);

  worker.signal("SIGTERM");
  await Promise.all(scraping);

  expect((await worker.ended).code).toBe(0);
});

type Answered = {
  readonly result?: unknown;
  readonly groups?: readonly { readonly rules: readonly object[] }[];
};

async function startPrometheus() {
  const port = await freePort();
  const config = read("prometheus.yaml")
    .replace("127.0.0.1:8080", new URL(url).host)
    .replace("scrape_interval: 15s", "scrape_interval: 1s")
    .replace("rules.yaml", join(folder, "rules.yaml"));
  await writeFile(join(world.folder, "prometheus.yaml"), config);
  const server: ChildProcess = spawn(
    join(serviceUrl("prometheus"), "prometheus"),
    [
      "--config.file=prometheus.yaml",
      "--storage.tsdb.path=series",
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ],
    { cwd: world.folder, stdio: "ignore" },
  );
  const ended = once(server, "close");
  const get = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    const body = (await answer.json()) as { status: string; data: Answered; error?: string };
    expect([path, body.error ?? body.status]).toEqual([path, "success"]);
    return body.data;
  };
  return {
    get,
    query: async (expression: string) =>
      (await get(`/api/v1/query?query=${encodeURIComponent(expression)}`)).result as unknown,
    async stop() {
      server.kill("SIGKILL");
      await ended;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}
