// The floor under every pickup: a table, a trigger that notifies, and a worker that LISTENs and claims by hand.
// No fence, no history, no retry, no fairness: what is left is the network and the commit.
import type { Contestant } from "./contestant.ts";
import { openSqlEnqueuer } from "./enqueue.ts";
import { withSession } from "./fresh-database.ts";

export const bare: Contestant = {
  name: "bare",
  program: new URL("./bare-process.ts", import.meta.url),
  async install(url) {
    await withSession(url, (session) =>
      session.script(`
        create table bare_jobs (id bigint generated always as identity primary key, tenant text not null,
          claimed boolean not null default false);
        create function bare_tell() returns trigger language plpgsql as
          $$ begin perform pg_notify('bare', ''); return null; end $$;
        create trigger bare_tell after insert on bare_jobs for each statement execute function bare_tell();`),
    );
  },
  async fill(url, fill) {
    await withSession(url, (session) =>
      session.query("insert into bare_jobs (tenant) select 'default' from generate_series(1, $1::int)", [
        fill.jobs,
      ]),
    );
    return fill.jobs;
  },
  openEnqueuer: (url, upcoming) =>
    openSqlEnqueuer(url, "insert into bare_jobs (tenant) values ($1)", upcoming.tenants),
};
