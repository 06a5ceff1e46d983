// The newcomer's way on the embedded database: ingest, search, follow, put right, and two terminals at once.
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openWorld, type RagWorld } from "./rag-process.ts";

const PATIENCE = { timeout: 50_000, interval: 100 };

let world: RagWorld;
beforeAll(async () => {
  world = await openWorld();
  await mkdir(join(world.folder, "docs/deep"), { recursive: true });
  await write("docs/ladder.md", "# Ladders\n\nA ladder may be borrowed for three days by any member.\n");
  await write("docs/deep/kiln.md", "# Kilns\n\n## Firing\n\nThe pottery kiln is fired on Fridays at noon.\n");
  await write("docs/photo.png", "not a picture");
  await write("docs/nothing.txt", "");
});
afterAll(() => world.close());

const write = (name: string, text: string) => writeFile(join(world.folder, name), text);

test("ingest, ingest again, search, list, retry and cancel", { timeout: 240_000 }, async () => {
  const first = await world.rag([
    "ingest",
    "docs",
    "--wait",
    "--json",
    "--tags",
    "shed,rules",
    "--tenant",
    "acme",
  ]);

  expect(first.code, first.err).toBe(0);
  expect(first.records).toMatchObject([
    {
      documents: 2,
      chunks: 2,
      embedded: 2,
      reused: 0,
      unchanged: 0,
      queued: 0,
      failed: [],
      skipped: { ".png": 1, empty: 1 },
    },
  ]);

  // Unchanged files are not even opened, and it is said.
  const again = await world.rag(["ingest", "docs", "--wait", "--tenant", "acme"]);
  expect(again.code).toBe(0);
  expect(again.out).toMatch(/^2 documents in .* 0 chunks: 0 embedded, 0 reused, 2 documents unchanged$/m);
  expect(again.out).toContain("nothing was embedded again");

  // An edited file is embedded anew, its neighbour is not, and a missing path harms neither.
  await write("docs/ladder.md", "# Ladders\n\nA ladder may be borrowed for one day only.\n");
  const edited = await world.rag([
    "ingest",
    "docs/**/*.md",
    "gone.md",
    "--wait",
    "--json",
    "--tenant",
    "acme",
  ]);
  expect(edited.code).toBe(1);
  expect(edited.records).toMatchObject([
    {
      documents: 2,
      embedded: 1,
      reused: 0,
      unchanged: 1,
      failed: [{ source: "gone.md", code: "source.not-found" }],
    },
  ]);

  for (const mode of ["vector", "text", "hybrid"]) {
    const found = await world.rag([
      "search",
      "when is the kiln fired?",
      "--mode",
      mode,
      "--limit",
      "1",
      "--json",
    ]);
    expect(found.records, mode).toMatchObject([
      {
        title: "kiln.md",
        source_uri: expect.stringContaining("deep/kiln.md"),
        chunk_index: 0,
        section: "Kilns > Firing",
      },
    ]);
  }
  const filtered = await world.rag(["search", "kiln", "--tags", "shed", "--tenant", "other"]);
  expect(filtered).toMatchObject({ code: 0, out: "" });
  expect(filtered.err).toContain("Nothing found with these filters.");

  await world.rag(["ingest", "docs/ladder.md", "--title", "The ladder rules", "--tenant", "acme"]);
  const status = await world.rag(["status", "--json"]);
  expect(status.records).toMatchObject([{ database: "embedded", queued: 1, processing: 0, workers: [] }]);
  const [queued] = (await world.rag(["jobs", "--status", "queued", "--json"])).records;
  expect(queued).toMatchObject({ title: "The ladder rules", tenant_id: "acme", status: "queued" });
  const id = String(queued?.id);
  const job = await world.rag(["job", id.slice(0, 8)]);
  expect(job.out).toContain("a worker: none is running");

  // Many at once need a yes, one by its id does not; what is no longer waiting is told.
  const unasked = await world.rag(["cancel", "--status", "queued"]);
  expect(unasked).toMatchObject({
    code: 2,
    err: expect.stringContaining("Cancel 1 job? Nobody can answer here: add --yes."),
  });
  expect((await world.rag(["cancel", "--status", "queued", "--yes", "--json"])).records).toEqual([
    { cancelled: 1 },
  ]);
  expect(await world.rag(["cancel", id])).toMatchObject({
    code: 1,
    err: expect.stringContaining("ended already"),
  });
  expect((await world.rag(["retry", id, "--json"])).records).toEqual([{ requeued: 1 }]);

  const once = await world.rag(["worker", "--once", "--json"]);
  expect(once.code, once.err).toBe(0);
  expect(once.records).toMatchObject([{ completed: 1, failed: 0, lost: 0 }]);
  expect(once.err).toContain('"msg":"RAG worker ready. Polling for jobs…"');
  expect(await world.rag(["retry", id])).toMatchObject({
    code: 1,
    err: expect.stringContaining("1 job is complete: there is nothing to retry."),
  });

  const doctor = await world.rag(["doctor", "--json"]);
  expect(doctor.code, doctor.out).toBe(0);
  const checks = new Map(doctor.records.map(({ check, status: colour }) => [check, colour]));
  for (const check of ["node", "transport", "connection", "pgvector", "grants", "provider", "model"])
    expect(checks.get(check), check).toBe("green");
});

