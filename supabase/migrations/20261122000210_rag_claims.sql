-- Taking jobs: who may, in which order, and from where in the index.

-- The lowest place in a lane, at or above p_from, where a row stands that could be claimed; null when none does.
create or replace function public.rag_lowest_place(p_lane integer, p_from bigint) returns bigint
language plpgsql volatile set search_path = '' set enable_seqscan = off as $$
begin
  if p_lane = 10 then
    return (select floor(extract(epoch from min(q.run_at)) * 1000)::bigint from public.rag_ingestion_queue q
      where q.status = 'queued' and q.position is null
        and q.run_at >= to_timestamp(p_from / 1000.0));
  end if;
  return (select q.position from public.rag_ingestion_queue q
    where q.status = 'queued' and q.position is not null and q.waits_for is null
      and q.priority = p_lane::smallint and q.position >= p_from
    order by q.position limit 1);
end $$;

-- Whether every transaction with an xid below p_xid has ended that could still bring a row into the queue. One
-- that writes elsewhere for hours is no reason to wait: a row to come needs a lock on the queue's table.
create or replace function public.rag_all_ended_before(p_xid bigint) returns boolean
language plpgsql volatile set search_path = '' as $$
begin
  if pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint >= p_xid then
    return true;
  end if;
  return not exists (
    select 1 from pg_catalog.pg_locks t
    join pg_catalog.pg_locks x on x.virtualtransaction = t.virtualtransaction
    where t.locktype = 'relation' and t.relation = 'public.rag_ingestion_queue'::regclass
      and t.mode = 'RowExclusiveLock' and x.locktype = 'transactionid' and x.mode = 'ExclusiveLock'
      and t.pid <> pg_catalog.pg_backend_pid()
      and pg_catalog.age(x.transactionid) > pg_catalog.age((p_xid % 4294967296)::text::xid));
end $$;

-- Called by a claim, before it takes anything: raises the floors, at most every tenth of a second.
-- Under an old open snapshot the index keeps the entry of every job that was ready since, and a scan from the
-- start walks them all (100,000: 16 ms a claim, and as much an empty poll). Hence claims begin at a floor.
-- That no ready row lies below it is known in two steps. First the clocks are noted as marks, then the first xid
-- not yet given. A row that is still to be seen below a mark was placed before its clock stood there, and its
-- transaction had its xid by then (rag_place_row): it is one of those that were running. When all of them have
-- ended, what they left is visible, and the floor is the lower of the mark and the lowest ready row. Whatever
-- becomes ready later is placed at or above the clock. Call this before the transaction takes a row: what is
-- taken by one that rolls back would be ready again below the floor.
create or replace function public.rag_raise_floors() returns void
language plpgsql set search_path = '' as $$
declare
  v_now bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  v_xid bigint := coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_mark_xid'), 0);
  v_ended boolean;
  v_check boolean;
  v_floor bigint;
  v_mark bigint;
  v_lowest bigint;
begin
  -- Held until we commit: nobody else raises meanwhile. Who does not get it goes on without.
  if not pg_catalog.pg_try_advisory_xact_lock(7243, 1) then
    return;
  end if;
  perform pg_catalog.setval('public.rag_queue_marked_at', v_now);
  -- Insurance against what marks cannot know (a restored dump, a clock set back): now and then the whole index is
  -- looked at, and a floor that is too high is lowered.
  v_check := v_now - coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_checked_at'), 0) not between 0 and 30000;
  if v_check then
    perform pg_catalog.setval('public.rag_queue_checked_at', v_now);
  end if;
  v_ended := v_xid <= pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint
    and public.rag_all_ended_before(v_xid);
  if v_ended or v_check then
    for v_lane in 0..10 loop
      v_floor := coalesce(pg_catalog.pg_sequence_last_value(('public.rag_queue_floor_' || v_lane)::regclass), 0);
      v_mark := coalesce(pg_catalog.pg_sequence_last_value(('public.rag_queue_mark_' || v_lane)::regclass), 0);
      continue when v_mark <= v_floor and not v_check;
      v_lowest := public.rag_lowest_place(v_lane, case when v_check then 0 else v_floor end);
      if v_check and v_lowest < v_floor then
        perform pg_catalog.setval(('public.rag_queue_floor_' || v_lane)::regclass, greatest(v_lowest, 1));
      elsif v_ended and least(v_mark, v_lowest) > v_floor then
        perform pg_catalog.setval(('public.rag_queue_floor_' || v_lane)::regclass, least(v_mark, v_lowest));
      end if;
    end loop;
  end if;
  -- An xid from before a restore lies in the future; it is noted anew.
  if v_ended or v_xid > pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint then
    for v_lane in 0..9 loop
      v_mark := coalesce(pg_catalog.pg_sequence_last_value(('public.rag_queue_clock_' || v_lane)::regclass), 0);
      if v_mark > coalesce(pg_catalog.pg_sequence_last_value(('public.rag_queue_mark_' || v_lane)::regclass), 0) then
        perform pg_catalog.setval(('public.rag_queue_mark_' || v_lane)::regclass, v_mark);
      end if;
    end loop;
    perform pg_catalog.setval('public.rag_queue_mark_10', v_now);
    -- After the marks, in a statement of its own: a later xid is only more careful.
    perform pg_catalog.setval('public.rag_queue_mark_xid',
      pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint);
  end if;
