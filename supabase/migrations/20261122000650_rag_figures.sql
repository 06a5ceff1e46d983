-- What /health, /metrics, `rag status` and `rag doctor` show: the queue in figures, what holds vacuum back, what
-- the server is; and the log view for applications.
-- These are asked every few seconds by every replica's monitor, so each figure is bounded in cost: counts stop at
-- 10,000 a part, and nothing reads the history except its newest 10,000 rows.

-- Called by rag_queue_stats. Who holds the vacuum horizon of this database back the furthest: a session's
-- snapshot or transaction, a prepared transaction, a replication slot. Dead rows that are younger stay.
-- seconds is null where this role may not see since when (it is no member of pg_read_all_stats), or where the
-- server does not tell (a slot, a standby). null when nobody holds it. Never the query's text.
-- Answers {kind, pid, name, state, seconds, transactions}: transactions is its age in transaction ids.
create or replace function public.rag_oldest_snapshot() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('kind', h.kind, 'pid', h.pid, 'name', h.name, 'state', h.state,
    'seconds', round(extract(epoch from now() - h.since)::numeric, 3), 'transactions', h.transactions)
  from (
    select case when a.backend_type = 'walsender' then 'standby' else 'session' end as kind, a.pid,
      a.application_name as name, coalesce(a.state, 'not visible') as state, a.xact_start as since,
      greatest(age(a.backend_xid), age(a.backend_xmin)) as transactions
    from pg_catalog.pg_stat_activity a
    where (a.backend_xid is not null or a.backend_xmin is not null)
      and a.pid <> pg_backend_pid()
      -- Another database's sessions hold only that one back; a standby's hold all of them.
      and (a.datname is null or a.datname = current_database())
      -- Vacuum's own do not count, and nobody should end them.
      and a.backend_type is distinct from 'autovacuum worker'
    union all
    select 'prepared', null, p.gid, 'prepared', p.prepared, age(p.transaction)
    from pg_catalog.pg_prepared_xacts p where p.database = current_database()
    union all
    select 'slot', s.active_pid, s.slot_name, case when s.active then 'active' else 'inactive' end, null,
      age(s.xmin)
    from pg_catalog.pg_replication_slots s where s.xmin is not null) h
  order by h.transactions desc, h.since nulls last
  limit 1
$$;

