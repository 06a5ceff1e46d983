// The watched document root over a real folder and a real database. Nothing is embedded: what is enqueued counts.
import { mkdir, mkdtemp, realpath, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { openActivity } from "../../activity/activity.ts";
import type { Events } from "../../activity/catalogue.ts";
import { type Leg, openLeg } from "../../tests/contracts/open-databases.ts";
import { type RootWatch, type WatchRootOptions, watchRoot } from "./watch-root.ts";

const PATIENCE = { timeout: 30_000, interval: 50 };
vi.setConfig({ testTimeout: 90_000 });

let leg: Leg;
let folder: string;
let root: string;
const watches: RootWatch[] = [];

beforeAll(async () => {
  leg = await openLeg("embedded");
});
afterAll(() => leg.close());
beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "rag-watch-root-")));
  root = join(folder, "root");
  await mkdir(root);
  for (const table of ["rag_ingestion_queue", "rag_documents", "rag_turns"])
    await leg.sql.query(`delete from public.${table}`);
});
afterEach(async () => {
  await Promise.all(watches.splice(0).map((one) => one.close()));
  await rm(folder, { recursive: true, force: true });
});

/** Written an hour ago, unless it is to look as if it were being written. */
async function write(name: string, text = `text of ${name}`, ageSeconds = 3600): Promise<void> {
  const path = join(root, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  const at = Date.now() / 1000 - ageSeconds;
  await utimes(path, at, at);
}

const config: WatchRootOptions["config"] = {
  ...{
    documentRoot: null,
    maxFileMb: 1,
    maxAttempts: 5,
    storageBucket: null,
    supabaseUrl: null,
    supabaseKey: null,
  },
  ...{ chunkStrategy: "recursive", chunkTokens: 256, chunkOverlapTokens: 0, chunkHeadingPrefix: false },
  ...{ embeddingCharLimit: 1200, watchIntervalSeconds: 300, watchSettleSeconds: 2, onMissingFile: "delete" },
  ...{ watchTenant: "acme", watchCollection: "files" },
};

function watch(settings: Partial<WatchRootOptions["config"]> = {}, holder = "one") {
  const activity = openActivity();
  const scans: Events["root.scanned"][] = [];
  const refused: string[] = [];
  activity.listen((name, facts) => {
    if (name === "root.scanned") scans.push(facts as Events["root.scanned"]);
    if (name === "root.refused") refused.push((facts as Events["root.refused"]).code);
  });
  const one = watchRoot({
    call: leg.database.call,
    activity,
    config: { ...config, ...settings },
    root,
    holder,
    wake: () => {},
  });
  watches.push(one);
  return { one, scans, refused };
}
const documents = async () =>
  (
    await leg.sql.query(
      "select id, source_uri, title, tenant_id, collection from public.rag_documents order by source_uri",
    )
  ).map((row) => row);
const uris = async () => (await documents()).map(({ source_uri }) => String(source_uri));
const jobs = async () =>
  (await leg.sql.query("select 1 from public.rag_ingestion_queue where status = 'queued'")).length;
/** As if a worker had done all jobs. */
async function ingestAll(): Promise<void> {
  await leg.sql.query("delete from public.rag_ingestion_queue");
  await leg.sql.query("update public.rag_documents set status = 'ingested'");
}
const scanned = (scans: readonly unknown[], times = 1) =>
  vi.waitFor(() => expect(scans.length).toBeGreaterThanOrEqual(times), PATIENCE);

test("everything below the root is enqueued, as the tenant's that the settings name, by reference", async () => {
  await write("a.md");
  await write("deep/er/b 100%.md");
  const { scans } = watch();

  await scanned(scans);

  expect(scans[0]).toMatchObject({ files: 2, enqueued: 2, failed: 0 });
  expect(await documents()).toMatchObject([
    { source_uri: "file:///a.md", title: "a.md", tenant_id: "acme", collection: "files" },
    { source_uri: "file:///deep/er/b%20100%25.md" },
  ]);
});

test("a look at a root that is as it was opens no file and enqueues nothing", async () => {
  await write("a.md");
  const { one, scans } = watch();
  await scanned(scans);
  await one.close();
  await ingestAll();
  const asked: string[] = [];
  const call: typeof leg.database.call = (name, args) => {
    asked.push(name);
    return leg.database.call(name, args);
  };

  const activity = openActivity();
  const again: unknown[] = [];
  activity.listen((name) => name === "root.scanned" && again.push(name));
  watches.push(watchRoot({ call, activity, config, root, holder: "one", wake: () => {} }));
  await scanned(again);

  expect(asked.slice(0, 3)).toEqual(["rag_take_turn", "rag_list_files", "rag_compare_files"]);
  expect(asked.slice(3).filter((name) => name !== "rag_take_turn")).toEqual([]);
  expect(await jobs()).toBe(0);
});

test("a file that appears, changes, moves and goes is followed by its document", async () => {
  await write("a.md", "one");
  await write("other.md");
  const { scans } = watch();
  await scanned(scans);
  const [first] = await documents();
  await ingestAll();

  await write("a.md", "two and more");
  await vi.waitFor(async () => expect(await jobs()).toBe(1), PATIENCE);
  await ingestAll();
  await mkdir(join(root, "sub"));
  await rename(join(root, "a.md"), join(root, "sub/b.md"));
  await vi.waitFor(async () => expect(await uris()).toContain("file:///sub/b.md"), PATIENCE);
  const moved = (await documents()).find(({ source_uri }) => source_uri === "file:///sub/b.md");
  const jobsOfMove = await jobs();
  await rm(join(root, "sub/b.md"));

  await vi.waitFor(async () => expect(await uris()).toEqual(["file:///other.md"]), PATIENCE);
  expect(moved).toMatchObject({ id: first?.id, title: "b.md" });
  expect(jobsOfMove).toBe(0);
});

test("a file that is touched and says the same is not enqueued again", async () => {
  await write("a.md", "same");
  const { scans } = watch();
  await scanned(scans);
  await ingestAll();

  await write("a.md", "same", 1800);

  await scanned(scans, 2);
  expect(await jobs()).toBe(0);
});

test("what is still written to, or has a name of something unfinished, is left until it is done", async () => {
  await write("growing.md", "half", 0);
  await write("upload.pdf.part");
  await write("~$letter.docx");
  await write(".hidden.md");
  const { scans } = watch({ watchSettleSeconds: 1 });
  await scanned(scans);
  const atFirst = await uris();

  await rename(join(root, "upload.pdf.part"), join(root, "upload.pdf"));

  await vi.waitFor(
    async () => expect(await uris()).toEqual(["file:///growing.md", "file:///upload.pdf"]),
    PATIENCE,
  );
  expect(atFirst).toEqual([]);
  expect(scans[0]).toMatchObject({ growing: 1 });
});

test("no link leads out of the root, into a ring, or to the same file twice", async () => {
  await write("a.md");
  await writeFile(join(folder, "secret.md"), "outside");
  await symlink(join(folder, "secret.md"), join(root, "out.md"));
  await symlink(folder, join(root, "up"));
  await symlink(root, join(root, "ring"));
  await symlink(join(root, "a.md"), join(root, "same.md"));
  const { scans } = watch();

  await scanned(scans);

  expect(await uris()).toEqual(["file:///a.md"]);
});

test("where the policy is to keep, the document of a file that is gone stays", async () => {
  await write("a.md");
  const { scans } = watch({ onMissingFile: "keep" });
  await scanned(scans);

  await rm(join(root, "a.md"));

  await vi.waitFor(() => expect(scans.at(-1)).toMatchObject({ gone: 1, deleted: 0 }), PATIENCE);
  expect(await uris()).toEqual(["file:///a.md"]);
});

test("a root that is suddenly empty deletes nothing, and says so", async () => {
  for (let file = 0; file < 25; file += 1) await write(`files/${file}.md`);
  const { scans, refused } = watch();
  await scanned(scans);

  await rm(join(root, "files"), { recursive: true });

  await vi.waitFor(() => expect(refused).toContain("ingress.too-many-gone"), PATIENCE);
  expect(await uris()).toHaveLength(25);
});

test("another folder in the root's place, as when a volume is not mounted, is not looked at", async () => {
  await write("a.md");
  const { scans, refused } = watch({ watchIntervalSeconds: 1 });
  await scanned(scans);

  await rename(root, join(folder, "away"));
  await mkdir(root);

  await vi.waitFor(() => expect(refused).toContain("config.invalid"), PATIENCE);
  expect(await uris()).toEqual(["file:///a.md"]);
});

test("of two replicas one looks, and the other takes over when it is gone", async () => {
  await write("a.md");
  const first = watch({}, "first");
  await scanned(first.scans);
  const second = watch({}, "second");
  await vi.waitFor(async () => {
    const [turn] = await leg.sql.query("select holder from public.rag_turns");
    expect(turn?.holder).toBe("first");
  });
  await second.one.close();
  await first.one.close();
  expect(second.scans).toEqual([]);

  const third = watch({}, "third");

  await scanned(third.scans);
});

test("a file that cannot be taken is counted, and its neighbours are", async () => {
  await write("a.md");
  await write("large.md", "x".repeat(1024 * 1024 + 1));
  const { scans } = watch();

  await scanned(scans);

  expect(scans[0]).toMatchObject({ enqueued: 1, failed: 1 });
});