end $$;

-- Notes how far a priority has come. Under a lock, for the clock must never go back; who does not get it leaves
-- that to the next claim.
create or replace function public.rag_raise_clock(p_priority smallint, p_position bigint) returns void
language plpgsql set search_path = '' as $$
declare
  v_clock regclass := ('public.rag_queue_clock_' || p_priority)::regclass;
begin
  if coalesce(pg_catalog.pg_sequence_last_value(v_clock), 0) < p_position and pg_catalog.pg_try_advisory_xact_lock(7244, p_priority)
    and coalesce(pg_catalog.pg_sequence_last_value(v_clock), 0) < p_position then
    perform pg_catalog.setval(v_clock, p_position);
  end if;
end $$;

-- Delayed rows that are due become ready.
create or replace function public.rag_promote_due(p_limit integer) returns void
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_due tid[];
begin
  select array_agg(d.place) into v_due from (
    select q.ctid as place from public.rag_ingestion_queue q
    where q.status = 'queued' and q.position is null and q.run_at <= now()
      and q.run_at >= to_timestamp(coalesce(
        pg_catalog.pg_sequence_last_value('public.rag_queue_floor_10'), 0) / 1000.0)
    order by q.run_at limit p_limit
    for update skip locked) d;
  if v_due is not null then
    update public.rag_ingestion_queue q
    set (position, waits_for) = (select p.position, p.waits_for from public.rag_place_row(q) p)
    where q.ctid = any (v_due);
  end if;
end $$;

-- Rows that had to wait and need not any more become ready again, at or above the clock. p_behind: some wait for
-- their document; p_held_back: some for their tenant.
create or replace function public.rag_readmit(p_behind boolean, p_held_back boolean) returns void
language plpgsql set search_path = '' set enable_seqscan = off as $$
begin
  if p_behind then
    update public.rag_ingestion_queue q
    set waits_for = null,
        position = greatest(q.position, coalesce(pg_catalog.pg_sequence_last_value(('public.rag_queue_clock_' || q.priority)::regclass), 0))
    where q.ctid = any (array(
      select w.ctid from public.rag_ingestion_queue w
      where w.status = 'queued' and w.waits_for = 'document'
        and not exists (select 1 from public.rag_ingestion_queue o where o.document_id = w.document_id
          and o.status = 'processing' and o.kind = 'document')
      limit 100 for update skip locked));
  end if;
  if p_held_back then
    update public.rag_ingestion_queue q
    set waits_for = null,
        position = greatest(q.position, coalesce(pg_catalog.pg_sequence_last_value(('public.rag_queue_clock_' || q.priority)::regclass), 0))
    where q.ctid = any (array(
      -- Its next rows, as many as may run beside those at work; the claim itself heeds the cap exactly.
      select r.place from (
        with recursive tenants as (
          (select w.tenant_id from public.rag_ingestion_queue w
            where w.status = 'queued' and w.waits_for in ('cap', 'pause') order by w.tenant_id limit 1)
          union all
          select (select w.tenant_id from public.rag_ingestion_queue w
            where w.status = 'queued' and w.waits_for in ('cap', 'pause') and w.tenant_id > n.tenant_id
            order by w.tenant_id limit 1)
          from tenants n where n.tenant_id is not null)
        select n.tenant_id from tenants n where n.tenant_id is not null
          and not exists (select 1 from public.rag_pauses p where p.scope = 'tenant' and p.name = n.tenant_id)
        order by random() limit 200) n
      left join public.rag_tenants t on t.tenant_id = n.tenant_id
      cross join lateral (
        select w.ctid as place from public.rag_ingestion_queue w
        where w.status = 'queued' and w.waits_for in ('cap', 'pause') and w.tenant_id = n.tenant_id
        order by w.priority desc, w.position
        limit greatest(0, coalesce(t.max_jobs, 1000) - (
          select count(*) from (
            select 1 from public.rag_ingestion_queue a where a.tenant_id = n.tenant_id and a.status = 'processing'
            union all
            select 1 from public.rag_ingestion_queue a where a.tenant_id = n.tenant_id and a.status = 'queued'
              and a.position is not null and a.waits_for is null) c))
        for update skip locked) r));
  end if;
