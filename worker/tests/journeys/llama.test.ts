// A worker that starts its own llama-server: it is there while texts need it, and never a moment longer.
import { execFile } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { describeWith, serviceUrl } from "../services.ts";
import { openWorld, type RagWorld, type RunningRag } from "./rag-process.ts";

const run = promisify(execFile);
const PATIENCE = { timeout: 50_000, interval: 100 };
const MODEL = "all-MiniLM-L6-v2.f16.gguf";

let world: RagWorld;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

/** The model lies in the world's folder, so that `ps` tells our servers from anybody else's. */
async function settings(own: Readonly<Record<string, string>> = {}) {
  const model = join(world.folder, MODEL);
  await symlink(serviceUrl("llama-model"), model).catch(() => {});
  return {
    LLAMA_SERVER_BIN: serviceUrl("llama-binary"),
    LLAMA_SERVER_MODEL: model,
    LLAMA_SERVER_IDLE_SECONDS: "1",
    RAG_POLL_INTERVAL_MS: "200",
    ...own,
  };
}

async function serversAlive(): Promise<number[]> {
  const { stdout } = await run("ps", ["-A", "-o", "pid=,stat=,args="]);
  return stdout
    .split("\n")
    .filter((line) => line.includes(join(world.folder, MODEL)) && !/^\s*\d+ Z/.test(line))
    .map((line) => Number.parseInt(line, 10));
}

const write = (name: string, text: string) => writeFile(join(world.folder, name), text);

async function writeLongFile(name: string): Promise<void> {
  const sentences = Array.from(
    { length: 500 },
    (_, at) => `Item ${at} was weighed on day ${(at * 7919) % 4001}.`,
  );
  await write(name, sentences.join("\n\n"));
}

type Health = {
  readonly embedding_server: {
    readonly state: string;
    readonly pid: number | null;
    readonly rss_bytes: number | null;
  };
};

async function startWorker(own: Readonly<Record<string, string>> = {}) {
  const worker = world.start(["worker"], await settings(own));
  await vi.waitFor(() => expect(worker.output()).toContain("RAG worker ready"), PATIENCE);
  const address = /"http":"([^"]+)"/.exec(worker.output())?.[1] ?? "";
  const health = async () => ((await (await fetch(`${address}/health`)).json()) as Health).embedding_server;
  return { worker, health };
}

async function pidOfServer(worker: RunningRag): Promise<number> {
  await vi.waitFor(() => expect(worker.output()).toContain('"event":"llama.started"'), PATIENCE);
  const said =
    worker
      .output()
      .match(/"event":"llama.started","pid":(\d+)/g)
      ?.at(-1) ?? "";
  return Number(/\d+$/.exec(said)?.[0]);
}

describeWith(["llama-binary", "llama-model"], "a worker with a model file for llama-server", () => {
  test(
    "starts it for the first document, ends it when idle, and ps shows none left",
    { timeout: 180_000 },
    async () => {
      const { worker, health } = await startWorker();
      const before = { server: await health(), alive: await serversAlive() };
      await write("kiln.md", "# Kilns\n\nThe pottery kiln is fired on Fridays at noon.\n");

      const ingest = await world.rag(["ingest", "kiln.md", "--wait", "--json"], await settings());
      await vi.waitFor(async () => expect((await health()).state).toBe("stopped"), PATIENCE);
      const after = await serversAlive();
      worker.signal("SIGTERM");
      const ended = await worker.ended;

      expect(before).toEqual({ server: expect.objectContaining({ state: "stopped", pid: null }), alive: [] });
      expect(ingest.records, ingest.err).toMatchObject([{ documents: 1, embedded: 1, failed: [] }]);
      expect(ended.out).toContain("llama-server started");
      expect(ended.out).toMatch(/"why":"idle".*llama-server stopped/);
      expect(after).toEqual([]);
      expect(ended.code).toBe(0);
    },
  );

  test("ingests and searches without any server running, and leaves none", { timeout: 180_000 }, async () => {
    await mkdir(join(world.folder, "docs"));
    await write("docs/ladder.md", "# Ladders\n\nA ladder may be borrowed for three days by any member.\n");
    await write("docs/kiln.md", "# Kilns\n\nThe pottery kiln is fired on Fridays at noon.\n");

    const ingest = await world.rag(["ingest", "docs", "--wait", "--json"], await settings());
    const afterIngest = await serversAlive();
    const search = await world.rag(
      ["search", "when is the oven hot?", "--mode", "vector", "--limit", "1", "--json"],
      await settings(),
    );
    const doctor = await world.rag(["doctor"], await settings());

    expect(ingest.records, ingest.err).toMatchObject([{ documents: 2, embedded: 2, failed: [] }]);
    expect(afterIngest).toEqual([]);
    expect(search.records, search.err).toMatchObject([{ title: "kiln.md" }]);
    expect(doctor.out).toMatch(/llama-server +ready: pid \d+, \d+ MB, 4 texts at once/);
    expect(await serversAlive()).toEqual([]);
  });

  test("that is killed with SIGKILL in mid-work leaves no llama-server", { timeout: 180_000 }, async () => {
    const { worker } = await startWorker();
    await writeLongFile("long.txt");
    await world.rag(["ingest", "long.txt"], await settings());
    await pidOfServer(worker);
    const during = await serversAlive();

    worker.signal("SIGKILL");
    await worker.ended;

    expect(during.length).toBeGreaterThan(0);
    await vi.waitFor(async () => expect(await serversAlive()).toEqual([]), PATIENCE);
  });

  test(
    "whose llama-server is killed in mid-batch loses no text and counts no attempt",
    { timeout: 240_000 },
    async () => {
      const { worker } = await startWorker({ RAG_EMBEDDING_CHAR_LIMIT: "400" });
      await writeLongFile("long.txt");
      await world.rag(["ingest", "long.txt"], await settings());
      const pid = await pidOfServer(worker);
      await vi.waitFor(async () => expect(await cpuSeconds(pid)).toBeGreaterThan(0.7), PATIENCE);

      process.kill(pid, "SIGKILL");
      await vi.waitFor(
        () => expect(worker.output()).toMatch(/"event":"job\.(completed|failed|retried|released)"/),
        PATIENCE,
      );
      const [job] = (await world.rag(["jobs", "--json"], await settings())).records;

      expect(worker.output()).toContain('"event":"llama.died"');
      expect(worker.output()).toContain('"event":"job.completed"');
      expect(worker.output()).not.toContain('"event":"job.retried"');
      expect(job).toMatchObject({ status: "complete", attempts: 1 });
      expect(await pidOfServer(worker)).not.toBe(pid);
    },
  );

  test(
    "that cannot be used is a wrong configuration at the start, with its path",
    { timeout: 60_000 },
    async () => {
      const { code, err } = await world.rag(
        ["worker"],
        await settings({ LLAMA_SERVER_MODEL: join(world.folder, "gone.gguf") }),
      );

      expect(code).toBe(2);
      expect(err).toContain("embed.model-missing");
      expect(err).toContain(join(world.folder, "gone.gguf"));
    },
  );
});

async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
