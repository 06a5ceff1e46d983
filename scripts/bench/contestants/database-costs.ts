// What a run cost the database, read from the server's own counters of that one database.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { SqlSession } from "../../../worker/database/sql-session.ts";

export type DatabaseCosts = {
  readonly transactions: number;
  readonly inserted: number;
  readonly updated: number;
  /** Of the updated: those that touched no index. */
  readonly hot: number;
  readonly deleted: number;
};

const count = z.coerce.number();
const row = z.object({
  transactions: count,
  inserted: count,
  updated: count,
  hot: count,
  deleted: count,
});

// Backends hand in their counters when they end, at the latest.
const MOST_LOOKS = 100;
const LOOK_MS = 50;

/** The counters so far. Waits until every other session of the database has ended, and has counted. */
export async function readCosts(session: SqlSession): Promise<DatabaseCosts> {
  for (let looks = 0; looks < MOST_LOOKS; looks += 1) {
    const others = await session.query(
      `select 1 from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
    );
    if (others.length === 0) break;
    await sleep(LOOK_MS);
  }
  await session.query("select pg_stat_force_next_flush()");
  const [counted] = await session.query(
    `select (select xact_commit from pg_stat_database where datname = current_database()) as transactions,
       sum(n_tup_ins) as inserted, sum(n_tup_upd) as updated, sum(n_tup_hot_upd) as hot,
       sum(n_tup_del) as deleted
     from pg_stat_user_tables`,
  );
  return row.parse(counted);
}

export function costsBetween(before: DatabaseCosts, after: DatabaseCosts): DatabaseCosts {
  return {
    transactions: after.transactions - before.transactions,
    inserted: after.inserted - before.inserted,
    updated: after.updated - before.updated,
    hot: after.hot - before.hot,
    deleted: after.deleted - before.deleted,
  };
}