end $$;

-- Of the rows that a claim has locked, those whose tenants may have more at work; the others are set aside.
-- Exact, and nobody waits. Near its cap a tenant's jobs are counted under a lock of its own that is held until the
-- claim is visible; it is tried, and the rows of a tenant that somebody else is counting are left for the next claim.
-- Far from its cap claims count beside each other: they share that lock, at most eight of them at once hold a ticket,
-- and each takes at most a sixteenth of the cap. So whoever sees room for seven such shares beside its own jobs cannot
-- pass the cap: every other claim has either been counted, for its ticket is given back after it is visible, or takes
-- no more than a share. p_again: this transaction has claimed before; its share may be spent.
-- p_tenants: whose the rows are, one each.
create or replace function public.rag_heed_limits(p_places tid[], p_tenants text[], p_again boolean) returns tid[]
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_ticket boolean := false;
  v_tenants text[];
  v_capped bigint;
  v_sharing text[];
  v_jobs integer[];
  v_free text[];
  v_counted text[];
  v_allowed tid[];
begin
  for v_place in 0..7 loop
    exit when p_again;
    v_ticket := pg_catalog.pg_try_advisory_xact_lock(7248, (pg_catalog.pg_backend_pid() + v_place) % 8);
    exit when v_ticket;
  end loop;
  with met as materialized (
    select n.tenant_id, count(*)::integer as jobs from unnest(p_tenants) n (tenant_id) group by n.tenant_id
  ), capped as materialized (
    select m.tenant_id, m.jobs, t.max_jobs
    from met m join public.rag_tenants t on t.tenant_id = m.tenant_id where t.max_jobs is not null
  ), sharing as materialized (
    select c.tenant_id, c.jobs from capped c
    where v_ticket and c.jobs <= c.max_jobs / 16
      and pg_catalog.pg_try_advisory_xact_lock_shared(7245, hashtext(c.tenant_id)))
  select (select array_agg(m.tenant_id) from met m), (select count(*) from capped),
    (select array_agg(s.tenant_id) from sharing s), (select array_agg(s.jobs) from sharing s)
  into v_tenants, v_capped, v_sharing, v_jobs;

  -- A statement of its own: its snapshot is younger than the locks.
  if v_sharing is not null then
    select array_agg(s.tenant_id) into v_free
    from unnest(v_sharing, v_jobs) s (tenant_id, jobs)
    join public.rag_tenants t on t.tenant_id = s.tenant_id
    where t.max_jobs is null or s.jobs + 7 * (t.max_jobs / 16) + (
      select count(*) from (select 1 from public.rag_ingestion_queue w
        where w.status = 'processing' and w.tenant_id = s.tenant_id limit t.max_jobs) c) <= t.max_jobs;
  end if;
  if v_capped = coalesce(array_length(v_free, 1), 0)
    and not exists (select 1 from public.rag_pauses p where p.scope = 'tenant') then
    return p_places;
  end if;

  with capped as materialized (
    select t.tenant_id from public.rag_tenants t where t.tenant_id = any (v_tenants) and t.max_jobs is not null
      and t.tenant_id <> all (coalesce(v_free, '{}')))
  select array_agg(c.tenant_id) into v_counted from capped c
  where pg_catalog.pg_try_advisory_xact_lock(7245, hashtext(c.tenant_id));

  with met as materialized (
    select q.ctid as place, q.tenant_id,
      row_number() over (partition by q.tenant_id order by q.priority desc, q.position) as place_in_tenant
    from public.rag_ingestion_queue q where q.ctid = any (p_places)
  ), room as materialized (
    select n.tenant_id, exists (select 1 from public.rag_pauses p where p.scope = 'tenant' and p.name = n.tenant_id)
      as paused,
      case when t.max_jobs is null or n.tenant_id = any (v_free) then 1000000000
        when n.tenant_id = any (v_counted) then t.max_jobs - (
          select count(*) from (select 1 from public.rag_ingestion_queue w
            where w.status = 'processing' and w.tenant_id = n.tenant_id limit t.max_jobs) c)
      end as jobs
    from unnest(v_tenants) n (tenant_id)
    left join public.rag_tenants t on t.tenant_id = n.tenant_id
  ), set_aside as (
    update public.rag_ingestion_queue q set waits_for = case when r.paused then 'pause' else 'cap' end
    from met m join room r on r.tenant_id = m.tenant_id
    where q.ctid = m.place and (r.paused or m.place_in_tenant > r.jobs)
  )
  select coalesce(array_agg(m.place), '{}') into v_allowed
  from met m join room r on r.tenant_id = m.tenant_id
  where not r.paused and m.place_in_tenant <= r.jobs;
  return v_allowed;
