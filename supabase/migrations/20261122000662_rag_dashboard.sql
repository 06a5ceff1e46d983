-- What the dashboard shows and asks: figures, jobs page by page, a document with its chunks; and what replicas tell
-- of their minutes, for the plots. Each answer is bounded in cost however long the history is: an update is read
-- every two seconds for as long as somebody looks (npm run bench -- dashboard).

-- What each replica did in each of its minutes. A plot of the last hour reads 60 rows a replica here, where the jobs
-- themselves may be a million.
create table if not exists public.rag_throughput (
  worker_id text not null,
  -- Counted by the replica since its start.
  minute integer not null check (minute >= 0),
  -- When it was first told of, by the database's clock.
  at timestamptz not null default now(),
  complete integer not null,
  failed integer not null,
  retried integer not null,
  chunks bigint not null,
  -- How many of the completed jobs took so long, from claim to end: the limits are the worker's (DURATION_LIMITS_MS).
  durations integer[] not null,
  primary key (worker_id, minute)
) with (fillfactor = 50); -- six HOT updates a minute
create index if not exists rag_throughput_time on public.rag_throughput (at);

-- Operators look for failures in a long history of successes. Only a failure writes here.
create index if not exists rag_queue_failed on public.rag_ingestion_queue (submitted_at, id)
  where status = 'failed';

