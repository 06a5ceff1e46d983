// The command line before it reaches a database: help, wrong usage, wrong settings, an old Node.
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWorld, type RagWorld, root } from "./rag-process.ts";

const commands = [
  "model",
  "worker",
  "ingest",
  "extract",
  "search",
  "status",
  "jobs",
  "job",
  "retry",
  "cancel",
  "reset-stuck",
  "pause",
  "resume",
  "prune",
  "relate",
  "sync",
  "migrate",
  "doctor",
];

let world: RagWorld;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world.close());

test("rag alone and rag --help name every command", async () => {
  const [alone, help] = await Promise.all([world.rag([]), world.rag(["--help"])]);

  expect(alone.code).toBe(0);
  expect(help.out).toBe(alone.out);
  for (const command of commands) expect(help.out).toMatch(new RegExp(`^ {2}${command} `, "m"));
});

test("every command has --help, and --json in it", async () => {
  for (const command of commands) {
    const { code, out } = await world.rag([command, "--help"]);

    expect(code, command).toBe(0);
    expect(out, command).toMatch(new RegExp(`^Usage: rag ${command}`));
    expect(out, command).toContain("--json");
  }
});

test.each([
  [["wroker"], "Did you mean worker?"],
  [["quux"], "rag: unknown command 'quux'\n(rag --help shows what there is)"],
  [["search"], "missing required argument 'query'"],
  [["search", "x", "--limt", "3"], "Did you mean --limit?"],
  [["search", "x", "--limit", "0"], "a whole number from 1 to 1000"],
  [["search", "x", "--mode", "magic"], "Allowed choices are vector, text, hybrid"],
  [["search", "x", "--weight", "1.5"], "a number from 0 to 1"],
  [["search", "  "], "The query is empty."],
  [["ingest"], "missing required argument 'path'"],
  [["ingest", "a", "b", "--title", "One"], "--title is for one file"],
  [["ingest", "a", "--priority", "10"], "a whole number from 0 to 9"],
  [["worker", "--kinds", "document,dreams"], "list of document, relationships, sync"],
  [["worker", "--concurrency", "many"], "a whole number, 1..1000"],
  [["jobs", "--status", "done"], 'There is no status "done". Allowed choices are queued, processing,'],
  [["cost", "--since", "banana"], "a day such as 2026-11-01, or a time ago such as 7d"],
  [["cost", "--by", "week"], 'There is no part "week". Allowed choices are day, tenant, model.'],
  [["analysis", "zz"], "a document's whole id"],
])("rag %j is told in a sentence and ends with 2", async (args, sentence) => {
  const { code, out, err } = await world.rag(args);

  expect(code).toBe(2);
  expect(err).toContain(sentence);
  expect(err).toMatch(/^rag: /);
  expect(err).not.toContain("    at ");
  expect(out).toBe("");
});

test("a title is refused where a folder holds several files, and nothing is put into the queue", async () => {
  const folder = join(world.folder, "several");
  await mkdir(folder);
  for (const name of ["a.md", "b.md"]) await writeFile(join(folder, name), "Words.\n");

  const { code, err } = await world.rag(["ingest", "several", "--title", "One"]);

  expect(code).toBe(2);
  expect(err).toContain("rag: --title is for one file; here are several.");
});

test("all wrong settings are named at once, and none of their values", async () => {
  const settings = { RAG_POOL_MAX: "1000", DATABASE_URL: "mysql://root:hunter2@host/db" };

  const { code, err } = await world.rag(["worker"], settings);

  expect(code).toBe(2);
  expect(err).toContain("RAG_POOL_MAX must be 2..100");
  expect(err).toContain("DATABASE_URL must be an address that starts with postgres:// or postgresql://");
  expect(err).not.toContain("hunter2");
});

test("with --json a failure is a line of its own on stdout too", async () => {
  const { code, records } = await world.rag(["status", "--json"], { RAG_POOL_MAX: "1000" });

  expect(code).toBe(2);
  expect(records).toEqual([
    { error: { code: "config.invalid", message: expect.stringContaining("RAG_POOL_MAX") } },
  ]);
});

test("a stack is shown only where LOG_LEVEL asks for it", async () => {
  const settings = { RAG_POOL_MAX: "1000" };

  const [plain, debug] = await Promise.all([
    world.rag(["status"], settings),
    world.rag(["status"], { ...settings, LOG_LEVEL: "debug" }),
  ]);

  expect(plain.err).not.toContain("    at ");
  expect(debug.err).toContain("    at readConfig");
});

test("settings are read from .env of the folder, and the environment wins", async () => {
  const own = await openWorld();
  try {
    await writeFile(join(own.folder, ".env"), "RAG_POOL_MAX=1000\n");

    const [fromFile, fromBoth] = await Promise.all([
      own.rag(["retry"]),
      own.rag(["retry", "--status", "failed", "--yes"], { RAG_POOL_MAX: "3" }),
    ]);

    expect(fromFile.err).toContain("RAG_POOL_MAX must be");
    expect(fromBoth.err).toContain("No job fits.");
  } finally {
    await own.close();
  }
});

test("an old Node gets one sentence and exit code 2, before anything else is loaded", async () => {
  const old = join(world.folder, "old-node.mjs");
  await writeFile(
    old,
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } });
     await import(${JSON.stringify(join(root, "bin/rag.mjs"))});`,
  );
  const oldWorld = await openWorld(old);
  try {
    const { code, out, err } = await oldWorld.rag(["--help"]);

    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/^rag needs Node 24 or newer and this is v\d+\.\d+\.\d+: .*\n$/);
  } finally {
    await oldWorld.close();
  }
});

test("bin/rag.mjs, which npx and npm scripts run, is the same program", async () => {
  const shim = await openWorld(join(root, "bin/rag.mjs"));
  try {
    const [one, other] = await Promise.all([shim.rag(["--version"]), world.rag(["--version"])]);

    expect(one.out).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect(other.out).toBe(one.out);
    // Compiled code stays with the product, and not where anybody on the machine could put some.
    expect(await readdir(join(root, "node_modules/.cache/rag"))).not.toEqual([]);
  } finally {
    await shim.close();
  }
});
