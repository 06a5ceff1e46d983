-- The queue: one row a job, one function a transition, and a fence on every one of them.
-- A claim takes a lease_token from a sequence that only rises; every later write names job and token. The
-- database's clock decides; workers send and receive durations only.

create sequence if not exists public.rag_lease_tokens;
create sequence if not exists public.rag_queue_positions;

create table if not exists public.rag_ingestion_queue (
  id uuid primary key default gen_random_uuid(),
  kind text not null default 'document' check (kind in ('document', 'relationships', 'sync')),
  document_id uuid references public.rag_documents (id) on delete cascade,
  tenant_id text not null,
  status text not null default 'queued'
    check (status in ('queued', 'processing', 'complete', 'failed', 'cancelled')),
  stage text check (stage in ('fetching', 'parsing', 'embedding', 'analysing', 'completing')),
  -- 0 to 9; the higher goes first.
  priority smallint not null default 0 check (priority between 0 and 9),
  -- Place among the ready rows of a priority; null while the job waits for run_at.
  position bigint,
  run_at timestamptz not null default now()
    check (run_at > '2000-01-01' and run_at < '2200-01-01'),
  -- Counted by the claim, given back by a release.
  attempts integer not null default 0 check (attempts >= 0),
  max_attempts integer not null default 5 check (max_attempts between 1 and 100),
  worker_id text,
  -- Stays on a finished row, so that a transition that is sent twice is recognised.
  lease_token bigint,
  lease_expires_at timestamptz,
  generation integer,
  total_segments integer,
  processed_segments integer not null default 0,
  total_chunks integer,
  processed_chunks integer not null default 0,
  reused_chunks integer not null default 0,
  tokens bigint not null default 0,
  cost_usd numeric(14, 8) not null default 0,
  error_code text,
  error_detail text,
  -- The last ten: {at, code, detail, attempt, worker_id}.
  errors jsonb not null default '[]',
  dedupe_key text,
  submitted_at timestamptz not null default now(),
  started_at timestamptz,
  -- Set by the functions, never forced by a trigger; a live job's is at most two minutes old.
  updated_at timestamptz not null default now(),
  completed_at timestamptz,
  constraint rag_queue_document_needed check (kind <> 'document' or document_id is not null),
  constraint rag_queue_lease_whole check (
    status <> 'processing'
    or (lease_token is not null and lease_expires_at is not null and worker_id is not null)),
  constraint rag_queue_waiting_has_no_lease check (status <> 'queued' or lease_token is null)
) with (fillfactor = 70); -- room for HOT updates of progress

-- Few indexes, for claim and settle each write all of them. Only ready rows are in the one the claim walks:
-- a million finished rows cost it nothing.
create index if not exists rag_queue_ready on public.rag_ingestion_queue (priority desc, position)
  where status = 'queued' and position is not null;
create index if not exists rag_queue_delayed on public.rag_ingestion_queue (run_at)
  where status = 'queued' and position is null;
create index if not exists rag_queue_working on public.rag_ingestion_queue (worker_id)
  where status = 'processing';
create unique index if not exists rag_queue_one_at_work on public.rag_ingestion_queue (document_id)
  where status = 'processing' and kind = 'document';
create index if not exists rag_queue_by_document on public.rag_ingestion_queue (document_id, submitted_at desc);
create index if not exists rag_queue_recent on public.rag_ingestion_queue (submitted_at desc);
create unique index if not exists rag_queue_dedupe on public.rag_ingestion_queue (tenant_id, dedupe_key)
  where dedupe_key is not null;

-- One narrow row a replica. A job is held until the later of its own first lease and its worker's row.
create table if not exists public.rag_workers (
  worker_id text primary key,
  alive_until timestamptz not null,
  started_at timestamptz not null default now(),
  jobs integer not null default 0
) with (fillfactor = 50);

create table if not exists public.rag_tenants (
  tenant_id text primary key,
  weight integer not null default 1 check (weight between 1 and 1000),
  max_jobs integer check (max_jobs > 0),
  created_at timestamptz not null default now()
);

