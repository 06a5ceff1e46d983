// Where tests find the real servers (`scripts/services up`, `eval "$(scripts/services env)"`).
// A missing server is never a silent pass: its tests are skipped under a name that says what is missing,
// and with RAG_TEST_REQUIRE_SERVICES=1, as in CI, they fail.
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { describe, test } from "vitest";

const whereabouts = {
  postgres: "RAG_TEST_DATABASE_URL",
  pgbouncer: "RAG_TEST_PGBOUNCER_URL",
  redis: "RAG_TEST_REDIS_URL",
  nats: "RAG_TEST_NATS_URL",
  llama: "RAG_TEST_LLAMA_URL",
  "llama-binary": "RAG_TEST_LLAMA_BIN",
  "llama-model": "RAG_TEST_LLAMA_MODEL",
  /** The folder with prometheus and promtool. */
  prometheus: "RAG_TEST_PROMETHEUS",
  chromium: "RAG_TEST_CHROMIUM",
  "supabase-cli": "RAG_TEST_SUPABASE_CLI",
  corpus: "RAG_CORPUS_DIR",
} as const;

export type ServiceName = keyof typeof whereabouts;

/** Address of a server, or path of a program or folder. Throws when this machine has none. */
export function serviceUrl(name: ServiceName): string {
  const found = process.env[whereabouts[name]];
  if (!found) throw new Error(`No ${name} here: ${whereabouts[name]} is not set.`);
  return found;
}

export const hasService = (name: ServiceName): boolean => Boolean(process.env[whereabouts[name]]);

/**
 * A suite that needs real servers. The body runs while tests are collected, also when they are going to
 * be skipped: ask for addresses in hooks and tests, not in the body itself.
 */
export function describeWith(
  needed: ServiceName | readonly ServiceName[],
  name: string,
  body: () => void,
): void {
  describeUnlessMissing(
    [needed].flat().filter((service) => !hasService(service)),
    name,
    body,
  );
}

/** Says by name what the tests would need and is not there: skipped loudly, or failed where nothing may be missing. */
export function describeUnlessMissing(missing: readonly string[], name: string, body: () => void): void {
  if (missing.length === 0) {
    describe(name, body);
  } else if (process.env.RAG_TEST_REQUIRE_SERVICES === "1") {
    test(name, () => {
      throw new Error(`RAG_TEST_REQUIRE_SERVICES is set and there is no ${missing.join(", ")}.`);
    });
  } else {
    describe.skip(`${name} [no ${missing.join(", ")}]`, body);
  }
}

export type FreshDatabase = {
  /** Session connection as superuser. */
  readonly url: string;
  /** The same database through PgBouncer in transaction mode. */
  readonly pgbouncerUrl: string;
  /** Ends every connection to the database and removes it. */
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** An empty database of the test's own on the real Postgres. The Supabase roles are there, no extension is. */
export async function freshDatabase(): Promise<FreshDatabase> {
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  await asAdministrator((sql) => sql`create database ${sql(name)}`);
  const drop = async () => {
    await asAdministrator((sql) => sql`drop database if exists ${sql(name)} with (force)`);
  };
  return {
    url: onDatabase(serviceUrl("postgres"), name),
    pgbouncerUrl: onDatabase(serviceUrl("pgbouncer"), name),
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

async function asAdministrator(act: (sql: postgres.Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(serviceUrl("postgres"), { max: 1, onnotice: () => {} });
  try {
    await act(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

function onDatabase(url: string, name: string): string {
  const address = new URL(url);
  address.pathname = `/${name}`;
  return address.href;
}
