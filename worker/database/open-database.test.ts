import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { type DatabaseConfig, openDatabase } from "./open-database.ts";

const nothing: DatabaseConfig = {
  databaseUrl: null,
  supabaseUrl: null,
  supabaseKey: null,
  embeddedDir: "/nowhere",
  poolMax: 2,
  poolTimeoutSeconds: 5,
};
const transportOf = async (config: Partial<DatabaseConfig>) => {
  const database = await openDatabase({ ...nothing, ...config });
  onTestFinished(() => database.close());
  return [database.transport, database.describes];
};

test("DATABASE_URL wins over the Supabase API", async () => {
  const both = {
    databaseUrl: "postgres://u:p@h:1/d",
    supabaseUrl: "https://x.supabase.co",
    supabaseKey: "k",
  };

  expect(await transportOf(both)).toStrictEqual(["postgres", "postgres h:1/d"]);
});

test("the Supabase API is used when it has address and key", async () => {
  const [transport, describes] = await transportOf({
    supabaseUrl: "https://x.supabase.co",
    supabaseKey: "secret",
  });

  expect([transport, describes]).toStrictEqual(["supabase", "supabase x.supabase.co"]);
});

test("without anything the database is embedded", async () => {
  const dir = await mkdtemp(join(tmpdir(), "rag-open-"));
  onTestFinished(() => rm(dir, { recursive: true }));

  const [transport] = await transportOf({ embeddedDir: dir });

  expect(transport).toBe("embedded");
});

test.each([
  { supabaseUrl: "https://x.supabase.co" },
  { supabaseKey: "sb_secret_x" },
])("half of a Supabase setting is a mistake, not the embedded database: %o", async (half) => {
  await expect(openDatabase({ ...nothing, ...half })).rejects.toMatchObject({ code: "config.invalid" });
});

test("a place where no folder can be made is told in one sentence", async () => {
  await expect(openDatabase({ ...nothing, embeddedDir: "/etc/passwd" })).rejects.toMatchObject({
    code: "config.invalid",
    facts: { reason: "ENOTDIR" },
  });
});

test("a wrong address is told at once, before any call", async () => {
  await expect(openDatabase({ ...nothing, databaseUrl: "postgres://u:%ZZ@h/d" })).rejects.toMatchObject({
    code: "config.invalid",
  });
});