-- Called before a row enters the queue, also by an application's plain insert.
-- Fills in what the application left out, and ends older jobs of the same document that still wait.
create or replace function public.rag_queue_before_insert() returns trigger
language plpgsql set search_path = '' as $$
begin
  -- A job is of its document's tenant, whatever the row says: its chunks are.
  if new.document_id is not null then
    select d.tenant_id into new.tenant_id from public.rag_documents d where d.id = new.document_id;
  end if;
  new.tenant_id := coalesce(new.tenant_id, 'default');
  if new.status = 'queued' then
    new.lease_token := null;
    new.position := case when new.run_at <= now() then nextval('public.rag_queue_positions') end;
    if new.kind = 'document' and new.document_id is not null then
      -- skip locked: whoever holds such a row is claiming or cancelling it, and we never wait for them.
      -- A row that is due earlier than the new one stays; the new one inherits the urgency of those it ends.
      with ended as (
        update public.rag_ingestion_queue q
        set status = 'cancelled', error_code = 'job.superseded',
            error_detail = 'A newer job for the same document took this one''s place.',
            updated_at = now(), completed_at = now()
        where q.id in (
          select o.id from public.rag_ingestion_queue o
          where o.document_id = new.document_id and o.kind = 'document' and o.status = 'queued'
            and (new.run_at <= now() or o.run_at >= new.run_at)
          for update skip locked)
        returning q.priority)
      select greatest(new.priority, max(e.priority)) into new.priority from ended e;
    end if;
  end if;
  return new;
end $$;

drop trigger if exists rag_queue_before_insert on public.rag_ingestion_queue;
create trigger rag_queue_before_insert before insert on public.rag_ingestion_queue
  for each row execute function public.rag_queue_before_insert();

-- Called whenever a row becomes queued again: by a function of ours or by an operator's own update.
-- Clears the lease, so that whoever held it can write no more, and gives the row its place.
create or replace function public.rag_queue_before_requeue() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.run_at is not distinct from old.run_at then
    new.run_at := now();
  end if;
  new.position := case when new.run_at <= now() then nextval('public.rag_queue_positions') end;
  new.lease_token := null;
  new.lease_expires_at := null;
  new.worker_id := null;
  new.stage := null;
  new.completed_at := null;
  -- Whoever asks for another run means it: at least one attempt is left.
  new.attempts := least(new.attempts, new.max_attempts - 1);
  if new.updated_at is not distinct from old.updated_at then
    new.updated_at := now();
  end if;
  return new;
end $$;

drop trigger if exists rag_queue_before_requeue on public.rag_ingestion_queue;
create trigger rag_queue_before_requeue before update of status on public.rag_ingestion_queue
  for each row when (new.status = 'queued' and old.status <> 'queued')
  execute function public.rag_queue_before_requeue();

-- The error history with one more entry, ten at most, newest last.
create or replace function public.rag_errors_with(
  p_errors jsonb, p_code text, p_detail text, p_attempt integer, p_worker text) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(e.entry order by e.place), '[]')
  from (
    select a.entry, a.place from jsonb_array_elements(
      p_errors || jsonb_build_object(
        'at', now(), 'code', p_code, 'detail', p_detail, 'attempt', p_attempt, 'worker_id', p_worker))
      with ordinality as a(entry, place)
    order by a.place desc limit 10) e
$$;

-- Seconds until the next try: full jitter under a ceiling that doubles from 2 s to 10 min.
-- Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
create or replace function public.rag_backoff_seconds(p_attempt integer) returns double precision
language sql volatile set search_path = '' as $$
  select random() * least(600, 2 * power(2, least(greatest(p_attempt - 1, 0), 20)))
$$;

-- A document as a claim hands it over.
create or replace function public.rag_document_json(p_document public.rag_documents) returns jsonb
language sql immutable set search_path = '' as $$
  select jsonb_build_object(
    'id', (p_document).id, 'tenant_id', (p_document).tenant_id, 'user_id', (p_document).user_id,
    'collection', (p_document).collection, 'title', (p_document).title,
    'source_uri', (p_document).source_uri, 'kind', (p_document).kind, 'version', (p_document).version,
    'media_type', (p_document).media_type, 'tags', to_jsonb((p_document).tags),
    'metadata', (p_document).metadata, 'live_generation', (p_document).live_generation)