-- Called by `rag status`, `rag doctor`, /health and /metrics.
--   kinds         {kind: {queued, delayed, processing, oldest_queued_seconds}} of the kinds that have jobs; the counts
--                 are parts of those that follow
--   waiting       {reason: jobs} as rag_waiting_jobs names the reasons; capped: a part has 10,000 or more
--   last_day      of the jobs submitted in the last `seconds`: a day, or less where the newest 10,000 are younger
--   longest_processing_seconds  since the job at work was first begun that was begun first; null when none is
--   last_hour_complete  null when those do not reach back an hour
--   oldest_snapshot_seconds  0 when nobody holds vacuum back, null when this role cannot see it
-- Before the first ANALYZE of a new table the planner would read all of it (0.3 s a time for a million rows), and
-- compile the statement for seconds first; hence enable_seqscan and jit.
create or replace function public.rag_queue_stats() returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s'
  set enable_seqscan = off set jit = off as $$
  with ready as (
    select w.reason, w.kind, false as is_delayed from public.rag_waiting_jobs w
    where w.position is not null and w.waits_for is null limit 10000
  ), delayed as (
    select w.reason, w.kind, true as is_delayed from public.rag_waiting_jobs w where w.position is null limit 10000
  ), marked as (
    (select w.reason, w.kind, false as is_delayed from public.rag_waiting_jobs w
      where w.waits_for = 'document' limit 10000)
    union all
    (select w.reason, w.kind, false from public.rag_waiting_jobs w
      where w.waits_for in ('cap', 'pause') limit 10000)
  ), parts as (
    select (select count(*) from ready) as ready, (select count(*) from delayed) as delayed,
      (select count(*) from marked) as marked
  ), waiting as (
    select * from ready union all select * from delayed union all select * from marked
  ), at_work as materialized (
    select q.tenant_id, q.kind, q.started_at from public.rag_ingestion_queue q where q.status = 'processing'
  ), working as (
    select w.tenant_id, count(*) as jobs from at_work w group by w.tenant_id
  ), oldest as (
    -- The first of each priority are enough: the oldest of a tenant stand in front.
    select o.kind, round(extract(epoch from now() - min(o.run_at))::numeric, 3) as seconds
    from (select l.priority, public.rag_cell(('public.rag_queue_floor_' || l.priority)::regclass) as floor
      from generate_series(0, 9) as l(priority)) lane
    cross join lateral (
      select q.kind, q.run_at from public.rag_ingestion_queue q
      where q.status = 'queued' and q.position is not null and q.waits_for is null
        and q.priority = lane.priority::smallint
        and q.position >= lane.floor
      order by q.position limit 1000) o
    group by o.kind
  ), kinds as (
    select k.kind, count(*) filter (where k.is_delayed is not null) as queued,
      count(*) filter (where k.is_delayed) as delayed, count(*) filter (where k.is_delayed is null) as processing
    from (select w.kind, w.is_delayed from waiting w union all select a.kind, null from at_work a) k
    group by k.kind
  ), recent as materialized (
    select q.status, q.submitted_at, q.completed_at, q.processed_chunks, q.reused_chunks, q.tokens, q.cost_usd
    from public.rag_ingestion_queue q
    where q.submitted_at > now() - interval '1 day'
    order by q.submitted_at desc limit 10000
  ), seen as (
    select case when count(*) < 10000 then 86400 else extract(epoch from now() - min(r.submitted_at)) end as seconds
    from recent r
  ), held as (
    select public.rag_oldest_snapshot() as by
  )
  select jsonb_build_object(
    'queued', p.ready + p.delayed + p.marked,
    'delayed', p.delayed,
    'processing', (select coalesce(sum(w.jobs), 0) from working w),
    'waiting', (select coalesce(jsonb_object_agg(c.reason, c.jobs), '{}') from (
      select a.reason, count(*) as jobs from waiting a group by a.reason) c),
    'capped', greatest(p.ready, p.delayed, p.marked) >= 10000,
    'oldest_queued_seconds', (select max(o.seconds) from oldest o),
    'longest_processing_seconds', (select round(extract(epoch from now() - min(a.started_at))::numeric, 3)
      from at_work a),
    'kinds', (select coalesce(jsonb_object_agg(k.kind, jsonb_build_object('queued', k.queued, 'delayed', k.delayed,
        'processing', k.processing, 'oldest_queued_seconds', o.seconds)), '{}')
      from kinds k left join oldest o on o.kind = k.kind),
    'paused', (select coalesce(jsonb_agg(jsonb_build_object('scope', u.scope, 'name', u.name, 'reason', u.reason,
        'paused_at', u.paused_at) order by u.paused_at), '[]')
      from (select * from public.rag_pauses order by paused_at limit 100) u),
    'tenants_at_cap', (select coalesce(jsonb_agg(jsonb_build_object('tenant_id', c.tenant_id, 'jobs', c.jobs,
        'max_jobs', c.max_jobs) order by c.jobs desc, c.tenant_id), '[]')
      from (select w.tenant_id, w.jobs, t.max_jobs from working w
        join public.rag_tenants t on t.tenant_id = w.tenant_id and w.jobs >= t.max_jobs
        order by w.jobs desc limit 20) c),
    'last_day', (select jsonb_build_object(
        'complete', count(*) filter (where r.status = 'complete'),
        'failed', count(*) filter (where r.status = 'failed'),
        'cancelled', count(*) filter (where r.status = 'cancelled'),
        'chunks', coalesce(sum(r.processed_chunks) filter (where r.status = 'complete'), 0),
        'reused_chunks', coalesce(sum(r.reused_chunks) filter (where r.status = 'complete'), 0),
        'tokens', coalesce(sum(r.tokens), 0),
        'cost_usd', coalesce(sum(r.cost_usd), 0),
        'seconds', round(s.seconds, 3))
      from recent r),
    -- Of all replicas, in UTC, as last told.
    'today', (select jsonb_build_object('tokens', coalesce(sum(c.tokens), 0), 'cost_usd', coalesce(sum(c.cost_usd), 0))
      from public.rag_costs c where c.day = (now() at time zone 'UTC')::date),
    'last_hour_complete', case when s.seconds >= 3600 then (select count(*) from recent r
      where r.status = 'complete' and r.completed_at > now() - interval '1 hour') end,
    'workers', (select coalesce(jsonb_agg(jsonb_build_object('worker_id', w.worker_id, 'jobs', w.jobs,
        'started_at', w.started_at) order by w.started_at), '[]')
      from (select * from public.rag_workers where alive_until >= now() order by started_at limit 1000) w),
    'model', (select jsonb_build_object('model', m.model, 'dimensions', m.dimensions)
      from public.rag_models m where m.state = 'live'),
    'vectors', public.rag_vector_figures(),
    'dead_rows', pg_catalog.pg_stat_get_dead_tuples('public.rag_ingestion_queue'::regclass),
    'oldest_snapshot', h.by,
    'oldest_snapshot_seconds', case when h.by is null then 0 else (h.by ->> 'seconds')::numeric end)
  from parts p, seen s, held h
