// Our queue as a contestant: real migrations, real documents, plain inserts as an application makes them.
import { randomUUID } from "node:crypto";
import { migrate } from "../../../worker/database/migrate.ts";
import type { SqlSession } from "../../../worker/database/sql-session.ts";
import { openHintSender } from "../../../worker/wake-buses/hint-sender.ts";
import { busConfig } from "./buses.ts";
import type { Contestant, Fill } from "./contestant.ts";
import { openSqlEnqueuer } from "./enqueue.ts";
import { withSession } from "./fresh-database.ts";

// One statement of more rows keeps the server busy without a word for longer than anybody wants to wait.
const ROWS_A_STATEMENT = 20_000;
// A finished job's document may have had many jobs; a waiting job has a document of its own.
const FINISHED_A_DOCUMENT = 100;

export const ours: Contestant = {
  name: "ours",
  program: new URL("./ours-process.ts", import.meta.url),
  async install(url) {
    await withSession(url, (session) => migrate(session));
  },
  async fill(url, fill) {
    await withSession(url, async (session) => {
      for (let left = fill.jobs; left > 0; left -= ROWS_A_STATEMENT) {
        await insert(session, { ...fill, jobs: Math.min(left, ROWS_A_STATEMENT) });
      }
    });
    return fill.jobs;
  },
  async openEnqueuer(url, upcoming) {
    const documents = await withSession(url, (session) =>
      session.query(
        `insert into public.rag_documents (tenant_id, title, source_uri, media_type)
         select tenant, 'Document', 'inline:upcoming', 'text/plain' from unnest($1::text[]) tenant
         returning id`,
        [upcoming.tenants],
      ),
    );
    const ids = documents.map((document) => String(document.id));
    const sql = "insert into public.rag_ingestion_queue (document_id) values ($1)";
    const enqueuer = await openSqlEnqueuer(url, sql, ids);
    // On Postgres the insert's trigger notifies; a broker is told by whoever enqueued, after the commit.
    const sender = await openHintSender(busConfig(upcoming), (failure) => {
      throw failure;
    });
    return {
      async next() {
        await enqueuer.next();
        sender.send({ jobId: null, documentId: null });
      },
      async close() {
        await Promise.all([enqueuer.close(), sender.close()]);
      },
    };
  },
};

/** Two statements: the queue's trigger looks for the document, and sees the tables as they were before its own. */
async function insert(session: SqlSession, fill: Fill): Promise<void> {
  const batch = `${randomUUID()}-`;
  const jobsADocument = fill.finished ? FINISHED_A_DOCUMENT : 1;
  await session.query(
    `insert into public.rag_documents (tenant_id, title, source_uri, media_type, external_id)
     select ($2::text[])[1 + n % array_length($2::text[], 1)], 'Document ' || n, 'inline:' || n, 'text/plain',
       $3::text || n
     from generate_series(1, $1::int) n`,
    [Math.ceil(fill.jobs / jobsADocument), fill.tenants ?? ["default"], batch],
  );
  const state = fill.finished ? `'complete', 1, now(), now()` : `'queued', null, null, null`;
  await session.query(
    `insert into public.rag_ingestion_queue
       (document_id, tenant_id, run_at, status, lease_token, started_at, completed_at)
     select d.id, d.tenant_id, now() + make_interval(secs => $1::int), ${state}
     from public.rag_documents d, generate_series(1, $2::int)
     where starts_with(d.external_id, $3::text)`,
    [fill.delaySeconds ?? 0, jobsADocument, batch],
  );
}
