-- What happened, for people who ask later: one row an event, of the workers and of applications that log here.
-- Partitioned by month, so that old months go by dropping a table and not by deleting row by row.

create table if not exists public.rag_activity_logs (
  log_id uuid not null,
  session_id text,
  user_id text,
  tenant_id text,
  -- No foreign keys: what happened stays true when the job has been pruned.
  document_id uuid,
  job_id uuid,
  activity_type text not null,
  activity_status text not null default 'success' check (activity_status in ('success', 'error', 'warning')),
  -- Content only where an application gave it; the worker never does.
  message_content text,
  response_content text,
  token_count bigint,
  retrieval_skipped boolean,
  similarity_score double precision,
  processing_time_ms double precision,
  llm_call_duration_ms double precision,
  retrieval_duration_ms double precision,
  error_message text,
  error_type text,
  user_agent text,
  ip_address text,
  metadata jsonb,
  created_at timestamptz not null,
  -- Ids begin with the time (UUID version 7), so this is the order of arrival too.
  primary key (log_id, created_at)
) partition by range (created_at);
create index if not exists rag_activity_logs_document on public.rag_activity_logs (document_id)
  where document_id is not null;
create index if not exists rag_activity_logs_time on public.rag_activity_logs using brin (created_at);

-- Makes the table of the month in which p_at lies. Only the owner of a table may partition it, so this one function
-- runs with its owner's rights; it can do nothing else, and service_role alone may call it.
create or replace function public.rag_make_activity_month(p_at timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_month timestamp := date_trunc('month', p_at at time zone 'UTC');
  v_name text := 'rag_activity_logs_' || to_char(v_month, 'YYYY_MM');
  v_role text;
begin
  -- Two writers in a new month's first second: the other one makes it, or has made it.
  perform pg_catalog.pg_advisory_xact_lock(7249, 1);
  -- Not to_regclass: it may still remember that there was none.
  if exists (select 1 from pg_catalog.pg_class c
    where c.relname = v_name and c.relnamespace = 'public'::regnamespace) then
    return;
  end if;
  execute format('create table public.%I partition of public.rag_activity_logs for values from (%L) to (%L)',
    v_name, v_month at time zone 'UTC', (v_month + interval '1 month') at time zone 'UTC');
  execute format('alter table public.%I enable row level security', v_name);
  execute format('revoke all on public.%I from public', v_name);
  for v_role in select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated') loop
    execute format('revoke all on public.%I from %I', v_name, v_role);
  end loop;
  if exists (select 1 from pg_catalog.pg_roles where rolname = 'service_role') then
    execute format('grant select, insert, update, delete on public.%I to service_role', v_name);
  end if;
end $$;

-- Called by the activity log's writers. p_rows: at most 1,000 objects of the table's columns, with age_ms (how long
-- ago it happened) for created_at; log_id of the first names the batch: sent twice, it is stored once.
-- Answers {stored}.
create or replace function public.rag_append_activity(p_rows jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_oldest timestamptz;
  v_batch uuid := (p_rows -> 0 ->> 'log_id')::uuid;
  v_stored integer;
begin
  select now() - make_interval(secs => least(greatest(max((r ->> 'age_ms')::double precision), 0), 31536000000) / 1000)
  into v_oldest from jsonb_array_elements(p_rows) r;
  if v_oldest is null then
    return jsonb_build_object('stored', 0);
  end if;
  perform public.rag_make_activity_month(m.month)
  from generate_series(date_trunc('month', v_oldest at time zone 'UTC'),
    date_trunc('month', now() at time zone 'UTC'), interval '1 month') g(local)
  cross join lateral (select g.local at time zone 'UTC' as month) m
  where to_regclass('public.rag_activity_logs_' || to_char(g.local, 'YYYY_MM')) is null;
  perform pg_catalog.pg_advisory_xact_lock(hashtextextended(v_batch::text, 7249));
  if exists (select 1 from public.rag_activity_logs l where l.log_id = v_batch) then
    return jsonb_build_object('stored', 0);
  end if;
  insert into public.rag_activity_logs (log_id, session_id, user_id, tenant_id, document_id, job_id, activity_type,
    activity_status, message_content, response_content, token_count, retrieval_skipped, similarity_score,
    processing_time_ms, llm_call_duration_ms, retrieval_duration_ms, error_message, error_type, user_agent,
    ip_address, metadata, created_at)
  select r.log_id, r.session_id, r.user_id, r.tenant_id, r.document_id, r.job_id, r.activity_type,
    coalesce(r.activity_status, 'success'), r.message_content, r.response_content, r.token_count,
    r.retrieval_skipped, r.similarity_score, r.processing_time_ms, r.llm_call_duration_ms,
    r.retrieval_duration_ms, r.error_message, r.error_type, r.user_agent, r.ip_address, r.metadata,
    now() - make_interval(secs => least(greatest(coalesce(r.age_ms, 0), 0), 31536000000) / 1000)
  from jsonb_to_recordset(p_rows) as r (log_id uuid, session_id text, user_id text, tenant_id text,
    document_id uuid, job_id uuid, activity_type text, activity_status text, message_content text,
    response_content text, token_count bigint, retrieval_skipped boolean, similarity_score double precision,
    processing_time_ms double precision, llm_call_duration_ms double precision,
    retrieval_duration_ms double precision, error_message text, error_type text, user_agent text,
    ip_address text, metadata jsonb, age_ms double precision);
  get diagnostics v_stored = row_count;
  return jsonb_build_object('stored', v_stored);
end $$;

-- Called by every replica now and then. Drops the months that ended more than p_days ago. Answers {dropped}.
-- With its owner's rights, as rag_make_activity_month; it drops no table but a month of the activity log.
create or replace function public.rag_drop_activity(p_days integer) returns jsonb
language plpgsql security definer set search_path = '' set lock_timeout = '2s' as $$
declare
  v_table record;
  v_dropped integer := 0;
begin
  if p_days is null or p_days < 1 then
    raise exception 'Activity is kept for a day at least.' using errcode = '22023';
  end if;
  for v_table in
    select c.relname as name from pg_catalog.pg_inherits i
    join pg_catalog.pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'public.rag_activity_logs'::regclass
      and c.relname ~ '^rag_activity_logs_[0-9]{4}_[0-9]{2}$'
      and (to_timestamp(right(c.relname, 7), 'YYYY_MM')::timestamp + interval '1 month') at time zone 'UTC'
        < now() - make_interval(days => p_days)
  loop
    execute format('drop table public.%I', v_table.name);
    v_dropped := v_dropped + 1;
  end loop;
  return jsonb_build_object('dropped', v_dropped);
end $$;

-- Called by `rag delete` and applications. Erases what the log holds of a document, session, user or tenant, at
-- most p_limit rows a call. p_filter: {document_ids, session_id, user_id, tenant_id}, at least one of them.
-- Answers {erased, more}.
create or replace function public.rag_erase_activity(p_filter jsonb, p_limit integer default 5000) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_count integer;
begin
  perform public.rag_check_request(p_filter, array['document_ids', 'session_id', 'user_id', 'tenant_id']);
  if p_filter = '{}' or exists (select 1 from jsonb_each(p_filter) f where jsonb_typeof(f.value) <>
    case f.key when 'document_ids' then 'array' else 'string' end) then
    raise exception 'Say whose activity: document_ids (an array), session_id, user_id or tenant_id (texts).'
      using errcode = '22023';
  end if;
  delete from public.rag_activity_logs l
  using (
    select a.log_id, a.created_at from public.rag_activity_logs a
    where (not p_filter ? 'document_ids'
        or a.document_id = any (public.rag_text_array(p_filter -> 'document_ids')::uuid[]))
      and (not p_filter ? 'session_id' or a.session_id = p_filter ->> 'session_id')
      and (not p_filter ? 'user_id' or a.user_id = p_filter ->> 'user_id')
      and (not p_filter ? 'tenant_id' or a.tenant_id = p_filter ->> 'tenant_id')
    limit p_limit) m
  where l.log_id = m.log_id and l.created_at = m.created_at;
  get diagnostics v_count = row_count;
  return jsonb_build_object('erased', v_count, 'more', v_count = p_limit);
end $$;

-- Called by `rag logs` and applications: what happened to one job, in order. p_after: the log_id of the last entry
-- that is known, null from the start. Answers an array of {log_id, at, type, status, code, detail, duration_ms,
-- tokens, metadata}, at most p_limit (1,000); null when there is no such job. What a pruned job left is found by its
-- document only.
create or replace function public.rag_read_activity(p_job_id uuid, p_after uuid default null,
  p_limit integer default 1000) returns jsonb
language plpgsql stable set search_path = '' set statement_timeout = '20s' as $$
declare
  v_document uuid;
  v_since timestamptz;
begin
  -- Entries are written a second after what they tell of, by a clock of their own.
  select q.document_id, q.submitted_at - interval '1 minute' into v_document, v_since
  from public.rag_ingestion_queue q where q.id = p_job_id;
  if not found then
    return null;
  end if;
  return (
    select coalesce(jsonb_agg(to_jsonb(e) order by e.log_id), '[]') from (
      select l.log_id, l.created_at as at, l.activity_type as type, l.activity_status as status,
        l.error_type as code, l.error_message as detail, l.processing_time_ms as duration_ms,
        l.token_count as tokens, l.metadata
      from public.rag_activity_logs l
      where l.job_id = p_job_id and l.created_at >= v_since and (v_document is null or l.document_id = v_document)
        and (p_after is null or l.log_id > p_after)
      order by l.log_id
      limit least(p_limit, 1000)) e);
end $$;
