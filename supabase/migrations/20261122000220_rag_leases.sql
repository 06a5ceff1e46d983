-- Holding and giving back: leases are kept, every job is settled by exactly one transition, and the jobs of
-- workers that disappeared come back.

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

-- Prolongs the worker's own row, which holds all its jobs. p_holds: how many jobs the worker has.
create or replace function public.rag_tell_alive(
  p_worker text, p_lease_seconds integer, p_kinds text[], p_listens text, p_holds integer) returns void
language sql volatile set search_path = '' as $$
  insert into public.rag_workers as w (worker_id, alive_until, kinds, listen_channel, jobs)
  values (p_worker, now() + make_interval(secs => p_lease_seconds), p_kinds, p_listens, p_holds)
  on conflict (worker_id) do update set alive_until = excluded.alive_until, kinds = excluded.kinds,
    listen_channel = excluded.listen_channel, jobs = excluded.jobs, missing_since = null
$$;

-- Called on a connection that the worker keeps for itself, before anything else and after every reconnect: holds an
-- advisory lock that Postgres gives up by itself the moment the worker's process dies. Only on a true session: behind
-- a pooler the lock would be the pooler's. The caller tells it by p_pid, what the connection was told of its backend.
-- Answers whether the lock is held.
create or replace function public.rag_watch_session(p_worker text, p_lease_seconds integer, p_pid integer)
returns boolean
language plpgsql set search_path = '' as $$
declare
  v_key integer;
begin
  if p_pid <> pg_catalog.pg_backend_pid() then
    return false;
  end if;
  insert into public.rag_workers as w (worker_id, alive_until)
  values (p_worker, now() + make_interval(secs => p_lease_seconds))
  on conflict (worker_id) do update set alive_until = greatest(w.alive_until, excluded.alive_until)
  returning w.lock_key into v_key;
  if not pg_catalog.pg_try_advisory_lock(7246, v_key) then
    -- A session of ours that was cut off is not gone yet. Were it to end later, we would look dead for a moment.
    perform pg_catalog.pg_terminate_backend(l.pid) from pg_catalog.pg_locks l
    where l.locktype = 'advisory' and l.classid = 7246 and l.objid = v_key::bigint::oid and l.objsubid = 2
      and l.database = (select b.oid from pg_catalog.pg_database b where b.datname = current_database());
    return false;
  end if;
  update public.rag_workers w set locked_at = now(), missing_since = null where w.worker_id = p_worker;
  return true;
end $$;

-- Notes whose session lock is gone. After a restart of Postgres all of them are, and say nothing.
create or replace function public.rag_note_missing() returns void
language sql volatile set search_path = '' as $$
  with seen as materialized (
    select w.worker_id, w.missing_since, exists (
      select 1 from pg_catalog.pg_locks l
      where l.locktype = 'advisory' and l.classid = 7246 and l.objid = w.lock_key::bigint::oid and l.objsubid = 2
        and l.database = (select b.oid from pg_catalog.pg_database b where b.datname = current_database()))
      as held
    from public.rag_workers w
    where w.locked_at > pg_catalog.pg_postmaster_start_time() and w.alive_until >= now())
  update public.rag_workers w
  set missing_since = case when s.held then null else clock_timestamp() end
  from seen s
  where w.worker_id = s.worker_id and s.held = (s.missing_since is not null)
$$;

-- Called by a worker's lease keeper. Prolongs the worker's own row, which holds all its jobs.
-- p_held: [{job_id, lease_token}], what the worker really holds; a row of its own that is not among them is a claim
-- whose answer was lost: processing -> queued, attempt given back. Only past its first lease, for the answer may be
-- on its way; at once with p_none_under_way, which the worker says when it knows that it waits for no answer.
-- Answers {lost: [lease_token], orphans}: lost are held tokens that are no longer a processing row's.
create or replace function public.rag_keep_leases(
  p_worker text, p_held jsonb, p_lease_seconds integer, p_none_under_way boolean default false) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_lost jsonb;
  v_orphans integer;
begin
  insert into public.rag_workers as w (worker_id, alive_until, jobs)
  values (p_worker, now() + make_interval(secs => p_lease_seconds), jsonb_array_length(p_held))
  on conflict (worker_id) do update
    set alive_until = excluded.alive_until, jobs = excluded.jobs, missing_since = null;

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
      where o.status = 'processing' and o.worker_id = p_worker
        and (p_none_under_way or o.lease_expires_at < now())
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

