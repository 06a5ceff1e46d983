// What a run that does not come to its end says of the jobs that are left: without it nobody can tell why.
import type postgres from "postgres";
import type { History } from "./history.ts";

const MOST = 5;

/** The rows as they stand, the lanes they wait in, and every session that could hold them. */
export async function describeLeftover(sql: postgres.Sql): Promise<readonly string[]> {
  const rows = await sql`
    select to_jsonb(q) - 'errors' as row, q.errors -> -1 as last_error, q.locked_by,
      public.rag_cell(('public.rag_queue_clock_' || q.priority)::regclass)::text as clock,
      public.rag_cell(('public.rag_queue_floor_' || q.priority)::regclass)::text as floor,
      (select row_to_json(w) from public.rag_workers w where w.worker_id = q.worker_id) as worker
    from (select r.*, r.xmax::text as locked_by from public.rag_ingestion_queue r where r.status in ('queued', 'processing')
      order by r.run_at limit ${MOST}) q`.catch((thrown: unknown) => [{ unread: String(thrown) }]);
  const sessions = await sql`
    select a.pid, a.state, a.application_name, a.backend_xid::text, a.wait_event, clock_timestamp() - a.xact_start as since,
      left(a.query, 120) as query
    from pg_stat_activity a where a.datname = current_database() and a.pid <> pg_backend_pid()`;
  const floors = await sql`
    select public.rag_cell('public.rag_queue_floor_10')::text as delayed_floor,
      public.rag_cell('public.rag_queue_marked_at')::text as marked_at,
      public.rag_cell('public.rag_queue_checked_at')::text as checked_at,
      floor(extract(epoch from clock_timestamp()) * 1000)::text as now`;
  return [...rows, ...floors, ...sessions].map((row) => JSON.stringify(row));
}

/** The last entries of a job, as one line. */
export const lastOf = (history: History, jobId: string): string =>
  JSON.stringify(history.filter((entry) => "job_id" in entry && entry.job_id === jobId).slice(-12));
