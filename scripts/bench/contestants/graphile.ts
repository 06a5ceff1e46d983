// graphile-worker as a contestant. Its jobs are deleted when they are done: it keeps no history, so there are
// no finished rows to put beside the waiting ones.
import { runMigrations } from "graphile-worker";
import type { Contestant } from "./contestant.ts";
import { openSqlEnqueuer } from "./enqueue.ts";
import { withSession } from "./fresh-database.ts";
import { silentLogger } from "./graphile-settings.ts";

const ROWS_A_STATEMENT = 20_000;

export const graphile: Contestant = {
  name: "graphile-worker",
  program: new URL("./graphile-process.ts", import.meta.url),
  async install(url) {
    await runMigrations({ connectionString: url, logger: silentLogger });
  },
  async fill(url, fill) {
    if (fill.finished) return 0;
    await withSession(url, async (session) => {
      for (let left = fill.jobs; left > 0; left -= ROWS_A_STATEMENT) {
        // A payload of a document's id and tenant, as an application would enqueue it.
        await session.query(
          `select count(*) from graphile_worker.add_jobs(array(
             select json_populate_record(null::graphile_worker.job_spec, json_build_object(
               'identifier', 'document', 'run_at', now() + make_interval(secs => $2::int),
               'payload', json_build_object('document_id', gen_random_uuid(),
                 'tenant', ($3::text[])[1 + n % array_length($3::text[], 1)])))
             from generate_series(1, $1::int) n))`,
          [Math.min(left, ROWS_A_STATEMENT), fill.delaySeconds ?? 0, fill.tenants ?? ["default"]],
        );
      }
    });
    return fill.jobs;
  },
  async openEnqueuer(url, upcoming) {
    return openSqlEnqueuer(
      url,
      "select graphile_worker.add_job('document', json_build_object('tenant', $1::text))",
      upcoming.tenants,
    );
  },
};
