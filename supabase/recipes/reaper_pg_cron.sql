-- Optional: the database itself puts jobs back whose worker is gone. Workers do this for each other, so this is for
-- projects in which all of them may be down at once and somebody still watches the queue: jobs then go back to
-- 'queued' (or end as failed, when their attempts are spent) instead of standing at 'processing' until a worker is
-- back. It does no work by itself, and is as safe as the workers' own: who comes back late is told lease_lost.
--
-- Needs the extension pg_cron (Supabase: Database > Extensions > pg_cron). Run this once, in the database that
-- holds the queue; running it again changes nothing.
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f supabase/recipes/reaper_pg_cron.sql
--
-- To look:  select * from cron.job where jobname like 'rag-%';
--           select * from cron.job_run_details order by start_time desc limit 5;
-- To stop:  select cron.unschedule('rag-reap'); select cron.unschedule('rag-forget-runs');

do $$
begin
  if to_regprocedure('cron.schedule(text, text, text)') is null then
    raise exception 'pg_cron is not installed in this database. Enable it first: create extension pg_cron;';
  end if;
  if to_regprocedure('public.rag_reap(integer)') is null then
    raise exception 'The schema of the worker is not in this database. Run: npm run rag -- migrate';
  end if;
end $$;

-- Once a minute: a lease is a minute long by default, and nobody is waiting for seconds on such a day. A job by
-- this name that is there already is replaced.
select cron.schedule('rag-reap', '* * * * *', 'select public.rag_reap(1000)');

-- pg_cron keeps a row for each run and never deletes one: 1,440 a day.
select cron.schedule('rag-forget-runs', '17 3 * * *',
  $$delete from cron.job_run_details d using cron.job j
    where j.jobid = d.jobid and j.jobname like 'rag-%' and d.end_time < now() - interval '7 days'$$);
