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

-- 2. Resets what nobody has touched for ten minutes (600 seconds; 180 at least), and what was held under a lease
--    that has run out by a worker without a sign of life. Shows what was reset, who held it, and since when it was
--    silent; at most 1,000, so run it again when there are as many.
--    The short form, for typing by hand, is as safe:
--    UPDATE rag_ingestion_queue SET status = 'queued' WHERE status = 'processing' AND updated_at < NOW() - INTERVAL '10 minutes';
select * from public.rag_reset_stuck(600);
