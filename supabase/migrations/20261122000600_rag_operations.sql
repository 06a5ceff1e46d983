-- What operators ask of jobs and do to them: list, describe, cancel, requeue, reset, pause, resume, prune.
-- Nothing here is one statement over the whole history: filters become conditions that an index can answer, and
-- what touches many rows takes a limit, so that whoever calls can go on, and stop, in between.

-- Why each waiting job waits, by what is true now: a mark in waits_for may be older than the fact it tells of.
-- It has all of the queue's columns, so that a filter means the same on both.
create or replace view public.rag_waiting_jobs with (security_invoker = true) as
select q.*,
  case
    when q.position is null and q.run_at > now() then case when q.error_code is null then 'time' else 'backoff' end
    when q.kind = 'document' and exists (select 1 from public.rag_ingestion_queue w
      where w.document_id = q.document_id and w.status = 'processing' and w.kind = 'document') then 'document'
    when exists (select 1 from public.rag_pauses p where p.scope = 'all')
      or q.kind in (select p.name from public.rag_pauses p where p.scope = 'kind')
      or q.tenant_id in (select p.name from public.rag_pauses p where p.scope = 'tenant') then 'pause'
    when q.tenant_id in (select t.tenant_id from public.rag_tenants t
      where t.max_jobs <= (select count(*) from public.rag_ingestion_queue w
        where w.status = 'processing' and w.tenant_id = t.tenant_id)) then 'cap'
    when not exists (select 1 from public.rag_workers w where w.alive_until >= now()) then 'worker'
    -- A worker that does not say which kinds it takes may take any.
    when not exists (select 1 from public.rag_workers w where w.alive_until >= now() and w.kinds is null)
      and q.kind not in (select k.kind from public.rag_workers w cross join unnest(w.kinds) as k(kind)
        where w.alive_until >= now()) then 'kind'
    else 'slot'
  end as reason
from public.rag_ingestion_queue q
where q.status = 'queued';

-- A reason of rag_waiting_jobs in words, for people: they follow "waits for".
create or replace function public.rag_wait_in_words(p_job_id uuid, p_reason text) returns text
language sql stable set search_path = '' as $$
  select case p_reason
    when 'backoff' then case
      when q.error_code = 'embed.budget-spent' then format('the next day''s budget: today''s is spent, it goes on in %s min',
        ceil(extract(epoch from q.run_at - now()) / 60))
      when q.error_code = 'embed.batch-pending' then 'its texts, which are in a batch at the embedding provider'
      else format('the next try in %s s, after %s%s', ceil(extract(epoch from q.run_at - now())),
        q.error_code, ': ' || left(q.error_detail, 300)) end
    when 'time' then format('its time, in %s s', ceil(extract(epoch from q.run_at - now())))
    when 'document' then format('the job that works on the same document (%s)', (
      select w.id from public.rag_ingestion_queue w
      where w.document_id = q.document_id and w.status = 'processing' and w.kind = 'document'))
    when 'pause' then (
      select format('the end of the pause of %s since %s%s',
        case p.scope when 'all' then 'all jobs' else format('%s %s', p.scope, p.name) end,
        to_char(p.paused_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), ': ' || p.reason)
      from public.rag_pauses p
      where p.scope = 'all' or p.scope = 'kind' and p.name = q.kind
        or p.scope = 'tenant' and p.name = q.tenant_id
      order by p.paused_at limit 1)
    when 'cap' then (
      select format('its tenant: %s may have %s at work at once', t.tenant_id,
        case t.max_jobs when 1 then '1 job' else t.max_jobs || ' jobs' end)
      from public.rag_tenants t where t.tenant_id = q.tenant_id)
    when 'worker' then 'a worker: none is running'
    when 'kind' then format('a worker that takes the kind %s: none of those that run does', q.kind)
    when 'slot' then 'a free slot'
  end
  from public.rag_ingestion_queue q where q.id = p_job_id and p_reason is not null
$$;

