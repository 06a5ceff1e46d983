-- What operators ask and do: figures, lists, cancel, requeue, garbage; and the log view for applications.

-- Called by `rag status`, /health and /metrics. A few index look-ups, however long the history is.
create or replace function public.rag_queue_stats() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    -- Each half has an index of its own; together they would read the whole history.
    'queued', (select count(*) from public.rag_ingestion_queue q
        where q.status = 'queued' and q.position is not null)
      + (select count(*) from public.rag_ingestion_queue q where q.status = 'queued' and q.position is null),
    'delayed', (select count(*) from public.rag_ingestion_queue q
      where q.status = 'queued' and q.position is null),
    'processing', (select count(*) from public.rag_ingestion_queue q where q.status = 'processing'),
    'oldest_queued_seconds', (select extract(epoch from now() - min(q.run_at))
      from public.rag_ingestion_queue q where q.status = 'queued' and q.position is not null),
    'last_day', (select jsonb_build_object(
        'complete', count(*) filter (where q.status = 'complete'),
        'failed', count(*) filter (where q.status = 'failed'),
        'cancelled', count(*) filter (where q.status = 'cancelled'),
        'chunks', coalesce(sum(q.processed_chunks) filter (where q.status = 'complete'), 0),
        'reused_chunks', coalesce(sum(q.reused_chunks) filter (where q.status = 'complete'), 0),
        'tokens', coalesce(sum(q.tokens), 0),
        'cost_usd', coalesce(sum(q.cost_usd), 0))
      from public.rag_ingestion_queue q where q.submitted_at > now() - interval '1 day'),
    'last_hour_complete', (select count(*) from public.rag_ingestion_queue q
      where q.submitted_at > now() - interval '1 day' and q.status = 'complete'
        and q.completed_at > now() - interval '1 hour'),
    'workers', (select coalesce(jsonb_agg(jsonb_build_object('worker_id', w.worker_id, 'jobs', w.jobs,
        'started_at', w.started_at) order by w.started_at), '[]')
      from public.rag_workers w where w.alive_until >= now()),
    'model', (select jsonb_build_object('model', m.model, 'dimensions', m.dimensions)
      from public.rag_models m where m.state = 'live'))
$$;

-- The rows a filter means: {job_ids, document_ids, status, kind, tenant_id, collection, error_code, worker_id,
-- older_than_seconds (since the last touch)}. An empty filter means every job.
create or replace function public.rag_filter_jobs(p_filter jsonb) returns setof public.rag_ingestion_queue
language sql stable set search_path = '' as $$
  select q.* from public.rag_ingestion_queue q
  where (not p_filter ? 'job_ids' or q.id = any (public.rag_text_array(p_filter -> 'job_ids')::uuid[]))
    and (not p_filter ? 'document_ids'
      or q.document_id = any (public.rag_text_array(p_filter -> 'document_ids')::uuid[]))
    and (not p_filter ? 'status' or q.status = any (public.rag_text_array(p_filter -> 'status')))
    and (not p_filter ? 'kind' or q.kind = p_filter ->> 'kind')
    and (not p_filter ? 'tenant_id' or q.tenant_id = p_filter ->> 'tenant_id')
    and (not p_filter ? 'error_code' or q.error_code = p_filter ->> 'error_code')
    and (not p_filter ? 'worker_id' or q.worker_id = p_filter ->> 'worker_id')
    and (not p_filter ? 'collection' or exists (select 1 from public.rag_documents d
      where d.id = q.document_id and d.collection = p_filter ->> 'collection'))
    and (not p_filter ? 'older_than_seconds'
      or q.updated_at < now() - make_interval(secs => (p_filter ->> 'older_than_seconds')::double precision))
$$;