-- What a transition answers that finds its lease gone: 'queued' when it was the one that gave the job back (it was
-- sent twice), 'lease_lost' otherwise.
create or replace function public.rag_given_back(p_job_id uuid, p_returned bigint) returns text
language sql stable set search_path = '' as $$
  select case when exists (select 1 from public.rag_ingestion_queue q where q.id = p_job_id
    and q.status = 'queued' and q.returned_token = p_returned) then 'queued' else 'lease_lost' end
$$;

-- Ends a job for good: processing -> failed; the document's live generation, if any, goes on serving.
-- The history gets p_entry_code and p_entry_detail, which tell of the last attempt.
create or replace function public.rag_end_failed(
  p_job_id uuid, p_code text, p_detail text, p_entry_code text, p_entry_detail text) returns void
language sql volatile set search_path = '' as $$
  with ended as (
    update public.rag_ingestion_queue q
    set status = 'failed', error_code = p_code, error_detail = p_detail,
        errors = public.rag_errors_with(q.errors, p_entry_code, p_entry_detail, q.attempts, q.worker_id),
        updated_at = now(), completed_at = now()
    where q.id = p_job_id
    returning q.kind, q.document_id)
  update public.rag_documents d set status = 'failed', updated_at = now()
  from ended e where e.kind = 'document' and d.id = e.document_id
$$;

-- Called by the worker that holds the lease, when a failure may pass. processing -> queued after a backoff,
-- or failed when no attempt is left. Answers 'queued' (also when sent twice), 'failed' or 'lease_lost'.
create or replace function public.rag_retry_job(
  p_job_id uuid, p_lease_token bigint, p_error_code text, p_error_detail text) returns text
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status in ('processing', 'failed')
  for update;
  if not found then
    return public.rag_given_back(p_job_id, p_lease_token);
  end if;
  if v_job.status = 'failed' or v_job.attempts >= v_job.max_attempts then
    return public.rag_fail_job(p_job_id, v_job.lease_token, p_error_code, p_error_detail);
  end if;
  update public.rag_ingestion_queue q
  set status = 'queued', error_code = p_error_code, error_detail = p_error_detail, returned_token = p_lease_token,
      errors = public.rag_errors_with(q.errors, p_error_code, p_error_detail, q.attempts, q.worker_id),
      run_at = now() + make_interval(secs => public.rag_backoff_seconds(q.attempts))
  where q.id = p_job_id;
  return 'queued';
end $$;

-- Called by the worker that holds the lease, when it stops or has to wait through no fault of the job.
-- processing -> queued, attempt given back. p_error_code says why it waits (null: nothing to tell).
-- Answers 'queued' (also when sent twice) or 'lease_lost'.
create or replace function public.rag_release_job(
  p_job_id uuid, p_lease_token bigint, p_delay_seconds double precision, p_error_code text, p_error_detail text)
returns text
language plpgsql set search_path = '' as $$
begin
  update public.rag_ingestion_queue q
  set status = 'queued', attempts = greatest(q.attempts - 1, 0),
      error_code = p_error_code, error_detail = p_error_detail, returned_token = p_lease_token,
      run_at = now() + make_interval(secs => least(greatest(p_delay_seconds, 0), 86400))
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing';
  return case when found then 'queued' else public.rag_given_back(p_job_id, p_lease_token) end;
end $$;

-- Called by the worker that holds the lease, when the document cannot succeed as it is. processing -> failed.
-- Answers 'failed' (also when sent twice) or 'lease_lost'.
create or replace function public.rag_fail_job(
  p_job_id uuid, p_lease_token bigint, p_error_code text, p_error_detail text) returns text
language plpgsql set search_path = '' as $$
declare
  v_status text;
begin
  select q.status into v_status from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status in ('processing', 'failed')
  for update;
  if v_status = 'processing' then
    perform public.rag_end_failed(p_job_id, p_error_code, p_error_detail, p_error_code, p_error_detail);
  end if;
  return case when v_status is null then 'lease_lost' else 'failed' end;
end $$;

-- Called with one item of rag_settle_jobs.
create or replace function public.rag_settle_job(p_item json) returns json
language plpgsql set search_path = '' as $$
declare
  v_id uuid := (p_item ->> 'job_id')::uuid;
  v_token bigint := (p_item ->> 'lease_token')::bigint;
  v_code text := p_item ->> 'error_code';
  v_detail text := p_item ->> 'error_detail';