-- How many ready jobs stand before a ready one: counted up to 1,001, for the rest makes no difference to anybody.
-- Each priority is walked from its first row, never below its floor, where the entries of jobs long gone are.
create or replace function public.rag_jobs_before(p_priority smallint, p_position bigint) returns integer
language sql stable set search_path = '' set enable_seqscan = off set jit = off as $$
  select count(*)::integer from (
    select 1
    from (select p.priority, public.rag_cell(('public.rag_queue_floor_' || p.priority)::regclass) as floor
      from generate_series(9, p_priority, -1) as p(priority)) lane
    cross join lateral (
      select 1 from public.rag_ingestion_queue o
      where o.status = 'queued' and o.position is not null and o.waits_for is null
        and o.priority = lane.priority::smallint
        and o.position >= lane.floor
        and (lane.priority > p_priority or o.position < p_position)
      order by o.position limit 1001) o
    limit 1001) counted
$$;

-- A job filter as "from … q where …", q being rows of the queue; values stay in $1, which the caller binds to the
-- filter.
-- An unknown field, status or kind is refused, so that a misspelt filter never means "everything".
-- Fields: job_ids, job_id_prefix, document_ids, status, kind, tenant_id, collection, error_code, worker_id,
-- waits_for (reasons of rag_waiting_jobs), older_than_seconds (since the job was last touched), text (in the
-- document's title or address, or in the error).
create or replace function public.rag_jobs_meant(p_filter jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_conditions text[] := array[]::text[];
  v_status text[];
begin
  perform public.rag_check_job_filter(p_filter);
  v_status := public.rag_text_array(p_filter -> 'status');
  if p_filter ? 'job_ids' then
    v_conditions := v_conditions || 'q.id = any (public.rag_text_array($1 -> ''job_ids'')::uuid[])'::text;
  end if;
  if p_filter ? 'job_id_prefix' then
    v_conditions := v_conditions
      || 'q.id between rpad(replace($1 ->> ''job_id_prefix'', ''-'', ''''), 32, ''0'')::uuid'::text
      || 'rpad(replace($1 ->> ''job_id_prefix'', ''-'', ''''), 32, ''f'')::uuid'::text;
  end if;
  if p_filter ? 'document_ids' then
    v_conditions := v_conditions
      || 'q.document_id = any (public.rag_text_array($1 -> ''document_ids'')::uuid[])'::text;
  end if;
  if p_filter ? 'waits_for' then
    v_conditions := v_conditions || 'q.reason = any (public.rag_text_array($1 -> ''waits_for''))'::text;
    v_status := coalesce(nullif(v_status, '{}'), array['queued']);
  end if;
  if v_status <@ array['queued'] and v_status <> '{}' then
    -- Each part has an index of its own; as one condition they would mean the whole history.
    v_conditions := v_conditions || ('(q.status = ''queued'' and q.position is null'
      ' or q.status = ''queued'' and q.position is not null and q.waits_for is null'
      ' or q.status = ''queued'' and q.waits_for = ''document'''
      ' or q.status = ''queued'' and q.waits_for in (''cap'', ''pause''))')::text;
  elsif v_status <@ array['processing'] and v_status <> '{}' then
    v_conditions := v_conditions || 'q.status = ''processing'''::text;
  elsif v_status = array['failed'] then
    -- Written out, so that the index on failures answers.
    v_conditions := v_conditions || 'q.status = ''failed'''::text;
  elsif p_filter ? 'status' then
    v_conditions := v_conditions || 'q.status = any (public.rag_text_array($1 -> ''status''))'::text;
  end if;
  if p_filter ? 'kind' then
    v_conditions := v_conditions || 'q.kind = $1 ->> ''kind'''::text;
  end if;
  if p_filter ? 'tenant_id' then
    v_conditions := v_conditions || 'q.tenant_id = $1 ->> ''tenant_id'''::text;
  end if;
  if p_filter ? 'error_code' then
    v_conditions := v_conditions || 'q.error_code = $1 ->> ''error_code'''::text;
  end if;
  if p_filter ? 'worker_id' then
    v_conditions := v_conditions || 'q.worker_id = $1 ->> ''worker_id'''::text;
  end if;
  if p_filter ? 'collection' then
    v_conditions := v_conditions || ('exists (select 1 from public.rag_documents f'
      ' where f.id = q.document_id and f.collection = $1 ->> ''collection'')')::text;
  end if;
  if p_filter ? 'text' then
    -- Not a pattern: what was typed means itself.
    v_conditions := v_conditions || ('(position(lower($1 ->> ''text'') in lower(coalesce(q.error_detail, ''''))) > 0'
      ' or exists (select 1 from public.rag_documents f where f.id = q.document_id'
      ' and position(lower($1 ->> ''text'') in lower(concat_ws('' '', f.title, f.source_uri))) > 0))')::text;
  end if;
  if p_filter ? 'older_than_seconds' then
    v_conditions := v_conditions || ('q.updated_at < now()'
      ' - make_interval(secs => ($1 ->> ''older_than_seconds'')::double precision)')::text;
  end if;
  return format('from public.%I q where %s',
    case when p_filter ? 'waits_for' then 'rag_waiting_jobs' else 'rag_ingestion_queue' end,
    coalesce(nullif(array_to_string(v_conditions, ' and '), ''), 'true'));
end $$;

-- Raises a sentence for whatever cannot be meant; the values may be anybody's.
create or replace function public.rag_check_job_filter(p_filter jsonb) returns void
language plpgsql immutable set search_path = '' as $$
declare
  v_field record;
  v_wrong text;
begin
  if jsonb_typeof(p_filter) is distinct from 'object' then
    raise exception 'A filter of jobs must be a JSON object.' using errcode = '22023';
  end if;
  for v_field in select f.key, f.value, jsonb_typeof(f.value) as type from jsonb_each(p_filter) f loop
    if v_field.key in ('job_ids', 'document_ids', 'status', 'waits_for') then
      if v_field.type <> 'array' or exists (
        select 1 from jsonb_array_elements(v_field.value) e where jsonb_typeof(e.value) <> 'string') then
        raise exception 'The field % of a filter must be an array of texts.', v_field.key using errcode = '22023';
      end if;
      select min(e.value) into v_wrong from jsonb_array_elements_text(v_field.value) as e(value)
      where case v_field.key
        when 'status' then e.value not in ('queued', 'processing', 'complete', 'failed', 'cancelled')
        when 'waits_for' then e.value not in
          ('time', 'backoff', 'document', 'pause', 'cap', 'worker', 'kind', 'slot')
        else e.value !~* '^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$' end;
      if v_wrong is not null then
        raise exception 'The field % of a filter cannot be "%".', v_field.key, left(v_wrong, 100)
          using errcode = '22023';
      end if;
    elsif v_field.key = 'older_than_seconds' then
      if v_field.type <> 'number' or v_field.value::text::numeric not between 0 and 3153600000 then
        raise exception 'The field older_than_seconds of a filter must be a number from 0 to a hundred years.'
          using errcode = '22023';
      end if;
    elsif v_field.key in ('job_id_prefix', 'kind', 'tenant_id', 'collection', 'error_code', 'worker_id',
      'text') then
      v_wrong := v_field.value #>> '{}';
      if v_field.type <> 'string' then
        raise exception 'The field % of a filter must be a text.', v_field.key using errcode = '22023';
      elsif v_field.key = 'kind' and v_wrong not in ('document', 'reembed', 'relationships', 'sync')
        or v_field.key = 'job_id_prefix' and v_wrong !~* '^[0-9a-f][0-9a-f-]{0,35}$'
        or v_field.key = 'job_id_prefix' and length(replace(v_wrong, '-', '')) not between 1 and 32 then
        raise exception 'The field % of a filter cannot be "%".', v_field.key, left(v_wrong, 100)
          using errcode = '22023';
      end if;
    else
      raise exception 'Unknown field in a filter of jobs: %. Known: job_ids, job_id_prefix, document_ids, status, kind, tenant_id, collection, error_code, worker_id, waits_for, older_than_seconds, text.',
        left(v_field.key, 100) using errcode = '22023';
    end if;
  end loop;
end $$;

-- The newest jobs that a filter means, after the one that was submitted at p_before and has the id p_before_id. Goes
-- back through the history window by window: there is no index that gives all jobs by time, for each claim and
-- settlement would have to write it, and sorting a million rows takes seconds. Ends after p_patience_ms, where that is
-- not null, also if more might fit.
-- Answers {ids, looked_back_to}: the latter null when the whole history was seen or the page is full.
create or replace function public.rag_walk_jobs(
  p_filter jsonb, p_limit integer, p_before timestamptz default null, p_before_id uuid default null,
  p_patience_ms integer default null) returns jsonb
language plpgsql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off set jit = off
  set max_parallel_workers_per_gather = 0 as $$
declare
  v_meant text := public.rag_jobs_meant(p_filter);
  v_began timestamptz := clock_timestamp();
  v_step timestamptz;
  -- What is named is found by its index at once.
  v_span interval := case when p_filter ?| array['job_ids', 'job_id_prefix', 'document_ids']
    then interval '1000 years' else interval '15 minutes' end;
  v_to timestamptz := coalesce(p_before, 'infinity');
  v_from timestamptz;
  v_page uuid[];
  v_ids uuid[] := array[]::uuid[];
begin
  loop
    v_step := clock_timestamp();
    -- The first window has all of the future in it.
    v_from := case when v_to = 'infinity' then now() else v_to end - v_span;
    -- Planned with the values in sight; and before the first ANALYZE of a new table it would still read all of it,
    -- hence enable_seqscan.
    execute format($q$
      select array_agg(m.id order by m.submitted_at desc, m.id desc) from (
        select q.id, q.submitted_at %s and q.submitted_at <= %L and q.submitted_at > %L
          and ($2 is null or (q.submitted_at, q.id) < ($2, $3))
        order by q.submitted_at desc, q.id desc limit $4) m $q$, v_meant, v_to, v_from)
    into v_page
    using p_filter, p_before, coalesce(p_before_id, '00000000-0000-0000-0000-000000000000'::uuid),
      p_limit - cardinality(v_ids);
    v_ids := v_ids || coalesce(v_page, array[]::uuid[]);
    v_to := v_from;
    exit when cardinality(v_ids) >= p_limit or v_to < '2000-01-01'
      or clock_timestamp() > v_began + make_interval(secs => p_patience_ms / 1000.0);
    -- Whoever has patience reads large pieces, which is the least in all.
    v_span := v_span * case when p_patience_ms is not null and clock_timestamp() > v_step + interval '40 milliseconds'
      then 1 else 4 end;
  end loop;
  return jsonb_build_object('ids', to_jsonb(v_ids),
    'looked_back_to', case when cardinality(v_ids) < p_limit and v_to >= '2000-01-01' then v_to end);
end $$;

-- Called by `rag jobs` and applications. Newest first; p_limit at most 1,000. waits_for is in words.
create or replace function public.rag_list_jobs(p_filter jsonb default '{}', p_limit integer default 20)
returns table (id uuid, kind text, document_id uuid, title text, source_uri text, tenant_id text, status text,
  stage text, priority smallint, attempts integer, max_attempts integer, run_at timestamptz, worker_id text,
  total_segments integer, processed_segments integer, total_chunks integer, processed_chunks integer,
  reused_chunks integer, rejected_chunks integer, tokens bigint, cost_usd numeric, error_code text, error_detail text,
  submitted_at timestamptz, started_at timestamptz, updated_at timestamptz, completed_at timestamptz,
  waits_for text)
language sql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off set jit = off as $$
  select m.id, m.kind::text, m.document_id, d.title, d.source_uri,
    m.tenant_id, m.status::text, m.stage::text, m.priority::smallint, m.attempts::integer, m.max_attempts::integer,
    m.run_at::timestamptz, m.worker_id,
    m.total_segments, m.processed_segments, m.total_chunks, m.processed_chunks, m.reused_chunks, m.rejected_chunks,
    m.tokens, m.cost_usd, m.error_code, m.error_detail, m.submitted_at, m.started_at, m.updated_at, m.completed_at,
    case when m.status = 'queued' then public.rag_wait_in_words(m.id,
      (select w.reason from public.rag_waiting_jobs w where w.id = m.id)) end
  from jsonb_array_elements_text(
    case when p_limit > 0 then public.rag_walk_jobs(p_filter, least(p_limit, 1000)) -> 'ids'
      else '[]' end) with ordinality as i(id, place)
  join public.rag_ingestion_queue m on m.id = i.id::uuid
  left join public.rag_documents d on d.id = m.document_id
  order by i.place
$$;

-- Called by `rag job ID` and whoever follows a job. One job with its document, its error history, the first twenty
-- chunks that the provider refused, and why it waits: wait_reason as rag_waiting_jobs names it, waits_for in words. null
-- when there is no such job. Not in the language sql, which plans it at each call: that took six times as long as the
-- rest, for whoever follows a job once a second (npm run bench -- scrape).
create or replace function public.rag_describe_job(p_job_id uuid) returns jsonb
language plpgsql stable set search_path = '' set enable_seqscan = off set jit = off as $$
begin
  return (
    select to_jsonb(q) - array['lease_token', 'returned_token', 'position'] || jsonb_build_object(
      'document', case when d.id is not null then jsonb_build_object('id', d.id, 'tenant_id', d.tenant_id,
        'user_id', d.user_id, 'collection', d.collection, 'title', d.title, 'source_uri', d.source_uri,
        'kind', d.kind, 'version', d.version, 'media_type', d.media_type, 'tags', to_jsonb(d.tags),
        'metadata', d.metadata - 'password', 'live_generation', d.live_generation, 'status', d.status,
        'byte_size', d.byte_size, 'content_sha256', d.content_sha256) end,
      'rejected', case when q.rejected_chunks > 0 then (
        select jsonb_agg(to_jsonb(r) - array['document_id', 'generation', 'embed_sha256'] order by r.chunk_index)
        from (select o.* from public.rag_rejected_chunks o
          where o.document_id = q.document_id and o.generation = q.generation order by o.chunk_index limit 20) r) end,
      'wait_reason', w.reason,
      'waits_for', case when w.reason is not null then public.rag_wait_in_words(q.id, w.reason) end
        || case when w.reason = 'slot' then (
        select case when b.jobs = 0 then '; no job stands before it' when b.jobs = 1 then '; 1 job stands before it'
          when b.jobs > 1000 then '; more than 1,000 jobs stand before it'
          else format('; %s jobs stand before it', b.jobs) end
        from public.rag_jobs_before(q.priority, q.position) as b(jobs)) else '' end)
    from public.rag_ingestion_queue q
    left join public.rag_documents d on d.id = q.document_id
    left join public.rag_waiting_jobs w on w.id = p_job_id
    where q.id = p_job_id);
end $$;

-- Called by operators. queued or processing -> cancelled; the worker of a running one is told lease_lost.
-- p_limit: at most so many of them (null: all), for callers that go on until none is left.
-- Answers {cancelled}; with p_dry_run {would_cancel}, and nothing changes.
create or replace function public.rag_cancel_jobs(
  p_filter jsonb, p_dry_run boolean default false, p_limit integer default null) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_meant text := public.rag_jobs_meant(p_filter) || ' and q.status in (''queued'', ''processing'')';
  v_count integer;
begin
  if p_dry_run then
    execute format('select count(*) %s', v_meant) into v_count using p_filter;
    return jsonb_build_object('would_cancel', v_count);
  end if;
  execute format($q$
  with cancelled as (
    update public.rag_ingestion_queue q
    set status = 'cancelled', error_code = 'job.cancelled', error_detail = 'The job was cancelled.',
        lease_token = null, lease_expires_at = null, waits_for = null, stage = null,
        updated_at = now(), completed_at = now()
    where q.status in ('queued', 'processing')
      and q.id in (select q.id %s limit $2)
    returning 1)
  select count(*) from cancelled $q$, v_meant) into v_count using p_filter, p_limit;
  return jsonb_build_object('cancelled', v_count);
end $$;

-- Called by operators. failed, cancelled or processing -> queued, with all attempts again; the worker of a
-- running one is told lease_lost. A finished job whose document has a waiting one already is left alone.
-- p_limit as in rag_cancel_jobs. Answers {requeued}; with p_dry_run {would_requeue}, and nothing changes.
create or replace function public.rag_requeue_jobs(
  p_filter jsonb, p_dry_run boolean default false, p_limit integer default null) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_ids uuid[];
  v_count integer;
begin
  execute format($q$
  select array_agg(m.id) from (
    -- One job a document is enough, the newest.
    select distinct on (coalesce(q.document_id, q.id), q.kind) q.id
    %s and q.status in ('failed', 'cancelled', 'processing')
      -- What came later counts: a job that waits, works or is done makes an older failure history.
      and not exists (select 1 from public.rag_ingestion_queue o where o.document_id = q.document_id
        and o.kind = q.kind and o.id <> q.id
        and (o.status = 'queued' or o.status in ('processing', 'complete') and o.submitted_at >= q.submitted_at))
    order by coalesce(q.document_id, q.id), q.kind, q.submitted_at desc
    limit $2) m $q$, public.rag_jobs_meant(p_filter)) into v_ids using p_filter, p_limit;
  if p_dry_run then
    return jsonb_build_object('would_requeue', coalesce(cardinality(v_ids), 0));
  end if;
  -- Its errors stay in the history; the last one would read as what it waits for.
  update public.rag_ingestion_queue q set status = 'queued', attempts = 0, error_code = null, error_detail = null
  where q.id = any (v_ids) and q.status in ('failed', 'cancelled', 'processing');
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform public.rag_wake_workers('requeue', null);
  end if;
  return jsonb_build_object('requeued', v_count);
end $$;

-- Called by operators on the day on which no worker is left to reap. processing -> queued for what nobody has
-- touched for so long, and for what was held under a lease that has run out by a worker without a sign of life.
-- Safe while a slow worker is still alive: it is told lease_lost. Shows what was reset, at most 1,000 a call;
-- with p_dry_run what would be.
create or replace function public.rag_reset_stuck(
  p_older_than_seconds double precision default 600, p_dry_run boolean default false, p_limit integer default 1000)
returns table (id uuid, status text, document_id uuid, attempts integer, max_attempts integer,
  was_held_by text, silent_since timestamptz)
language plpgsql set search_path = '' as $$
#variable_conflict use_column
begin
  -- not (a and b) also catches NaN and null.
  if not coalesce(p_older_than_seconds between 180 and 31536000, false) then
    raise exception 'Say 180 seconds or more: a healthy job is touched every two minutes, and less would take jobs from workers that are alive.'
      using errcode = '22023';
  end if;
  return query
  with stuck as (
    select q.id, q.worker_id, q.updated_at
    from public.rag_ingestion_queue q
    where q.status = 'processing'
      and (q.updated_at < now() - make_interval(secs => p_older_than_seconds)
        or q.lease_expires_at < now() and not exists (
          select 1 from public.rag_workers w where w.worker_id = q.worker_id and w.alive_until >= now()))
    order by q.updated_at
    limit greatest(0, least(p_limit, 1000))
    -- A row that is being settled at this moment is not stuck.
    for update skip locked
  ), reset as (
    update public.rag_ingestion_queue q set status = 'queued'
    from stuck s where q.id = s.id and not p_dry_run
    returning q.id, q.status, q.attempts)
  select q.id, coalesce(r.status, q.status)::text, q.document_id, coalesce(r.attempts, q.attempts)::integer,
    q.max_attempts::integer, s.worker_id, s.updated_at
  from stuck s
  join public.rag_ingestion_queue q on q.id = s.id
  left join reset r on r.id = s.id
  order by s.updated_at;
  if found and not p_dry_run then
    perform public.rag_wake_workers('reset', null);
  end if;
end $$;

-- Called by operators. From now on no job of all, of one kind or of one tenant is claimed; those at work go on.
-- Said again, it changes the reason. Answers {scope, name, paused_at, was_paused}.
create or replace function public.rag_pause_jobs(
  p_scope text, p_name text default '', p_reason text default null) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_name text := public.rag_check_pause(p_scope, p_name);
  v_pause record;
begin
  insert into public.rag_pauses as p (scope, name, reason)
  values (p_scope, v_name, left(nullif(btrim(p_reason), ''), 500))
  on conflict (scope, name) do update set reason = excluded.reason
  -- A row that this statement made has no transaction that replaced it.
  returning p.paused_at, p.xmax <> 0 as was_paused into v_pause;
  return jsonb_build_object('scope', p_scope, 'name', v_name, 'paused_at', v_pause.paused_at,
    'was_paused', v_pause.was_paused);
end $$;

-- Called by operators. Ends one pause; others that cover the same jobs stay. Answers {resumed}, 0 when there was
-- none.
create or replace function public.rag_resume_jobs(p_scope text, p_name text default '') returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_name text := public.rag_check_pause(p_scope, p_name);
  v_count integer;
begin
  delete from public.rag_pauses p where p.scope = p_scope and p.name = v_name;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform public.rag_wake_workers('resume', null);
  end if;
  return jsonb_build_object('resumed', v_count);
end $$;

-- The name of a pause; raises a sentence when scope and name cannot be meant.
create or replace function public.rag_check_pause(p_scope text, p_name text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_name text := coalesce(p_name, '');
begin
  if p_scope is null or p_scope not in ('all', 'kind', 'tenant') then
    raise exception 'A pause is of all, of a kind or of a tenant, not of "%".', left(coalesce(p_scope, ''), 100)
      using errcode = '22023';
  elsif p_scope = 'all' and v_name <> '' then
    raise exception 'A pause of all has no name.' using errcode = '22023';
  elsif p_scope = 'kind' and v_name not in ('document', 'reembed', 'relationships', 'sync') then
    raise exception 'There is no kind "%". Kinds are document, reembed, relationships and sync.', left(v_name, 100)
      using errcode = '22023';
  elsif p_scope = 'tenant' and v_name = '' then
    raise exception 'Say which tenant.' using errcode = '22023';
  end if;
  return v_name;
end $$;

-- Called by operators and `rag prune`. Deletes finished jobs of p_pages pages of the table from p_page on, so that
-- each call is short however long the history is; the caller goes on from next_page until that is null.
-- The filter has to say older_than_seconds. With p_dry_run nothing is deleted.
-- Answers {pruned, next_page}; with p_dry_run {would_prune, next_page}.
create or replace function public.rag_prune(
  p_filter jsonb, p_page bigint default 0, p_pages integer default 500, p_dry_run boolean default false)
returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_meant text := public.rag_jobs_meant(p_filter);
  v_page bigint := greatest(p_page, 0);
  v_end bigint := greatest(p_page, 0) + least(greatest(p_pages, 1), 2000);
  v_all bigint := pg_relation_size('public.rag_ingestion_queue') / current_setting('block_size')::bigint;
  v_count integer;
begin
  if not p_filter ? 'older_than_seconds' then
    raise exception 'Say how long ago the jobs must have ended: older_than_seconds.' using errcode = '22023';
  elsif public.rag_text_array(p_filter -> 'status') && array['queued', 'processing'] or p_filter ? 'waits_for' then
    raise exception 'Only jobs that have ended are pruned: complete, failed, cancelled.' using errcode = '22023';
  end if;
  execute format($q$
  with old as (
    select q.ctid %s and q.ctid >= %L::tid and q.ctid < %L::tid
      and q.status in ('complete', 'failed', 'cancelled')
  ), pruned as (
    delete from public.rag_ingestion_queue q using old o
    where q.ctid = o.ctid and not $2 and q.status in ('complete', 'failed', 'cancelled')
    returning 1)
  select case when $2 then (select count(*) from old) else (select count(*) from pruned) end $q$,
    v_meant, format('(%s,0)', v_page), format('(%s,0)', v_end))
  into v_count using p_filter, p_dry_run;
  return jsonb_build_object(case when p_dry_run then 'would_prune' else 'pruned' end, v_count,
    'next_page', case when v_end < v_all then v_end end);
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

