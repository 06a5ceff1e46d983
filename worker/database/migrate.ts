// Applies supabase/migrations in order, recorded where the Supabase CLI records them, so that
// `supabase db push` and `rag migrate` know each other's work.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { Failure } from "../failure/failure.ts";
import { type BackoffLimits, backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import type { SqlSession } from "./sql-session.ts";

export type Migration = {
  readonly version: string;
  readonly name: string;
  readonly file: string;
};

export type Migrated = {
  /** File names, in the order they ran. */
  readonly applied: readonly string[];
  readonly already: readonly string[];
};

/** The product's own migrations. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL("../../supabase/migrations", import.meta.url));

const MOST_TRIES = 10;
const WAITS: BackoffLimits = { firstMs: 200, mostMs: 2000 };

const FILE_NAME = /^([0-9]+)_(.*)\.sql$/;

/** Any number that nobody else uses: replicas that migrate at once go one after the other. */
const MIGRATION_LOCK = "7281405566031";

/** The CLI's own table, column by column as it creates it. */
const HISTORY_SQL = `
  create schema if not exists supabase_migrations;
  create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
  alter table supabase_migrations.schema_migrations add column if not exists statements text[];
  alter table supabase_migrations.schema_migrations add column if not exists name text`;

/**
 * Runs every migration that is not recorded yet, each in a transaction of its own with its record.
 * Throws `database.no-pgvector`, `database.denied`, or `database.rejected` with the file's name.
 */
export async function migrate(session: SqlSession, folder: string = MIGRATIONS_FOLDER): Promise<Migrated> {
  const applied: string[] = [];
  const already: string[] = [];
  for (const migration of await listMigrations(folder)) {
    const text = await readFile(join(folder, migration.file), "utf8");
    const ran = await unlessDeadlocked(() =>
      session.transaction((transaction) => applyOne(transaction, migration, text)),
    ).catch((thrown: unknown) => {
      throw naming(migration, thrown);
    });
    (ran ? applied : already).push(migration.file);
  }
  return { applied, already };
}

/**
 * A file that changes two tables meets workers that hold one of them and want the other; Postgres ends either after a
 * second. Nothing of the file is left then, and it begins again.
 */
async function unlessDeadlocked<Result>(apply: () => Promise<Result>): Promise<Result> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await apply();
    } catch (thrown) {
      const again = thrown instanceof Failure && thrown.code === "database.conflict" && tried < MOST_TRIES;
      if (!again) throw thrown;
      await sleep(backoffMs(tried, WAITS));
    }
  }
}

/** What `migrate` would run, in order. Changes nothing. */
export async function pendingMigrations(
  session: SqlSession,
  folder: string = MIGRATIONS_FOLDER,
): Promise<readonly Migration[]> {
  const [history] = await session.query(
    "select pg_catalog.to_regclass('supabase_migrations.schema_migrations') is not null as there",
  );
  const recorded = history?.there === true ? await recordedVersions(session) : new Set<string>();
  return (await listMigrations(folder)).filter(({ version }) => !recorded.has(version));
}

/** Files that are named as the CLI wants them, by version. Others are none of ours, as for the CLI. */
export async function listMigrations(folder: string): Promise<readonly Migration[]> {
  const files = await readdir(folder).catch((thrown: unknown) => {
    throw new Failure("database.not-migrated", { says: `There is no folder ${folder}.`, cause: thrown });
  });
  return files.toSorted().flatMap((file) => {
    const [, version, name] = FILE_NAME.exec(file) ?? [];
    return version === undefined || name === undefined ? [] : [{ version, name, file }];
  });
}

async function applyOne(transaction: SqlSession, migration: Migration, text: string): Promise<boolean> {
  await transaction.query(`select pg_catalog.pg_advisory_xact_lock(${MIGRATION_LOCK})::text`);
  // Building an index may take minutes; waiting behind somebody's open transaction would stop the readers too.
  await transaction.script(`set local statement_timeout = 0; set local lock_timeout = '30s'; ${HISTORY_SQL}`);
  if ((await recordedVersions(transaction)).has(migration.version)) return false;
  await transaction.script(text);
  // A file may set its search_path; the next client of a pooled connection must not inherit it.
  await transaction.script("reset all");
  await transaction.query(
    "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, array[$3::text])",
    [migration.version, migration.name, text],
  );
  return true;
}

async function recordedVersions(session: SqlSession): Promise<ReadonlySet<string>> {
  const rows = await session.query("select version from supabase_migrations.schema_migrations");
  return new Set(
    z
      .array(z.object({ version: z.string() }))
      .parse(rows)
      .map(({ version }) => version),
  );
}

/** Which file it was, and for trouble in the file itself what Postgres said: the text is ours, so it may be shown. */
function naming(migration: Migration, thrown: unknown): unknown {
  if (!(thrown instanceof Failure)) return thrown;
  const inFile = thrown.code === "database.rejected" || thrown.code === "database.not-migrated";
  const said = thrown.cause instanceof Error ? ` ${thrown.cause.message}` : "";
  return new Failure(inFile ? "database.rejected" : thrown.code, {
    says: inFile ? `Migration ${migration.file} failed:${said}.` : thrown.message,
    cause: thrown.cause,
    facts: { ...thrown.facts, migration: migration.file },
  });
}
