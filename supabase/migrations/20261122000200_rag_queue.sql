-- The queue: one row a job, and the place that a row gets among those that are ready.
-- A claim takes a lease_token from a sequence that only rises; every later write names job and token. The
-- database's clock decides; workers send and receive durations only.

create sequence if not exists public.rag_lease_tokens;
create sequence if not exists public.rag_job_names;

-- Cells that all replicas share. A sequence is the one thing in Postgres that is written without a transaction,
-- outlives a restart and leaves no dead version behind: a counter row would collect them under every old snapshot.
-- Lanes 0 to 9 are the priorities, lane 10 the delayed rows (in milliseconds of run_at).
--   clock  position of the job claimed last: the virtual time of its priority; never lowered
--   floor  no ready row lies below: claims begin here, and not at the entries of jobs long gone
--   mark   what floor will be raised to, once every transaction that was running at mark_xid has ended
do $$
begin
  for v_lane in 0..10 loop
    execute format('create sequence if not exists public.rag_queue_clock_%s', v_lane);
    execute format('create sequence if not exists public.rag_queue_mark_%s', v_lane);
    execute format('create sequence if not exists public.rag_queue_floor_%s', v_lane);
  end loop;
end $$;
create sequence if not exists public.rag_queue_mark_xid;
-- When (milliseconds since 1970) floors were last raised, checked against the whole index, and jobs reaped.
create sequence if not exists public.rag_queue_marked_at;
create sequence if not exists public.rag_queue_checked_at;
create sequence if not exists public.rag_queue_reaped_at;

-- What a column may hold is said by its type: an update checks the columns that it writes. A CHECK of the table is
-- read from its text again by every statement, whatever that writes (13 of them: a quarter of a single claim).
do $$
declare
  v_domain record;
begin
  for v_domain in
    select * from (values
      ('rag_job_kind', $d$text check (value in ('document', 'reembed', 'relationships', 'sync'))$d$),
      ('rag_job_status', $d$text check (value in ('queued', 'processing', 'complete', 'failed', 'cancelled'))$d$),
      ('rag_job_stage', $d$text check (value in ('fetching', 'parsing', 'embedding', 'analysing', 'completing'))$d$),
      ('rag_job_wait', $d$text check (value in ('document', 'cap', 'pause'))$d$),
      ('rag_priority', 'smallint check (value between 0 and 9)'),
      ('rag_run_time', $d$timestamptz check (value > '2000-01-01' and value < '2200-01-01')$d$),
      -- W3C Trace Context, version 00 and what is laid out like it: version, trace, span, flags.
      ('rag_traceparent', $d$text check (
        value ~ '^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$')$d$),
      ('rag_attempts', 'integer check (value >= 0)'),
      ('rag_most_attempts', 'integer check (value between 1 and 100)')) d (name, definition)
  loop
    if to_regtype('public.' || v_domain.name) is null then
      execute format('create domain public.%I as %s', v_domain.name, v_domain.definition);
    end if;
  end loop;
end $$;