begin
  case p_item ->> 'transition'
    when 'complete' then
      return public.rag_complete_job(
        v_id, v_token, (p_item ->> 'chunks')::integer, (p_item ->> 'segments')::integer,
        coalesce((p_item ->> 'rejected')::integer, 0), coalesce((p_item ->> 'relate')::boolean, false))::json;
    when 'retry' then
      return to_json(public.rag_retry_job(v_id, v_token, v_code, v_detail));
    when 'fail' then
      return to_json(public.rag_fail_job(v_id, v_token, v_code, v_detail));
    when 'release' then
      return to_json(public.rag_release_job(
        v_id, v_token, (p_item ->> 'delay_seconds')::double precision, v_code, v_detail));
    else
      raise exception 'No transition is called %.', p_item ->> 'transition' using errcode = '22023';
  end case;
end $$;

-- Many transitions in one call. Answers an array with one answer an item, in order: what rag_complete_job,
-- rag_retry_job, rag_fail_job or rag_release_job answers; 'complete' alone for a job in which there was nothing to
-- do (no chunks, no generation begun).
create or replace function public.rag_settle_jobs(p_settled json) returns json
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_items bigint;
  v_idle uuid[];
begin
  -- All alike, and settled by one statement. Each is found by its id: were the status a condition of its own, the
  -- planner might read the whole index of jobs at work for each.
  with given as materialized (
    select g.job_id, g.lease_token, g.transition, g.chunks
    from json_to_recordset(p_settled) as g(job_id uuid, lease_token bigint, transition text, chunks integer)
  ), done as (
    update public.rag_ingestion_queue q
    set status = 'complete', stage = null, total_chunks = 0, total_segments = 0, error_code = null,
        error_detail = null, updated_at = now(), completed_at = now()
    from given g
    where g.transition = 'complete' and g.chunks = 0 and q.id = g.job_id and q.lease_token = g.lease_token
      and case when q.status = 'processing' then q.generation is null end
    returning q.id)
  select (select count(*) from given), (select array_agg(d.id) from done d) into v_items, v_idle;
  if array_length(v_idle, 1) = v_items then
    return array_to_json(array_fill('complete'::text, array[v_items::integer]));
  end if;
  return (
    select json_agg(
      case when d.id is not null then '"complete"'::json else public.rag_settle_job(i.value) end order by i.place)
    from json_array_elements(p_settled) with ordinality as i (value, place)
    left join unnest(v_idle) d (id) on d.id = (i.value ->> 'job_id')::uuid);
end $$;

-- Called by every replica now and then; needs no leader. Jobs whose own lease and whose worker's row have both
-- run out, or whose worker's session lock has been missing for half a second (one that was cut off holds it again
-- by then): processing -> queued after a backoff, or failed when their attempts are spent, so that a document that
-- kills its worker ends. Answers {requeued, failed}.
create or replace function public.rag_reap(p_limit integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job record;
  v_requeued integer := 0;
  v_failed integer := 0;
begin
  perform public.rag_note_missing();
  perform public.rag_end_abandoned_copies();
  for v_job in
    select q.id, q.attempts, q.max_attempts
    from public.rag_ingestion_queue q
    left join public.rag_workers w on w.worker_id = q.worker_id
    where q.status = 'processing'
      and (w.missing_since < clock_timestamp() - interval '0.5 seconds'
        or q.lease_expires_at < now() and (w.worker_id is null or w.alive_until < now()))
    order by q.lease_expires_at
    limit least(p_limit, 1000)
    for update of q skip locked
  loop
    if v_job.attempts >= v_job.max_attempts then
      perform public.rag_end_failed(v_job.id, 'job.attempts-spent',
        'The job was tried as often as allowed and did not succeed. Look at its errors, then retry it.',
        'job.worker-lost', 'The worker disappeared.');
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

-- Called by a claim. Reaps when nobody has for a while: half a second where the death of a worker is noticed at
-- once, else a quarter of a lease, at most 5 s. Answers what rag_reap answers, null when there was nothing.
create or replace function public.rag_reap_when_due(p_lease_seconds integer) returns json
language plpgsql set search_path = '' as $$
declare
  v_now bigint := floor(extract(epoch from clock_timestamp()) * 1000);
  v_pause integer := greatest(500, least(5000, p_lease_seconds * 250));
  v_reaped jsonb;
begin
  if exists (select 1 from public.rag_workers w where w.locked_at is not null and w.jobs > 0) then
    v_pause := 500;
  end if;
  if v_now - coalesce(pg_catalog.pg_sequence_last_value('public.rag_queue_reaped_at'), 0) between 0 and v_pause
    or not pg_catalog.pg_try_advisory_xact_lock(7247, 1) then
    return null;
  end if;
  perform pg_catalog.setval('public.rag_queue_reaped_at', v_now);
  v_reaped := public.rag_reap(100);
  return case when v_reaped = '{"failed": 0, "requeued": 0}'::jsonb then null else v_reaped end;
end $$;