$$;

-- Called by rag_claim_jobs. queued -> processing for up to p_slots ready rows; answers their ids.
-- Raises unique_violation when two rows of one document meet.
create or replace function public.rag_take_ready(
  p_worker text, p_slots integer, p_kinds text[], p_lease_seconds integer, p_except uuid[]) returns uuid[]
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
begin
  with ready as materialized (
    select q.ctid as place from public.rag_ingestion_queue q
    where q.status = 'queued' and q.position is not null
      and q.kind = any (p_kinds)
      and q.id <> all (p_except)
      -- A later job of a document at work waits until that one is settled.
      and not exists (
        select 1 from public.rag_ingestion_queue w
        where w.document_id = q.document_id and w.status = 'processing' and w.kind = 'document'
          and q.kind = 'document')
    order by q.priority desc, q.position
    limit p_slots
    for update skip locked
  ), taken as (
    update public.rag_ingestion_queue q
    set status = 'processing', worker_id = p_worker, attempts = q.attempts + 1,
        lease_token = nextval('public.rag_lease_tokens'),
        lease_expires_at = now() + make_interval(secs => p_lease_seconds),
        stage = null, started_at = coalesce(q.started_at, now()), updated_at = now()
    from ready r where q.ctid = r.place
    returning q.id
  )
  select array_agg(t.id) into v_ids from taken t;
  return coalesce(v_ids, '{}');
end $$;