create table if not exists public.rag_ingestion_queue (
  -- The first four digits count, the rest is random. People name jobs by the first few: 65,536 in a row all
  -- have another name. And jobs that are claimed together lie together in the index: a third off claim and settle.
  id uuid primary key default encode(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send(nextval('public.rag_job_names')) from 7) from 1 for 2), 'hex')::uuid,
  kind public.rag_job_kind not null default 'document',
  document_id uuid references public.rag_documents (id) on delete cascade,
  tenant_id text not null,
  status public.rag_job_status not null default 'queued',
  stage public.rag_job_stage,
  -- 0 to 9; the higher goes first.
  priority public.rag_priority not null default 0,
  -- Place among the ready rows of a priority: the start tag of start-time fair queuing by tenant.
  -- null while the job waits for run_at.
  position bigint,
  -- Why a row that is due may not be claimed yet: a job of the same document is at work, its tenant has as many
  -- jobs at work as it may, or its tenant is paused. Such a row is out of the index that claims walk.
  waits_for public.rag_job_wait,
  run_at public.rag_run_time not null default now(),
  -- Counted by the claim, given back by a release.
  attempts public.rag_attempts not null default 0,
  max_attempts public.rag_most_attempts not null default 5,
  worker_id text,
  -- Stays on a finished row, so that a transition that is sent twice is recognised.
  lease_token bigint,
  lease_expires_at timestamptz,
  -- The token under which the job was last retried or released, for the same reason.
  returned_token bigint,
  generation integer,
  total_segments integer,
  processed_segments integer not null default 0,
  total_chunks integer,
  processed_chunks integer not null default 0,
  reused_chunks integer not null default 0,
  -- Those that the provider refused, and that have no vector; rag_rejected_chunks says which and why.
  rejected_chunks integer not null default 0,
  tokens bigint not null default 0,
  cost_usd numeric(14, 8) not null default 0,
  error_code text,
  error_detail text,
  -- The last ten: {at, code, detail, attempt, worker_id}.
  errors jsonb not null default '[]',
  dedupe_key text,
  -- What a job of the kind sync is asked (rag_check_sync).
  sync jsonb,
  -- The span of whoever enqueued it: the trace of its runs goes on from there (rag_trace_parents).
  traceparent public.rag_traceparent,
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

-- Few indexes, for claim and settle each write all of them. Only ready rows are in the one that claims walk:
-- a million finished rows cost it nothing.
create index if not exists rag_queue_ready on public.rag_ingestion_queue (priority, position)
  where status = 'queued' and position is not null and waits_for is null;
create index if not exists rag_queue_behind on public.rag_ingestion_queue (document_id)
  where status = 'queued' and waits_for = 'document';
create index if not exists rag_queue_held_back on public.rag_ingestion_queue (tenant_id, priority desc, position)
  where status = 'queued' and waits_for in ('cap', 'pause');
-- A tenant's last tag; only an insert writes it.
create index if not exists rag_queue_tags on public.rag_ingestion_queue (tenant_id, priority, position)
  where status = 'queued' and position is not null;
create index if not exists rag_queue_delayed on public.rag_ingestion_queue (run_at)
  where status = 'queued' and position is null;
-- One processing job a document; a job is always of its document's tenant.
create unique index if not exists rag_queue_working on public.rag_ingestion_queue
  (tenant_id, (case when kind = 'document' then document_id else id end))
  where status = 'processing';
-- With room for the entries of both later versions of a row: without it half of them split a page or look for dead
-- ones to make room, a twentieth of claim and settle.
create index if not exists rag_queue_by_document on public.rag_ingestion_queue (document_id) with (fillfactor = 35);
-- Ranges of blocks, for lists of the last hour or day: a job that moves on hardly ever writes here.
create index if not exists rag_queue_recent on public.rag_ingestion_queue using brin (submitted_at)
  with (pages_per_range = 32, autosummarize = on);
create index if not exists rag_queue_sync on public.rag_ingestion_queue (status) where kind = 'sync';
-- Only while the model is changed are there rows in it.
create index if not exists rag_queue_reembed on public.rag_ingestion_queue (status, document_id)
  where kind = 'reembed';
create unique index if not exists rag_queue_dedupe on public.rag_ingestion_queue (tenant_id, dedupe_key)
  where dedupe_key is not null;

-- One narrow row a replica. A job is held until the later of its own first lease and its worker's row.
create sequence if not exists public.rag_worker_locks maxvalue 2147483647 cycle;
create table if not exists public.rag_workers (
  worker_id text primary key,
  alive_until timestamptz not null,
  started_at timestamptz not null default now(),
  jobs integer not null default 0,
  kinds text[],
  -- Where it listens for pg_notify; null when it does not.
  listen_channel text check (octet_length(listen_channel) between 1 and 63),
  -- The advisory lock that its session holds while it lives, since when, and since when nobody holds it.
  lock_key integer not null default nextval('public.rag_worker_locks'),
  locked_at timestamptz,
  missing_since timestamptz
) with (fillfactor = 50);