-- Called by each replica every few seconds while it has something to tell. p_told: the running figures of one of its
-- minutes, {minute, complete, failed, retried, chunks, durations}; as they only rise, one sent twice changes
-- nothing. Rows of two days ago and older go, at most 1,000 a call.
create or replace function public.rag_tell_throughput(p_worker text, p_told jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.rag_throughput as t (worker_id, minute, complete, failed, retried, chunks, durations)
  select p_worker, m.minute, m.complete, m.failed, m.retried, m.chunks, m.durations
  from jsonb_to_record(p_told) as m(minute integer, complete integer, failed integer, retried integer,
    chunks bigint, durations integer[])
  on conflict (worker_id, minute) do update
  set complete = excluded.complete, failed = excluded.failed, retried = excluded.retried,
      chunks = excluded.chunks, durations = excluded.durations
  -- One that was overtaken on its way is older.
  where t.complete + t.failed + t.retried <= excluded.complete + excluded.failed + excluded.retried;
  delete from public.rag_throughput t
  where (t.worker_id, t.minute) in (
    select o.worker_id, o.minute from public.rag_throughput o
    where o.at < now() - interval '2 days' limit 1000 for update skip locked);
end $$;

-- Called by the dashboard every two seconds while somebody looks. Counts stop at 10,000 a part (`capped`).
--   waiting   ready, delayed, behind (another job of the same document), held (a cap or a pause)
--   working   at most 100 jobs, the longest at work first
--   failures  the five that were submitted last of those that failed
--   hour      the last 60 minutes by age in minutes: [{age, complete, failed, retried, chunks, durations}]
--   day       what came of the jobs that ended in the last 24 hours
-- today, dead_rows, oldest_snapshot and oldest_snapshot_seconds as in rag_queue_stats.
-- In PL/pgSQL, which plans it once a session and not each time: half of what it took.
create or replace function public.rag_dashboard_figures() returns jsonb
language plpgsql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off set jit = off
  set max_parallel_workers_per_gather = 0 as $$
begin
  return (with waiting as (
    select
      (select count(*) from (select 1 from public.rag_ingestion_queue q
        where q.status = 'queued' and q.position is not null and q.waits_for is null limit 10000) x) as ready,
      (select count(*) from (select 1 from public.rag_ingestion_queue q
        where q.status = 'queued' and q.position is null limit 10000) x) as delayed,
      (select count(*) from (select 1 from public.rag_ingestion_queue q
        where q.status = 'queued' and q.waits_for = 'document' limit 10000) x) as behind,
      (select count(*) from (select 1 from public.rag_ingestion_queue q
        where q.status = 'queued' and q.waits_for in ('cap', 'pause') limit 10000) x) as held
  ), hour as materialized (
    select floor(extract(epoch from now() - t.at) / 60)::integer as age, t.complete, t.failed, t.retried, t.chunks,
      t.durations
    from public.rag_throughput t where t.at > now() - interval '60 minutes' limit 20000
  ), held as (
    select public.rag_oldest_snapshot() as by
  )
  select jsonb_build_object(
    'waiting', jsonb_build_object('ready', w.ready, 'delayed', w.delayed, 'behind', w.behind, 'held', w.held),
    'capped', greatest(w.ready, w.delayed, w.behind, w.held) >= 10000,
    'processing', (select count(*) from (
      select 1 from public.rag_ingestion_queue q where q.status = 'processing' limit 10000) x),
    -- As in rag_queue_stats: the oldest of a tenant stand in front.
    'oldest_queued_seconds', (select round(extract(epoch from now() - min(o.run_at))::numeric, 3)
      from (select l.priority, public.rag_cell(('public.rag_queue_floor_' || l.priority)::regclass) as floor
        from generate_series(0, 9) as l(priority)) lane
      cross join lateral (
        select q.run_at from public.rag_ingestion_queue q
        where q.status = 'queued' and q.position is not null and q.waits_for is null
          and q.priority = lane.priority::smallint and q.position >= lane.floor
        order by q.position limit 200) o),
    'paused', (select coalesce(jsonb_agg(jsonb_build_object('scope', u.scope, 'name', u.name, 'reason', u.reason,
        'paused_at', u.paused_at) order by u.paused_at), '[]')
      from (select * from public.rag_pauses order by paused_at limit 100) u),
    'workers', (select coalesce(jsonb_agg(jsonb_build_object('worker_id', k.worker_id, 'jobs', k.jobs,
        'kinds', k.kinds, 'seconds', round(extract(epoch from now() - k.started_at))) order by k.started_at), '[]')
      from (select * from public.rag_workers where alive_until >= now() order by started_at limit 200) k),
    'working', (select coalesce(jsonb_agg(to_jsonb(j) order by j.seconds desc), '[]') from (
      select q.id, q.kind, q.document_id, d.title, d.source_uri, q.tenant_id, q.worker_id, q.stage, q.attempts,
        q.processed_segments, q.total_segments, q.processed_chunks, q.total_chunks, q.reused_chunks,
        round(extract(epoch from now() - q.started_at)::numeric, 1) as seconds
      from public.rag_ingestion_queue q left join public.rag_documents d on d.id = q.document_id
      where q.status = 'processing' order by q.started_at limit 100) j),
    'failures', (select coalesce(jsonb_agg(to_jsonb(f) order by f.submitted_at desc), '[]') from (
      select q.id, q.kind, d.title, d.source_uri, q.tenant_id, q.error_code, q.submitted_at,
        round(extract(epoch from now() - q.completed_at)::numeric) as seconds
      from public.rag_ingestion_queue q left join public.rag_documents d on d.id = q.document_id
      where q.status = 'failed' order by q.submitted_at desc, q.id desc limit 5) f),
    'hour', (select coalesce(jsonb_agg(to_jsonb(m) || jsonb_build_object('durations', s.durations) order by m.age), '[]')
      from (select h.age, sum(h.complete) as complete, sum(h.failed) as failed, sum(h.retried) as retried,
          sum(h.chunks) as chunks from hour h where h.age between 0 and 59 group by h.age) m
      left join (select c.age, jsonb_agg(c.jobs order by c.place) as durations from (
          select h.age, u.place, sum(u.jobs) as jobs
          from hour h cross join unnest(h.durations) with ordinality as u(jobs, place) group by 1, 2) c
        group by c.age) s on s.age = m.age),
    'day', (select jsonb_build_object('complete', coalesce(sum(t.complete), 0), 'failed', coalesce(sum(t.failed), 0),
        'retried', coalesce(sum(t.retried), 0), 'chunks', coalesce(sum(t.chunks), 0))
      from (select * from public.rag_throughput where at > now() - interval '1 day' limit 20000) t),
    'today', (select jsonb_build_object('tokens', coalesce(sum(c.tokens), 0), 'cost_usd', coalesce(sum(c.cost_usd), 0))
      from public.rag_costs c where c.day = (now() at time zone 'UTC')::date),
    'model', (select jsonb_build_object('model', m.model, 'dimensions', m.dimensions)
      from public.rag_models m where m.state = 'live'),
    'dead_rows', pg_catalog.pg_stat_get_dead_tuples('public.rag_ingestion_queue'::regclass),
    'oldest_snapshot', h.by,
    'oldest_snapshot_seconds', case when h.by is null then 0 else (h.by ->> 'seconds')::numeric end)
  from waiting w, held h);
end $$;

-- Called by the dashboard. One page of the jobs that a filter means, newest first (rag_walk_jobs, for 0.3 s).
-- Answers {jobs, next, looked_back_to}: next is the place to go on from, {before, before_id}, null at the end;
-- looked_back_to is set where the page is not full for want of time. waits_for is in words.
create or replace function public.rag_browse_jobs(
  p_filter jsonb default '{}', p_limit integer default 50,
  p_before timestamptz default null, p_before_id uuid default null) returns jsonb
language plpgsql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off set jit = off as $$
declare
  v_most integer := greatest(1, least(p_limit, 200));
  v_walk jsonb := public.rag_walk_jobs(p_filter, v_most, p_before, p_before_id, 300);
  v_jobs jsonb;
begin
  v_jobs := (
    select coalesce(jsonb_agg(jsonb_build_object('id', q.id, 'kind', q.kind, 'document_id', q.document_id,
        'title', d.title, 'source_uri', d.source_uri, 'tenant_id', q.tenant_id, 'status', q.status, 'stage', q.stage,
        'priority', q.priority, 'attempts', q.attempts, 'max_attempts', q.max_attempts, 'worker_id', q.worker_id,
        'total_segments', q.total_segments, 'processed_segments', q.processed_segments,
        'total_chunks', q.total_chunks, 'processed_chunks', q.processed_chunks, 'reused_chunks', q.reused_chunks,
        'rejected_chunks', q.rejected_chunks, 'cost_usd', q.cost_usd, 'error_code', q.error_code,
        'error_detail', left(q.error_detail, 500), 'submitted_at', q.submitted_at, 'started_at', q.started_at,
        'completed_at', q.completed_at, 'run_at', q.run_at,
        'waits_for', case when q.status = 'queued' then public.rag_wait_in_words(q.id,
          (select w.reason from public.rag_waiting_jobs w where w.id = q.id)) end) order by i.place), '[]')
    from jsonb_array_elements_text(v_walk -> 'ids') with ordinality as i(id, place)
    join public.rag_ingestion_queue q on q.id = i.id::uuid
    left join public.rag_documents d on d.id = q.document_id);
  return jsonb_build_object('jobs', v_jobs, 'looked_back_to', v_walk -> 'looked_back_to', 'next', case
    when jsonb_array_length(v_jobs) >= v_most then
      jsonb_build_object('before', v_jobs -> -1 -> 'submitted_at', 'before_id', v_jobs -> -1 -> 'id')
    when v_walk ->> 'looked_back_to' is not null then
      jsonb_build_object('before', v_walk -> 'looked_back_to', 'before_id', null) end);
end $$;

-- Called by operators. queued -> queued, with another priority (9 goes first) and the place that goes with it.
-- p_limit as in rag_cancel_jobs. Answers {prioritised}; with p_dry_run {would_prioritise}, and nothing changes.
create or replace function public.rag_prioritise_jobs(
  p_filter jsonb, p_priority integer, p_dry_run boolean default false, p_limit integer default null) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_meant text := public.rag_jobs_meant(p_filter) || ' and q.status = ''queued'' and q.priority <> $2';
  v_count integer;
begin
  if p_priority is null or p_priority not between 0 and 9 then
    raise exception 'A priority is a number from 0 to 9.' using errcode = '22023';
  elsif p_dry_run then
    execute format('select count(*) %s', v_meant) into v_count using p_filter, p_priority;
    return jsonb_build_object('would_prioritise', v_count);
  end if;
  execute format($q$
  with moved as (
    update public.rag_ingestion_queue q set priority = $2, updated_at = now()
    where q.status = 'queued' and q.id in (select q.id %s limit $3)
    returning 1)
  select count(*) from moved $q$, v_meant) into v_count using p_filter, p_priority, p_limit;
  return jsonb_build_object('prioritised', v_count);
end $$;

-- Called by the dashboard. One document with what readers see of it, and its last ten jobs. null when there is none.
create or replace function public.rag_describe_document(p_document_id uuid) returns jsonb
language sql stable set search_path = '' set enable_seqscan = off set jit = off as $$
  select to_jsonb(d) || jsonb_build_object('metadata', d.metadata - 'password',
    'live', (select jsonb_build_object('generation', g.generation, 'model', g.embedding_model,
        'dimensions', g.dimensions, 'strategy', g.strategy, 'chunk_size', g.chunk_size,
        'chunk_overlap', g.chunk_overlap, 'chunks', g.chunk_count, 'segments', g.segment_count)
      from public.rag_generations g where g.document_id = d.id and g.generation = d.live_generation),
    'jobs', (select coalesce(jsonb_agg(to_jsonb(j) order by j.submitted_at desc), '[]') from (
      select q.id, q.kind, q.status, q.error_code, q.submitted_at, q.started_at, q.completed_at, q.processed_chunks,
        q.reused_chunks, q.tokens, q.cost_usd
      from public.rag_ingestion_queue q where q.document_id = d.id order by q.submitted_at desc limit 10) j))
  from public.rag_documents d where d.id = p_document_id
$$;

-- Called by the dashboard. Chunks of a document's live generation in order, after the one with the index p_after; at
-- most 200. Answers [{chunk_index, content, page_number, section, token_count, char_start, char_end, speaker,
-- started_ms}]; of a long chunk the first 4,000 characters.
create or replace function public.rag_list_chunks(
  p_document_id uuid, p_after integer default -1, p_limit integer default 50) returns jsonb
language sql stable set search_path = '' set enable_seqscan = off set jit = off as $$
  select coalesce(jsonb_agg(to_jsonb(m) order by m.chunk_index), '[]') from (
    select c.chunk_index, left(c.content, 4000) as content, c.page_number, c.section, c.token_count, c.char_start,
      c.char_end, c.speaker, c.started_ms
    from public.rag_documents d
    join public.rag_document_chunks c on c.document_id = d.id and c.generation = d.live_generation
    where d.id = p_document_id and c.chunk_index > p_after
    order by c.chunk_index limit greatest(1, least(p_limit, 200))) m
$$;
