-- Puts jobs back into the queue whose worker is gone: in psql, or in the Supabase SQL editor.
--   psql "$DATABASE_URL" -f scripts/reset-stuck-jobs.sql
-- Workers do this by themselves when a lease runs out; this is for the day on which none is left to do it.
--
-- Safe while a slow worker is still alive. A job that becomes 'queued' loses its lease token, and every write
-- of a worker, vectors included, is refused without the token that stands in the row: the late worker is told
-- that its lease is lost and changes nothing. A healthy worker is never robbed: it prolongs its leases and
-- touches its jobs at least every two minutes, also in the middle of a long document.

-- 1. The last ten jobs, as they stand. (The SQL editor shows only the last result: to see this one, select
--    the statement and run it alone.)
SELECT id, status, submitted_at, error_detail FROM rag_ingestion_queue ORDER BY submitted_at DESC LIMIT 10;

-- 2. Resets what nobody has touched for ten minutes, and what was held under a lease that has run out by a
--    worker without a sign of life. Shows what was reset, who held it, and since when it was silent.
--    The short form, for typing by hand, is as safe:
--    UPDATE rag_ingestion_queue SET status = 'queued' WHERE status = 'processing' AND updated_at < NOW() - INTERVAL '10 minutes';
with stuck as (
  select q.id, q.worker_id, q.updated_at
  from public.rag_ingestion_queue q
  where q.status = 'processing'
    and (
      q.updated_at < now() - interval '10 minutes'
      or (
        q.lease_expires_at < now()
        and not exists (
          select 1 from public.rag_workers w where w.worker_id = q.worker_id and w.alive_until >= now())))
  -- A row that is being settled at this moment is not stuck.
  for update skip locked)
update public.rag_ingestion_queue q
set status = 'queued'
from stuck
where q.id = stuck.id
returning q.id, q.status, q.document_id, q.attempts, q.max_attempts,
  stuck.worker_id as was_held_by, stuck.updated_at as silent_since;