create table if not exists public.rag_tenants (
  tenant_id text primary key,
  -- Share of the workers' time beside other tenants that have work.
  weight integer not null default 1 check (weight between 1 and 1000),
  -- Most jobs at work at once; null: as many as there are slots.
  max_jobs integer check (max_jobs > 0),
  created_at timestamptz not null default now()
);
create index if not exists rag_tenants_capped on public.rag_tenants (tenant_id) where max_jobs is not null;

-- What may not be claimed for now. Jobs at work go on.
create table if not exists public.rag_pauses (
  scope text not null check (scope in ('all', 'kind', 'tenant')),
  name text not null default '' check ((scope = 'all') = (name = '')),
  reason text,
  paused_at timestamptz not null default now(),
  primary key (scope, name),
  check (scope <> 'kind' or name in ('document', 'reembed', 'relationships', 'sync'))
);

-- A cell's value; 0 before it was ever set. Hot paths write this out: Postgres parses a function in SQL each time.
create or replace function public.rag_cell(p_cell regclass) returns bigint
language sql volatile set search_path = '' as $$
  select coalesce(pg_catalog.pg_sequence_last_value(p_cell), 0)
$$;

-- Gives a queued row its place, or none when it is not due, and says what else it has to wait for.
-- The place is the later of the priority's clock and the tenant's last tag plus a step of its cost over its weight
-- ("Start-time Fair Queuing", Goyal, Vin and Cheng, 1996, with the row's own cost for its forerunner's). It takes
-- no lock and updates no row: two that insert for one tenant at the same moment may get the same tag, and the index
-- breaks the tie.
-- Without sequential scans, here and below: a plan is made once and kept, and was perhaps made while the table was
-- still empty.
create or replace function public.rag_place_row(p_row public.rag_ingestion_queue)
returns public.rag_ingestion_queue
language plpgsql volatile set search_path = '' set enable_seqscan = off as $$
declare
  v_row public.rag_ingestion_queue := p_row;
  v_clock bigint;
  v_step bigint;
  v_last bigint;
begin
  -- Before the clock is read, so that whoever samples it can tell that this row is still to come (rag_raise_floors).
  perform pg_catalog.pg_current_xact_id();
  -- Not now(), which is when the transaction began: a floor may have passed that since.
  if v_row.run_at > clock_timestamp() then
    v_row.position := null;
    v_row.waits_for := null;
    return v_row;
  end if;
  v_clock := greatest(1, coalesce(pg_catalog.pg_sequence_last_value(
    ('public.rag_queue_clock_' || v_row.priority)::regclass), 1));
  select
    -- About 4,000 bytes make a chunk, marks and pictures counted in; a size that is unknown counts as one.
    greatest(1, 1000 * least(greatest(coalesce(d.byte_size / 4000, 1), 1), 10000) / coalesce(t.weight, 1)),
    case
      when v_row.kind = 'document' and exists (select 1 from public.rag_ingestion_queue w
        where w.tenant_id = v_row.tenant_id and w.status = 'processing'
          and (case when w.kind = 'document' then w.document_id else w.id end) = v_row.document_id
          and w.id <> v_row.id) then 'document'
      when exists (select 1 from public.rag_pauses p where p.scope = 'tenant' and p.name = v_row.tenant_id)
        then 'pause'
      -- Behind those of its tenant that wait already.
      when t.max_jobs is not null and exists (select 1 from public.rag_ingestion_queue w
        where w.status = 'queued' and w.waits_for in ('cap', 'pause') and w.tenant_id = v_row.tenant_id) then 'cap'
    end,
    (select max(o.position) from public.rag_ingestion_queue o
      where o.tenant_id = v_row.tenant_id and o.priority = v_row.priority and o.status = 'queued'
        and o.position >= v_clock)
  into v_step, v_row.waits_for, v_last
  from (select 1) one
  left join public.rag_documents d on d.id = v_row.document_id and v_row.kind in ('document', 'reembed')
  left join public.rag_tenants t on t.tenant_id = v_row.tenant_id;
  v_row.position := greatest(v_clock, v_last + v_step);
  return v_row;