-- Called by a worker with free slots. queued -> processing.
-- Answers an array of {job_id, lease_token, kind, tenant_id, attempt, max_attempts, document}; [] is all an
-- idle poll costs.
create or replace function public.rag_claim_jobs(
  p_worker text, p_slots integer, p_kinds text[], p_lease_seconds integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_ids uuid[];
  v_next uuid;
  v_clashed uuid[] := array[]::uuid[];
begin
  -- Delayed rows that are due become ready.
  update public.rag_ingestion_queue q set position = nextval('public.rag_queue_positions')
  where q.id in (
    select d.id from public.rag_ingestion_queue d
    where d.status = 'queued' and d.position is null and d.run_at <= now()
    order by d.run_at limit greatest(p_slots, 100)
    for update skip locked);
  begin
    v_ids := public.rag_take_ready(p_worker, p_slots, p_kinds, p_lease_seconds, '{}');
  exception when unique_violation then
    -- Two rows of one document were inserted at the same moment, or two replicas met. Rare: one by one.
    v_ids := '{}';
    for i in 1 .. p_slots loop
      begin
        select q.id into v_next from public.rag_ingestion_queue q
        where q.status = 'queued' and q.position is not null and q.kind = any (p_kinds)
          and q.id <> all (v_clashed)
          and not exists (
            select 1 from public.rag_ingestion_queue w
            where w.document_id = q.document_id and w.status = 'processing' and w.kind = 'document'
              and q.kind = 'document')
        order by q.priority desc, q.position limit 1;
        exit when v_next is null;
        v_ids := v_ids || public.rag_take_ready(p_worker, 1, p_kinds, p_lease_seconds, v_clashed);
      exception when unique_violation then
        v_clashed := v_clashed || v_next;
      end;
    end loop;
  end;
  if v_ids = '{}' then
    return '[]'::jsonb;
  end if;
  return (
    select jsonb_agg(
      jsonb_build_object(
        'job_id', q.id, 'lease_token', q.lease_token::text, 'kind', q.kind, 'tenant_id', q.tenant_id,
        'attempt', q.attempts, 'max_attempts', q.max_attempts,
        'document', case when d.id is null then null else public.rag_document_json(d) end)
      order by q.priority desc, q.position)
    from public.rag_ingestion_queue q
    left join public.rag_documents d on d.id = q.document_id
    where q.id = any (v_ids));
end $$;

-- Called by a worker's lease keeper. Prolongs the worker's own row, which holds all its jobs.
-- p_held: [{job_id, lease_token}], what the worker really holds; a row of its own that is not among them, past
-- its first lease, is a claim whose answer was lost: processing -> queued, attempt given back.
-- Answers {lost: [lease_token], orphans}: lost are held tokens that are no longer a processing row's.
create or replace function public.rag_keep_leases(p_worker text, p_held jsonb, p_lease_seconds integer)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_lost jsonb;
  v_orphans integer;
begin
  insert into public.rag_workers as w (worker_id, alive_until, jobs)
  values (p_worker, now() + make_interval(secs => p_lease_seconds), jsonb_array_length(p_held))
  on conflict (worker_id) do update
    set alive_until = excluded.alive_until, jobs = excluded.jobs;

  -- Quiet jobs are touched, so that the operators' reset of jobs untouched for ten minutes spares them.
  -- skip locked: a row that somebody else holds for long must not keep us from renewing all the others.
  update public.rag_ingestion_queue q set updated_at = now()
  where q.id in (
    select o.id from public.rag_ingestion_queue o
    join jsonb_to_recordset(p_held) as h(job_id uuid, lease_token bigint) on o.id = h.job_id
    where o.lease_token = h.lease_token and o.status = 'processing'
      and o.updated_at < now() - interval '1 minute'
    for no key update of o skip locked);

  select coalesce(jsonb_agg(h.lease_token::text), '[]') into v_lost
  from jsonb_to_recordset(p_held) as h(job_id uuid, lease_token bigint)
  where not exists (
    select 1 from public.rag_ingestion_queue q
    where q.id = h.job_id and q.lease_token = h.lease_token and q.status = 'processing');

  with orphans as (
    update public.rag_ingestion_queue q
    set status = 'queued', attempts = greatest(q.attempts - 1, 0)
    where q.id in (
      select o.id from public.rag_ingestion_queue o
      where o.status = 'processing' and o.worker_id = p_worker and o.lease_expires_at < now()
        and not exists (
          select 1 from jsonb_to_recordset(p_held) as h(job_id uuid, lease_token bigint)
          where h.job_id = o.id and h.lease_token = o.lease_token)
      for no key update of o skip locked)
    returning 1)
  select count(*) into v_orphans from orphans;
  return jsonb_build_object('lost', v_lost, 'orphans', v_orphans);
end $$;

-- Called by a worker that stops. Whatever it still holds: processing -> queued, attempt given back.
-- Answers {released}.
create or replace function public.rag_retire_worker(p_worker text) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_released integer;
begin
  with released as (
    update public.rag_ingestion_queue q
    set status = 'queued', attempts = greatest(q.attempts - 1, 0)
    where q.status = 'processing' and q.worker_id = p_worker
    returning 1)
  select count(*) into v_released from released;
  delete from public.rag_workers w where w.worker_id = p_worker;
  return jsonb_build_object('released', v_released);
end $$;

-- Called by the worker that holds the lease, when a failure may pass. processing -> queued after a backoff,
-- or failed when no attempt is left. Answers 'queued', 'failed' or 'lease_lost'.
create or replace function public.rag_retry_job(
  p_job_id uuid, p_lease_token bigint, p_error_code text, p_error_detail text) returns text
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return 'lease_lost';
  end if;
  if v_job.attempts >= v_job.max_attempts then
    return public.rag_fail_job(p_job_id, v_job.lease_token, p_error_code, p_error_detail);
  end if;
  update public.rag_ingestion_queue q
  set status = 'queued', error_code = p_error_code, error_detail = p_error_detail,
      errors = public.rag_errors_with(q.errors, p_error_code, p_error_detail, q.attempts, q.worker_id),
      run_at = now() + make_interval(secs => public.rag_backoff_seconds(q.attempts))
  where q.id = p_job_id;
  return 'queued';
end $$;

-- Called by the worker that holds the lease, when it stops or has to wait through no fault of the job.
-- processing -> queued, attempt given back. p_error_code says why it waits (null: nothing to tell).
-- Answers 'queued' or 'lease_lost'.
create or replace function public.rag_release_job(
  p_job_id uuid, p_lease_token bigint, p_delay_seconds double precision, p_error_code text, p_error_detail text)
returns text
language plpgsql set search_path = '' as $$
begin
  update public.rag_ingestion_queue q
  set status = 'queued', attempts = greatest(q.attempts - 1, 0),
      error_code = p_error_code, error_detail = p_error_detail,
      run_at = now() + make_interval(secs => least(greatest(p_delay_seconds, 0), 86400))
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing';
  return case when found then 'queued' else 'lease_lost' end;
end $$;

-- Called by the worker that holds the lease, when the document cannot succeed as it is, and by
-- rag_retry_job. processing -> failed; the document's live generation, if any, goes on serving.
-- Answers 'failed' (also when sent twice) or 'lease_lost'.
create or replace function public.rag_fail_job(
  p_job_id uuid, p_lease_token bigint, p_error_code text, p_error_detail text) returns text
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status in ('processing', 'failed')
  for update;
  if not found then
    return 'lease_lost';
  end if;
  if v_job.status = 'failed' then
    return 'failed';
  end if;
  update public.rag_ingestion_queue q
  set status = 'failed', error_code = p_error_code, error_detail = p_error_detail,
      errors = public.rag_errors_with(q.errors, p_error_code, p_error_detail, q.attempts, q.worker_id),
      updated_at = now(), completed_at = now()
  where q.id = p_job_id;
  if v_job.kind = 'document' then
    update public.rag_documents d set status = 'failed', updated_at = now() where d.id = v_job.document_id;
  end if;
  return 'failed';
end $$;

-- Called by every replica now and then; needs no leader. Jobs whose own lease and whose worker's row have both
-- run out: processing -> queued after a backoff, or failed when their attempts are spent, so that a document
-- that kills its worker ends. Answers {requeued, failed}.
create or replace function public.rag_reap(p_limit integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job record;
  v_requeued integer := 0;
  v_failed integer := 0;
begin
  for v_job in
    select q.id, q.attempts, q.max_attempts, q.worker_id, q.document_id, q.kind
    from public.rag_ingestion_queue q
    where q.status = 'processing' and q.lease_expires_at < now()
      and not exists (
        select 1 from public.rag_workers w where w.worker_id = q.worker_id and w.alive_until >= now())
    order by q.lease_expires_at
    limit least(p_limit, 1000)
    for update of q skip locked
  loop
    if v_job.attempts >= v_job.max_attempts then
      update public.rag_ingestion_queue q
      set status = 'failed', error_code = 'job.attempts-spent',
          error_detail = 'The job was tried as often as allowed and did not succeed. Look at its errors, then retry it.',
          errors = public.rag_errors_with(
            q.errors, 'job.attempts-spent', 'The worker disappeared.', q.attempts, q.worker_id),
          updated_at = now(), completed_at = now()
      where q.id = v_job.id;
      if v_job.kind = 'document' then
        update public.rag_documents d set status = 'failed', updated_at = now() where d.id = v_job.document_id;
      end if;
      v_failed := v_failed + 1;
    else
      -- A crash is more often the worker's fault than the document's: the first second try comes at once.
      update public.rag_ingestion_queue q
      set status = 'queued',
          errors = public.rag_errors_with(
            q.errors, 'job.worker-lost', 'The worker disappeared.', q.attempts, q.worker_id),
          run_at = now() + make_interval(
            secs => case when v_job.attempts <= 1 then 0 else public.rag_backoff_seconds(v_job.attempts - 1) end)
      where q.id = v_job.id;
      v_requeued := v_requeued + 1;
    end if;
  end loop;
  delete from public.rag_workers w where w.alive_until < now() - interval '1 day';
  return jsonb_build_object('requeued', v_requeued, 'failed', v_failed);
end $$;
