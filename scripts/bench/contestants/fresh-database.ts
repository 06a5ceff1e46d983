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
  return {
    url: own.href,
    withSession: (work) => withSession(own.href, work),
    drop: () => administer((sql) => sql`drop database ${sql(name)} with (force)`),
  };
}

export async function withSession<Result>(
  url: string,
  work: (session: SqlSession) => Promise<Result>,
): Promise<Result> {
  const session = await openPostgresSession({ url });
  return await work(session).finally(() => session.close());
}