end $$;

-- Called before a row enters the queue, also by an application's plain insert.
-- Fills in what the application left out, and ends older jobs of the same document that still wait.
create or replace function public.rag_queue_before_insert() returns trigger
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_older boolean := false;
begin
  -- A job is of its document's tenant, whatever the row says: its chunks are.
  if new.document_id is not null then
    select d.tenant_id, new.status = 'queued' and new.kind = 'document' and exists (
      select 1 from public.rag_ingestion_queue o
      where o.document_id = new.document_id and o.kind = 'document' and o.status = 'queued')
    into new.tenant_id, v_older
    from public.rag_documents d where d.id = new.document_id;
  end if;
  new.tenant_id := coalesce(new.tenant_id, 'default');
  if new.status = 'queued' then
    new.lease_token := null;
    if v_older then
      -- skip locked: whoever holds such a row is claiming or cancelling it, and we never wait for them.
      -- A row that is due earlier than the new one stays; the new one inherits the urgency of those it ends.
      with ended as (
        update public.rag_ingestion_queue q
        set status = 'cancelled', waits_for = null, error_code = 'job.superseded',
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
    if new.priority is not null then -- otherwise refused in a moment
      new := public.rag_place_row(new);
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
  return public.rag_place_row(new);
end $$;

drop trigger if exists rag_queue_before_requeue on public.rag_ingestion_queue;
create trigger rag_queue_before_requeue before update of status on public.rag_ingestion_queue
  for each row when (new.status = 'queued' and old.status <> 'queued')
  execute function public.rag_queue_before_requeue();

-- Called when a waiting row is given another priority or time by hand: its place was of the old ones.
create or replace function public.rag_queue_before_replace() returns trigger
language plpgsql set search_path = '' as $$
begin
  return public.rag_place_row(new);
end $$;

drop trigger if exists rag_queue_before_replace on public.rag_ingestion_queue;
create trigger rag_queue_before_replace before update of priority, run_at on public.rag_ingestion_queue
  for each row when (new.status = 'queued' and old.status = 'queued'
    and (new.priority <> old.priority or new.run_at <> old.run_at)
    and new.priority is not null)
  execute function public.rag_queue_before_replace();

-- Called after an insert and by operators' functions: tells workers that listen to look now. A hint, no more.
-- NOTIFY takes a lock on the whole database at commit, hence one a statement, and none when nobody listens.
create or replace function public.rag_wake_workers(p_operation text, p_document_id uuid) returns void
language plpgsql set search_path = '' as $$
begin
  perform pg_catalog.pg_notify(c.channel, jsonb_build_object(
    'operation', p_operation, 'document_id', p_document_id, 'timestamp', now(),
    -- A payload holds less than 8,000 bytes.
    'file_path', (select left(d.source_uri, 1000) from public.rag_documents d where d.id = p_document_id))::text)
  from (select distinct w.listen_channel as channel from public.rag_workers w
    where w.listen_channel is not null and w.alive_until >= now()) c;
end $$;

create or replace function public.rag_queue_after_insert() returns trigger
language plpgsql set search_path = '' as $$
declare
  v_document_id uuid;
begin
  select i.document_id into v_document_id from inserted i
  where i.status = 'queued' and i.position is not null and i.waits_for is null
    and exists (select 1 from public.rag_workers w where w.listen_channel is not null and w.alive_until >= now())
  limit 1;
  if found then
    perform public.rag_wake_workers('insert', v_document_id);
  end if;
  return null;
end $$;

drop trigger if exists rag_queue_after_insert on public.rag_ingestion_queue;
create trigger rag_queue_after_insert after insert on public.rag_ingestion_queue
  referencing new table as inserted
  for each statement execute function public.rag_queue_after_insert();