end $$;

-- queued -> processing for up to p_slots ready rows of these kinds: the higher priority first, then by position.
-- Answers them as rag_claim_jobs does; null when none is ready, an empty object when none of those may be taken yet:
-- somebody else is counting their tenants' jobs this very moment.
-- p_limited: some tenant has a cap or is paused. p_again: this transaction has claimed before.
-- Raises unique_violation when two rows of one document meet.
create or replace function public.rag_take_ready(
  p_worker text, p_slots integer, p_kinds text[], p_lease_seconds integer, p_limited boolean, p_again boolean)
returns json
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_floors bigint[] := array[
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_0'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_1'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_2'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_3'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_4'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_5'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_6'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_7'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_8'), 0),
    coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_floor_9'), 0)];
  v_places tid[];
  v_tenants text[];
  v_allowed tid[];
  v_jobs json;
  v_priorities smallint[];
  v_tops bigint[];
begin
  -- More than once only when all that was met had to be set aside: a backlog of a tenant at its cap.
  for v_round in 1..20 loop
    select array_agg(r.place), array_agg(r.tenant_id) filter (where p_limited) into v_places, v_tenants from (
      select l.place, l.tenant_id from generate_series(9, 0, -1) as lane (priority)
      cross join lateral (
        select q.ctid as place, q.tenant_id from public.rag_ingestion_queue q
        where q.status = 'queued' and q.position is not null and q.waits_for is null
          and q.priority = lane.priority::smallint and q.position >= v_floors[lane.priority + 1]
          and q.kind = any (p_kinds)
        order by q.position limit p_slots
        for update skip locked) l
      limit p_slots) r;
    if v_places is null then
      return null;
    end if;
    exit when not p_limited;
    v_allowed := public.rag_heed_limits(v_places, v_tenants, p_again);
    exit when v_allowed <> '{}';
  end loop;
  if p_limited then
    v_places := v_allowed;
    if v_places = '{}' then
      return '{}'::json;
    end if;
  end if;

  with taken as (
    update public.rag_ingestion_queue q
    set status = 'processing', worker_id = p_worker, attempts = q.attempts + 1,
        lease_token = nextval('public.rag_lease_tokens'),
        lease_expires_at = now() + make_interval(secs => p_lease_seconds),
        stage = null, started_at = coalesce(q.started_at, now()), updated_at = now()
    where q.ctid = any (v_places)
    returning q.id, q.lease_token, q.kind, q.tenant_id, q.attempts, q.max_attempts, q.document_id, q.priority,
      q.position
  ), tops as (
    select t.priority, max(t.position) as position from taken t group by t.priority)
  select (
      -- A column each: an object a row took a third longer here, and twice as many bytes that the worker has to read.
      select json_build_object(
        'job_id', array_agg(j.id), 'lease_token', array_agg(j.lease_token::text), 'kind', array_agg(j.kind::text),
        'tenant_id', array_agg(j.tenant_id), 'attempt', array_agg(j.attempts::integer),
        'max_attempts', array_agg(j.max_attempts::integer), 'document_id', array_agg(j.document_id),
        'title', array_agg(j.title), 'source_uri', array_agg(j.source_uri),
        'document_kind', array_agg(j.document_kind), 'version', array_agg(j.version),
        'media_type', array_agg(j.media_type), 'metadata', array_agg(j.metadata), 'user_id', array_agg(j.user_id))
      from (
        -- What the worker needs of the document; each column more is half a microsecond a job.
        select t.id, t.lease_token, t.kind, t.tenant_id, t.attempts, t.max_attempts, d.id as document_id, d.title,
          d.source_uri, d.kind as document_kind, d.version, d.media_type, d.metadata, d.user_id
        from taken t left join public.rag_documents d on d.id = t.document_id
        order by t.priority desc, t.position) j),
    (select array_agg(o.priority) from tops o), (select array_agg(o.position) from tops o)
  into v_jobs, v_priorities, v_tops;
  for v_place in 1..coalesce(array_length(v_tops, 1), 0) loop
    perform public.rag_raise_clock(v_priorities[v_place], v_tops[v_place]);
  end loop;
  return v_jobs;
end $$;

-- As rag_take_ready, also when two rows of one document meet: both were inserted at the same moment, or the one
-- became ready while the other was being claimed. Rare.
create or replace function public.rag_take_in_peace(
  p_worker text, p_slots integer, p_kinds text[], p_lease_seconds integer, p_limited boolean) returns json
language plpgsql set search_path = '' as $$
declare
  v_jobs jsonb;
  v_job json;
  v_set_aside integer;
begin
  begin
    return public.rag_take_ready(p_worker, p_slots, p_kinds, p_lease_seconds, p_limited, false);
  exception when unique_violation then
    null;
  end;
  -- One by one, and aside with those whose document is at work.
  for v_turn in 1..2 * p_slots loop
    begin
      v_job := public.rag_take_ready(p_worker, 1, p_kinds, p_lease_seconds, p_limited, true);
      exit when v_job is null or v_job::text = '{}';
      v_jobs := coalesce((
        select jsonb_object_agg(c.key, c.value || (v_job::jsonb -> c.key)) from jsonb_each(v_jobs) c), v_job::jsonb);
    exception when unique_violation then
      with behind as (
        update public.rag_ingestion_queue q set waits_for = 'document'
        where q.ctid = any (array(
          select r.ctid from public.rag_ingestion_queue r
          join public.rag_ingestion_queue w on w.document_id = r.document_id and w.status = 'processing'
            and w.kind = 'document'
          where r.status = 'queued' and r.position is not null and r.waits_for is null and r.kind = 'document'
          limit 100 for update of r skip locked))
        returning 1)
      select count(*) into v_set_aside from behind;
      exit when v_set_aside = 0;
    end;
    exit when jsonb_array_length(v_jobs -> 'job_id') >= p_slots;
  end loop;
  return v_jobs::json;
end $$;

-- Which of these kinds a worker takes whose model has this identity: documents are embedded with the live model, and
-- embedded again with the next one. Without a next one, documents that were left behind are the live one's too.
-- null when its model is neither.
create or replace function public.rag_kinds_of_model(p_model text, p_kinds text[]) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_see record;
begin
  if not 'document' = any (p_kinds) then
    return p_kinds;
  end if;
  select max(m.identity) filter (where m.state = 'live') as live, max(m.name) filter (where m.state = 'live') as name,
    max(m.identity) filter (where m.state = 'next') as next
  into v_see from public.rag_models m;
  if coalesce(v_see.live, p_model) = p_model then
    return case when v_see.next is null then p_kinds || array['reembed'] else p_kinds end;
  elsif v_see.next = p_model then
    return array_replace(p_kinds, 'document', 'reembed');
  elsif not exists (select 1 from public.rag_document_chunks c where c.embedding_model = v_see.name) then
    -- As in rag_bind_model: without a vector it binds nobody.
    return p_kinds;
  end if;
  return null;
end $$;

-- Called by every worker that has a free slot or something to settle; one round trip for all of it.
-- p_settled: [{job_id, lease_token, transition, chunks, segments, error_code, error_detail, delay_seconds}], see
-- rag_settle_jobs. p_holds: how many other jobs the worker has at work. p_listens: the channel this worker listens on, null for none. p_reap: look for jobs of workers
-- that disappeared when it is time (false while the caller itself has just been cut off). p_model: the identity of
-- the caller's model, as in rag_models; it says which documents are its to embed (null: whatever p_kinds says).
-- Answers an object with what there is to tell, null for what there is not: settled (one answer an item,
-- in order), jobs (as rag_claim_jobs), reaped {requeued, failed}, watch (true while a worker with a session lock
-- other than the caller has jobs), due_ms (nothing was ready, and the next delayed job is due within a minute), chores (there is something for rag_fill_terms,
-- rag_collect_garbage or rag_advance_switch), foreign (true when no document is the caller's, for its model is neither
-- the live nor the next one).
-- Without JIT: a scan of a small table that nothing else can read counts as forbidden, hence as dear enough to compile.
-- With generic plans, here and in all that is called from here: the five custom ones that each statement of a session
-- would get first cost more than a claim, and none of them is better.
create or replace function public.rag_settle_and_claim(
  p_worker text, p_settled json, p_slots integer, p_kinds text[], p_lease_seconds integer,
  p_holds integer default 0, p_listens text default null, p_reap boolean default true,
  p_model text default null) returns json
language plpgsql set search_path = '' set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan as $$
declare
  v_slots integer := least(p_slots, 1000);
  v_kinds text[] := p_kinds;
  v_foreign json;
  v_settled json;
  v_jobs json;
  v_reaped json;
  v_watch json;
  v_due json;
  v_chores json;
  v_now bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  v_floors_due boolean := v_now - coalesce(
    pg_catalog.pg_sequence_last_value('public.rag_queue_marked_at'), 0) not between 0 and 100;
  v_known integer;
  v_see record;
begin
  -- As text: a parse of 500 items to count them is a microsecond a job.
  if p_settled::text <> '[]' then
    -- Not by a claim alone: somebody waits for it.
    if v_floors_due then
      perform public.rag_raise_floors();
      v_floors_due := false;
    end if;
    v_settled := public.rag_settle_jobs(p_settled);
  end if;

  if p_model is not null then
    v_kinds := public.rag_kinds_of_model(p_model, p_kinds);
    if v_kinds is null then
      v_kinds := array_remove(p_kinds, 'document');
      v_foreign := 'true'::json;
    end if;
  end if;

  -- The worker's own row, and all that is rare.
  select w.alive_until, w.jobs, w.missing_since is not null as missing, (w.kinds, w.listen_channel) is not distinct from (v_kinds, p_listens) as told,
    exists (select 1 from public.rag_workers o where o.worker_id <> p_worker and o.locked_at is not null
      and o.jobs > 0 and o.alive_until >= now()) as watch,
    exists (select 1 from public.rag_ingestion_queue q where q.status = 'queued' and q.position is null
      and q.run_at <= now() and q.run_at >= to_timestamp(coalesce(
        pg_catalog.pg_sequence_last_value('public.rag_queue_floor_10'), 0) / 1000.0)) as due,
    exists (select 1 from public.rag_ingestion_queue q
      where q.status = 'queued' and q.waits_for = 'document') as behind,
    exists (select 1 from public.rag_ingestion_queue q
      where q.status = 'queued' and q.waits_for in ('cap', 'pause')) as held_back,
    exists (select 1 from public.rag_tenants t where t.max_jobs is not null)
      or exists (select 1 from public.rag_pauses p where p.scope = 'tenant') as limited,
    exists (select 1 from public.rag_pauses p where p.scope <> 'tenant') as paused
  into v_see
  from (select 1) one left join public.rag_workers w on w.worker_id = p_worker;
  v_known := v_see.jobs;
  -- When a third of the lease is over: an idle poll writes nothing most of the time. And when others miss the worker,
  -- whose session was cut: who calls is alive, and must not be the one that reaps its own jobs.
  if v_see.alive_until is null or not v_see.told or v_see.missing
    or v_see.alive_until < now() + make_interval(secs => p_lease_seconds * 2 / 3.0) then
    perform public.rag_tell_alive(p_worker, p_lease_seconds, v_kinds, p_listens, p_holds);
    v_known := p_holds;
  end if;
  if p_reap then
    v_reaped := public.rag_reap_when_due(p_lease_seconds);
    if v_see.watch then
      v_watch := 'true'::json;
    end if;
  end if;

  if v_slots > 0 then
    if v_see.paused then
      v_kinds := array(select k.kind from unnest(v_kinds) k (kind)
        where not exists (select 1 from public.rag_pauses p
          where p.scope = 'all' or p.scope = 'kind' and p.name = k.kind));
    end if;
    if v_see.due then
      perform public.rag_promote_due(greatest(v_slots, 100));
    end if;
    if v_see.behind or v_see.held_back then
      perform public.rag_readmit(v_see.behind, v_see.held_back);
    end if;
    v_jobs := public.rag_take_in_peace(p_worker, v_slots, v_kinds, p_lease_seconds, v_see.limited);
    if v_jobs::text = '{}' then
      v_jobs := null;
      v_due := '25'::json;
    end if;
  end if;
  if v_jobs is not null then
    if v_known = 0 then
      -- Others learn at once that there is something to watch; that there is not any more, with the next renewal.
      update public.rag_workers w set jobs = json_array_length(v_jobs -> 'job_id') where w.worker_id = p_worker;
    end if;
  else
    -- Nothing was taken that a roll-back could bring back.
    if v_floors_due then
      perform public.rag_raise_floors();
    end if;
    if v_slots > 0 and v_due is null then
      -- A job that is due before the next poll need not wait for it.
      select to_json(greatest(0, ceil(extract(epoch from d.run_at - clock_timestamp()) * 1000))) into v_due
      from public.rag_ingestion_queue d
      where d.status = 'queued' and d.position is null and d.run_at > now()
        and d.run_at < now() + interval '1 minute'
      order by d.run_at limit 1;
      if exists (select 1 from public.rag_generations g where g.state = 'dead')
        or exists (select 1 from public.rag_generations g where g.state = 'live' and not g.terms_filled)
        or exists (select 1 from public.rag_vector_parts p where p.state = 'full')
        or exists (select 1 from public.rag_generations g where g.state = 'live' and not g.vectors_folded)
          and exists (select 1 from public.rag_vector_parts)
        or exists (select 1 from public.rag_models m where m.state = 'next'
          or not m.swept and (m.state = 'live' or m.serves_until <= now())) then
        v_chores := 'true'::json;
      end if;
    end if;
  end if;
  -- An idle poll is two bytes; and building an object is an expression, where leaving members out is a statement.
  if v_settled is null and v_jobs is null and v_reaped is null and v_watch is null and v_due is null
    and v_chores is null and v_foreign is null then
    return '{}'::json;
  end if;
  return json_build_object('settled', v_settled, 'jobs', v_jobs, 'reaped', v_reaped, 'watch', v_watch,
    'due_ms', v_due, 'chores', v_chores, 'foreign', v_foreign);
end $$;

-- Called by a worker with free slots. queued -> processing.
-- Answers an object of columns, arrays of equal length with one entry a job: job_id, lease_token, kind, tenant_id,
-- attempt, max_attempts and, of its document, document_id, title, source_uri, document_kind, version, media_type,
-- metadata, user_id (null for a job without one). An empty object when nothing is ready.
create or replace function public.rag_claim_jobs(
  p_worker text, p_slots integer, p_kinds text[], p_lease_seconds integer) returns json
language sql volatile set search_path = '' as $$
  select coalesce(
    (public.rag_settle_and_claim(p_worker, '[]', p_slots, p_kinds, p_lease_seconds, 0, null, false) ->> 'jobs')::json,
    '{}')
$$;

