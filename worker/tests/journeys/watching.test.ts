// Somebody watches: what happened to a job, and the queue at a glance.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWorld, type RagWorld } from "./rag-process.ts";

let world: RagWorld;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test(
  "a job's log tells who took it and how it ended; top shows what failed last",
  { timeout: 200_000 },
  async () => {
    await writeFile(join(world.folder, "good.md"), "# Ladders\n\nThe ladder is in the shed.\n");
    await writeFile(join(world.folder, "bad.pdf"), "%PDF-1.7\nnothing more");
    await world.rag(["ingest", "good.md", "bad.pdf", "--wait"]);
    const jobs = (await world.rag(["jobs", "--json"])).records as { id: string; status: string }[];
    const idOf = (status: string) => String(jobs.find((job) => job.status === status)?.id);

    const good = await world.rag(["logs", idOf("complete"), "--follow", "--json"]);
    const bad = await world.rag(["logs", idOf("failed").slice(0, 8)]);
    const unknown = await world.rag(["logs", "00000000-0000-4000-8000-00000000dead", "--json"]);
    const top = await world.rag(["top"]);
    const record = await world.rag(["top", "--once", "--json"]);

    expect(good.records, good.err).toMatchObject([
      { type: "job.claimed", status: "success", metadata: { attempt: 1 } },
      { type: "job.completed", metadata: { chunks: 1 } },
    ]);
    expect(bad.out, bad.err).toMatch(/job\.claimed +try 1 /);
    expect(bad.out).toMatch(/job\.failed +extract\.corrupt /);
    expect(unknown).toMatchObject({ code: 1, records: [{ error: { code: "job.unknown" } }] });
    expect(top.out).not.toContain("q quits");
    expect(top.out).toContain("(last 1 d)");
    expect(top.out).toMatch(/0 waiting {2}0 at work/);
    expect(top.out).toMatch(/1 complete {2}1 failed {2}1 chunk/);
    expect(top.out).toMatch(/LAST FAILURES\n.* extract\.corrupt /);
    expect(record.records).toMatchObject([{ processing: 0, jobs: [], failed: [{ status: "failed" }] }]);
  },
);