create or replace function public.rag_check_job_filter(p_filter jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  perform public.rag_check_request(p_filter, array['job_ids', 'document_ids', 'status', 'kind', 'tenant_id',
    'collection', 'error_code', 'worker_id', 'older_than_seconds']);
  return p_filter;
end $$;

-- Called by `rag jobs` and applications. Newest first; p_limit at most 1,000.
create or replace function public.rag_list_jobs(p_filter jsonb default '{}', p_limit integer default 20)
returns table (id uuid, kind text, document_id uuid, title text, source_uri text, tenant_id text, status text,
  stage text, priority smallint, attempts integer, max_attempts integer, run_at timestamptz, worker_id text,
  total_segments integer, processed_segments integer, total_chunks integer, processed_chunks integer,
  reused_chunks integer, tokens bigint, cost_usd numeric, error_code text, error_detail text,
  submitted_at timestamptz, started_at timestamptz, updated_at timestamptz, completed_at timestamptz)
language plpgsql stable set search_path = '' as $$
begin
  -- Planned with the filter's values in sight: what it does not name costs nothing.
  perform public.rag_check_job_filter(p_filter);
  return query execute $q$
  select q.id, q.kind, q.document_id, d.title, d.source_uri, q.tenant_id, q.status, q.stage, q.priority,
    q.attempts, q.max_attempts, q.run_at, q.worker_id, q.total_segments, q.processed_segments, q.total_chunks,
    q.processed_chunks, q.reused_chunks, q.tokens, q.cost_usd, q.error_code, q.error_detail, q.submitted_at,
    q.started_at, q.updated_at, q.completed_at
  from public.rag_filter_jobs($1) q
  left join public.rag_documents d on d.id = q.document_id
  order by q.submitted_at desc, q.id limit least($2, 1000) $q$
  using p_filter, p_limit;
end $$;

-- Called by `rag job ID` and whoever follows a job. One job with its document, its error history, and why it
-- waits, in words. null when there is none.
create or replace function public.rag_describe_job(p_job_id uuid) returns jsonb
language sql stable set search_path = '' as $$
  select to_jsonb(q) - array['lease_token', 'position'] || jsonb_build_object(
    'document', case when d.id is not null then public.rag_document_json(d)
      || jsonb_build_object('status', d.status, 'byte_size', d.byte_size, 'content_sha256', d.content_sha256) end,
    'waits_for', case
      when q.status = 'queued' and q.position is null and q.run_at > now() and q.error_code is not null
        then format('the next try in %s s, after %s', ceil(extract(epoch from q.run_at - now())), q.error_code)
      when q.status = 'queued' and q.position is null and q.run_at > now()
        then format('its time, in %s s', ceil(extract(epoch from q.run_at - now())))
      when q.status = 'queued' and exists (select 1 from public.rag_ingestion_queue w
        where w.document_id = q.document_id and w.status = 'processing' and w.id <> q.id)
        then 'the job that works on the same document'
      when q.status = 'queued' and not exists (select 1 from public.rag_workers w where w.alive_until >= now())
        then 'a worker: none is running'
      when q.status = 'queued' then format('a free slot; %s jobs stand before it', (
        select count(*) from public.rag_ingestion_queue o
        where o.status = 'queued' and o.position is not null
          and (o.priority > q.priority or o.priority = q.priority and o.position < q.position)))
      end)
  from public.rag_ingestion_queue q
  left join public.rag_documents d on d.id = q.document_id
  where q.id = p_job_id
$$;

-- Called by operators. queued or processing -> cancelled; the worker of a running one is told lease_lost.
-- Answers {cancelled}.
create or replace function public.rag_cancel_jobs(p_filter jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  with cancelled as (
    update public.rag_ingestion_queue q
    set status = 'cancelled', error_code = 'job.cancelled', error_detail = 'The job was cancelled.',
        lease_token = null, lease_expires_at = null, updated_at = now(), completed_at = now()
    where q.status in ('queued', 'processing')
      and q.id in (select f.id from public.rag_filter_jobs(public.rag_check_job_filter(p_filter)) f
        where f.status in ('queued', 'processing'))
    returning 1)
  select count(*) into v_count from cancelled;
  return jsonb_build_object('cancelled', v_count);
end $$;

-- Called by operators. failed, cancelled or processing -> queued, with all attempts again; the worker of a
-- running one is told lease_lost. A finished job whose document has a waiting one already is left alone.
-- Answers {requeued}.
create or replace function public.rag_requeue_jobs(p_filter jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  with meant as (
    -- One job a document is enough, the newest.
    select distinct on (coalesce(f.document_id, f.id), f.kind) f.id
    from public.rag_filter_jobs(public.rag_check_job_filter(p_filter)) f
    where f.status in ('failed', 'cancelled', 'processing')
      -- What came later counts: a job that waits, works or is done makes an older failure history.
      and not exists (select 1 from public.rag_ingestion_queue o where o.document_id = f.document_id
        and o.kind = f.kind and o.id <> f.id
        and (o.status = 'queued' or o.status in ('processing', 'complete') and o.submitted_at >= f.submitted_at))
    order by coalesce(f.document_id, f.id), f.kind, f.submitted_at desc
  ), requeued as (
    update public.rag_ingestion_queue q set status = 'queued', attempts = 0
    from meant m where q.id = m.id and q.status in ('failed', 'cancelled', 'processing')
    returning 1)
  select count(*) into v_count from requeued;
  return jsonb_build_object('requeued', v_count);
end $$;

-- Called by every replica when it has time. Removes what no reader can see any more: chunks and segments of
-- dead generations, and originals whose document is ingested and has no job left. About p_limit rows a call.
-- Answers {chunks, segments, generations, originals}.
create or replace function public.rag_collect_garbage(p_limit integer, p_keep_originals boolean) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_dead record;
  v_count integer;
  v_chunks integer := 0;
  v_segments integer := 0;
  v_generations integer := 0;
  v_originals integer := 0;
begin
  for v_dead in
    select g.document_id, g.generation from public.rag_generations g
    where g.state = 'dead' limit 100
    for update skip locked
  loop
    exit when v_chunks + v_segments >= p_limit;
    delete from public.rag_document_chunks c
    where c.document_id = v_dead.document_id and c.generation = v_dead.generation
      and c.chunk_index in (
        select o.chunk_index from public.rag_document_chunks o
        where o.document_id = v_dead.document_id and o.generation = v_dead.generation limit p_limit);
    get diagnostics v_count = row_count;
    v_chunks := v_chunks + v_count;
    continue when v_count >= p_limit;
    delete from public.rag_segments s
    where s.document_id = v_dead.document_id and s.generation = v_dead.generation;
    get diagnostics v_count = row_count;
    v_segments := v_segments + v_count;
    delete from public.rag_generations g
    where g.document_id = v_dead.document_id and g.generation = v_dead.generation;
    v_generations := v_generations + 1;
  end loop;
  if not p_keep_originals then
    delete from public.rag_originals o
    where (o.document_id, o.upload, o.part) in (
      select r.document_id, r.upload, r.part from public.rag_originals r
      join public.rag_documents d on d.id = r.document_id
      where d.status = 'ingested'
        -- An upload whose last part is fresh may still be arriving, with its job to come.
        and (select max(p.created_at) from public.rag_originals p
          where p.document_id = r.document_id and p.upload = r.upload)
          < least(d.ingested_at, now() - interval '10 minutes')
        and not exists (select 1 from public.rag_ingestion_queue q
          where q.document_id = d.id and q.status in ('queued', 'processing'))
      limit 64);
    get diagnostics v_originals = row_count;
  end if;
  return jsonb_build_object('chunks', v_chunks, 'segments', v_segments, 'generations', v_generations,
    'originals', v_originals);
end $$;

-- What `rag doctor` wants to know of the server, and what a worker checks at its start.
create or replace function public.rag_describe_database() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'postgres', current_setting('server_version'),
    'pgvector', (select e.extversion from pg_catalog.pg_extension e where e.extname = 'vector'),
    'role', current_user,
    'documents', (select count(*) from public.rag_documents),
    'live_chunks', (select coalesce(sum(g.chunk_count), 0) from public.rag_generations g where g.state = 'live'),
    'models', (select coalesce(jsonb_agg(jsonb_build_object('model', m.model, 'dimensions', m.dimensions,
      'state', m.state) order by m.created_at), '[]') from public.rag_models m
      -- As in rag_begin_generation: without a vector it binds nobody.
      where exists (select 1 from public.rag_document_chunks c where c.embedding_model = m.model)),
    'vector_indexes', (select coalesce(jsonb_agg(i.indexname order by i.indexname), '[]')
      from pg_catalog.pg_indexes i where i.tablename = 'rag_document_chunks' and i.indexdef like '%hnsw%'),
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