$$;

-- What `rag doctor` wants to know of the server, and what a worker checks at its start.
create or replace function public.rag_describe_database() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'postgres', current_setting('server_version'),
    'pgvector', (select e.extversion from pg_catalog.pg_extension e where e.extname = 'vector'),
    'role', current_user,
    'documents', (select count(*) from public.rag_documents),
    'live_chunks', (select coalesce(sum(g.chunk_count), 0) from public.rag_generations g
      join public.rag_documents d on d.id = g.document_id and d.live_generation = g.generation),
    'models', (select coalesce(jsonb_agg(jsonb_build_object('model', m.model, 'dimensions', m.dimensions,
      'quantisation', m.quantisation, 'state', m.state) order by m.created_at), '[]') from public.rag_models m
      -- As in rag_begin_generation: without a vector it binds nobody.
      where m.state = 'next' or exists (select 1 from public.rag_document_chunks c where c.embedding_model = m.name)),
    'vectors', public.rag_vector_figures(),
    'exposed', (
      -- Grants that should not be there: anything of ours that anon or authenticated may use.
      select coalesce(jsonb_agg(distinct x.name order by x.name), '[]')
      from (
        select g.table_name::text as name from information_schema.role_table_grants g
        where g.table_schema = 'public' and g.table_name like 'rag\_%'
          and g.grantee in ('anon', 'authenticated', 'PUBLIC')
        union all
        select g.routine_name::text from information_schema.role_routine_grants g
        where g.routine_schema = 'public' and g.routine_name like 'rag\_%'
          and g.grantee in ('anon', 'authenticated', 'PUBLIC')) x),
    'without_rls', (
      select coalesce(jsonb_agg(c.relname order by c.relname), '[]') from pg_catalog.pg_class c
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname like 'rag\_%'
        and not c.relrowsecurity))
$$;

-- One row a document, in the words of its last job.
create or replace view public.rag_ingestion_log with (security_invoker = true) as
select
  d.id as document_id, d.tenant_id, d.user_id, d.title, d.source_uri as file_path, d.byte_size as file_size,
  d.media_type as file_type, g.embedding_model, g.chunk_size, g.chunk_overlap,
  case q.status when 'processing' then 'processing' when 'queued' then 'pending'
    when 'complete' then 'completed' when 'failed' then 'failed'
    else case d.status when 'ingested' then 'completed' when 'failed' then 'failed' else 'pending' end
  end as status,
  coalesce(q.total_chunks, g.chunk_count) as total_chunks,
  case when q.status in ('processing', 'complete') then q.processed_chunks else coalesce(g.chunk_count, 0) end
    as processed_chunks,
  q.error_detail as last_error, greatest(coalesce(q.attempts, 0) - 1, 0) as retry_count, q.started_at,
  d.ingested_at as processed_at
from public.rag_documents d
left join lateral (
  select * from public.rag_ingestion_queue j
  where j.document_id = d.id and j.kind = 'document' and j.status <> 'cancelled'
  order by j.submitted_at desc limit 1) q on true
left join public.rag_generations g
  on g.document_id = d.id and g.generation = coalesce(q.generation, d.live_generation);
