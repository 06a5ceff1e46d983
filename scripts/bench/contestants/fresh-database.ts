// A database of its own for every run, thrown away afterwards: no run profits from another's warm pages or
// suffers from its dead rows.
import { randomUUID } from "node:crypto";
import postgres from "postgres";
import { openPostgresSession } from "../../../worker/database/postgres-session.ts";
import type { SqlSession } from "../../../worker/database/sql-session.ts";

export type FreshDatabase = {
  readonly url: string;
  withSession<Result>(work: (session: SqlSession) => Promise<Result>): Promise<Result>;
  drop(): Promise<void>;
};

/** Throws a sentence when DATABASE_URL is not set. */
export async function createDatabase(): Promise<FreshDatabase> {
  const server = process.env.DATABASE_URL;
  if (!server)
    throw new Error("Set DATABASE_URL to a Postgres with pgvector on which databases may be created.");
  const name = `bench_${randomUUID().replaceAll("-", "").slice(0, 12)}`;
  const administer = async (act: (sql: postgres.Sql) => Promise<unknown>) => {
    const sql = postgres(server, { max: 1, onnotice: () => {} });
    await act(sql).finally(() => sql.end());
  };
  await administer((sql) => sql`create database ${sql(name)}`);
  const own = new URL(server);
  own.pathname = `/${name}`;
  const database: FreshDatabase = {
    url: own.href,
    withSession: (work) => withSession(own.href, work),
    async drop() {
      standing.delete(database);
      await administer((sql) => sql`drop database if exists ${sql(name)} with (force)`);
    },
  };
  if (standing.size === 0) dropWhenInterrupted();
  standing.add(database);
  return database;
}

const standing = new Set<FreshDatabase>();

/** A bench that is interrupted must not leave the server at work on a statement that nobody waits for. */
function dropWhenInterrupted(): void {
  const drop = async () => {
    await Promise.allSettled([...standing].map((database) => database.drop()));
    process.exit(130);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.removeAllListeners(signal);
    process.once(signal, () => void drop());
  }
}

export async function withSession<Result>(
  url: string,
  work: (session: SqlSession) => Promise<Result>,
): Promise<Result> {
  const session = await openPostgresSession({ url });
  return await work(session).finally(() => session.close());
}
