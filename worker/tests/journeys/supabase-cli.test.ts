// The migrations as a Supabase user applies them: with the official command-line tool, from the repository.
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith, type FreshDatabase, freshDatabase, serviceUrl } from "../services.ts";

describeWith(["postgres", "pgbouncer", "supabase-cli"], "the Supabase command-line tool", () => {
  let database: FreshDatabase;
  let folder: string;

  // Pushed once, for each command takes seconds; a test that changes the schema puts it back.
  beforeAll(async () => {
    database = await freshDatabase();
    folder = await mkdtemp(join(tmpdir(), "rag-supabase-"));
    await mkdir(join(folder, "supabase"));
    for (const part of ["config.toml", "migrations"]) {
      await cp(join("supabase", part), join(folder, "supabase", part), { recursive: true });
    }
    const push = await supabase("db", "push");
    expect(push, push.says).toMatchObject({
      exitCode: 0,
      says: expect.stringContaining("Applying migration"),
    });
  });

  afterAll(async () => {
    await database.drop();
    await rm(folder, { recursive: true });
  });

  test("finds nothing to do the second time", async () => {
    const push = await supabase("db", "push");

    expect(push).toMatchObject({ exitCode: 0, says: expect.stringContaining("up to date") });
  });

  test("has no advice above a hint, on security or on speed", async () => {
    const advice = await advisors();

    expect(advice, advice.says).toMatchObject({ exitCode: 0 });
  });

  // Errors only: every result column of dynamic SQL draws a warning that it may stay empty.
  test("finds no mistake in the bodies of our functions", async () => {
    const lint = await supabase("db", "lint", "--schema", "public", "--level", "error", "--fail-on", "error");

    expect(lint, lint.says).toMatchObject({ exitCode: 0 });
  });

  test("advises against a table without row security, so that silence above means something", async () => {
    await query("create table public.open_to_all (note text); grant select on public.open_to_all to anon");

    const advice = await advisors();

    await query("drop table public.open_to_all");
    expect(advice).toMatchObject({ exitCode: 1, says: expect.stringContaining("open_to_all") });
  });

  test("stops at a migration that fails, by name, and keeps what came before", async () => {
    const wrong = join(folder, "supabase/migrations/20990101000000_wrong.sql");
    await writeFile(wrong, "create table public.half_done (); select from nowhere_at_all;");

    const push = await supabase("db", "push");

    await rm(wrong);
    expect(push).toMatchObject({ exitCode: 1, says: expect.stringContaining("nowhere_at_all") });
    expect(await present("half_done", "rag_ingestion_queue")).toEqual(["rag_ingestion_queue"]);
  });

  test("rebuilds the schema on reset, and only the schema", async () => {
    await query("create table public.left_behind ()");

    const reset = await supabase("db", "reset");

    expect(reset, reset.says).toMatchObject({ exitCode: 0 });
    expect(await present("left_behind", "rag_ingestion_queue")).toEqual(["rag_ingestion_queue"]);
  });

  const advisors = () => supabase("db", "advisors", "--type", "all", "--level", "info", "--fail-on", "warn");

  // Its home is the test's folder: it keeps identifiers and caches there.
  function supabase(...command: string[]): Promise<{ exitCode: number; says: string }> {
    const args = [
      serviceUrl("supabase-cli"),
      ...command,
      `--remote=${database.url}`,
      "--yes",
      "--workdir",
      folder,
    ];
    const env = { PATH: process.env.PATH, HOME: folder, SUPABASE_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
    return new Promise((resolve) => {
      const child = execFile(process.execPath, args, { env, timeout: 50_000 }, (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), says: stdout + stderr });
      });
      child.stdin?.end();
    });
  }

  async function present(...tables: string[]): Promise<unknown[]> {
    const rows = await query(`select tablename from pg_tables where tablename in ('${tables.join("', '")}')`);
    return rows.map((row) => row.tablename);
  }

  async function query(statement: string): Promise<readonly postgres.Row[]> {
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    try {
      return await sql.unsafe(statement);
    } finally {
      await sql.end({ timeout: 5 });
    }
  }
});