test("a failed document ends the run with 1, its own code and a sentence; the others are in", async () => {
  await mkdir(join(world.folder, "mixed"), { recursive: true });
  await write("mixed/good.md", "Good words about gardening.\n");
  await write("mixed/cut.pdf", "%PDF-1.7\n1 0 obj\n<< /Type /Catalog");

  const { code, out, records } = await world.rag(["ingest", "mixed", "--wait", "--json"]);

  expect(code, out).toBe(1);
  expect(records).toMatchObject([
    {
      documents: 1,
      failed: [
        {
          source: join(world.folder, "mixed/cut.pdf"),
          code: "extract.corrupt",
          message: expect.stringContaining("Export it again"),
        },
      ],
    },
  ]);
});

test("a path that is all there is and leads nowhere is wrong usage", async () => {
  const { code, out, err } = await world.rag(["ingest", "nowhere", "--wait"]);

  expect(code).toBe(2);
  expect(out).toBe("");
  expect(err).toContain("There is no file or folder at this path.");
});

test("the second terminal's ingest is worked on by the worker of the first, which ends with 0 on SIGTERM", async () => {
  const worker = world.start(["worker"], { RAG_POLL_INTERVAL_MS: "200" });
  await vi.waitFor(() => expect(worker.output()).toContain("RAG worker ready"), PATIENCE);
  const health = /"http":"([^"]+)"/.exec(worker.output())?.[1];
  await write("beside.md", "Words for the second terminal.\n");

  const ingest = await world.rag(["ingest", "beside.md", "--wait", "--json"]);
  const live = await fetch(`${health}/live`);
  worker.signal("SIGTERM");
  const ended = await worker.ended;

  expect(ingest.code, ingest.err).toBe(0);
  expect(ingest.records).toMatchObject([{ documents: 1, embedded: 1 }]);
  expect(ingest.err).toContain("does the work");
  expect(live.status).toBe(200);
  expect(ended.code).toBe(0);
  expect(ended.out).toContain("job.completed");
});

test("Ctrl-C leaves what is not done in the queue, says so, and the next run goes on", async () => {
  await mkdir(join(world.folder, "big"), { recursive: true });
  for (let place = 0; place < 40; place += 1) {
    const words = Array.from({ length: 1500 }, (_, at) => `word${(at * 7919 + place) % 4001}`);
    await write(`big/part-${place}.txt`, `${words.join(" ")}.\n`);
  }

  const ingest = world.start(["ingest", "big", "--wait"], { RAG_GRACE_SECONDS: "4" });
  await vi.waitFor(() => expect(ingest.output()).toMatch(/^done/m), PATIENCE);
  ingest.signal("SIGINT");
  const ended = await ingest.ended;
  const status = await world.rag(["status", "--json"]);

  expect(ended.code, ended.err).toBe(1);
  expect(ended.out).toMatch(/\d+ documents? still in the queue/);
  expect(status.records[0]).toMatchObject({ processing: 0, queued: expect.any(Number) });
  expect(status.records[0]?.queued).toBeGreaterThan(0);
  expect((await world.rag(["cancel", "--status", "queued", "--yes"])).code).toBe(0);
});

test("vectors of another model stop the worker and turn the doctor red, with both models named", async () => {
  const other = {
    OPENAI_API_KEY: "sk-canary-of-this-test",
    OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
    RAG_EMBEDDING_MODEL: "text-embedding-3-small",
  };

  const worker = await world.rag(["worker"], other);
  const doctor = await world.rag(["doctor"], other);

  expect(worker.code).toBe(2);
  expect(worker.err).toContain("embed.model-mismatch");
  expect(worker.err).toContain("all-MiniLM-L6-v2");
  expect(doctor.code).toBe(2);
  expect(doctor.out).toContain("FAIL");
  expect(doctor.out + worker.err + worker.out).not.toContain("sk-canary-of-this-test");
});

test("the embedded database migrates itself, and says so", async () => {
  const { code, out } = await world.rag(["migrate"]);
  const dry = await world.rag(["migrate", "--dry-run"]);

  expect(code).toBe(0);
  expect(out).toContain("migrates itself");
  expect(dry.code).toBe(2);
});

test(
  "a link is there while its file is; of what is gone the documents are deleted where that is asked",
  {
    timeout: 240_000,
  },
  async () => {
    await mkdir(join(world.folder, "linked"));
    await write("far.md", "# Far\n\nThe far meadow is mown in June.\n");
    await write("linked/near.md", "# Near\n\nThe near meadow is mown in May.\n");
    await symlink(join(world.folder, "far.md"), join(world.folder, "linked/far.md"));
    const ingest = async () => {
      const { records, err } = await world.rag(["ingest", "linked", "--wait", "--json", "--delete-missing"]);
      expect(records, err).toHaveLength(1);
      return records[0];
    };

    expect(await ingest()).toMatchObject({ documents: 2, embedded: 2, gone: 0, deleted: 0 });
    expect(await ingest()).toMatchObject({ documents: 2, unchanged: 2, gone: 0, deleted: 0 });
    await rm(join(world.folder, "far.md"));
    expect(await ingest()).toMatchObject({ unchanged: 1, gone: 1, deleted: 1 });
  },
);
