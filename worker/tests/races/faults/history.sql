-- What the fault suite installs in its own test database and nowhere else: triggers that write every
-- transition of a job, every write of chunks, every switch of a live generation and every sign of life into
-- fault.history, and wrappers around the functions of the queue that tell the triggers who acts.
-- A wrapper keeps the name and the arguments; the function itself moves to the schema fault_inner, where a
-- deliberately broken one may take its place. History is written in the transaction that it tells of: what was
-- rolled back never happened.
create schema fault;
create schema fault_inner;
grant usage on schema fault, fault_inner to public;

-- seq is drawn while the row that the entry tells of is locked, so for one job, and for one document, it is the
-- order of the commits.
create table fault.history (
  seq bigint generated always as identity primary key,
  kind text not null,
  at timestamptz not null default clock_timestamp(),
  tx_at timestamptz not null default now(),
  tx xid8 not null default pg_current_xact_id(),
  facts jsonb not null
);
create index on fault.history ((facts ->> 'worker_id'), seq) where kind = 'alive';

create function fault.note(p_kind text, p_facts jsonb) returns void
language sql security definer set search_path = '' as $$
  insert into fault.history (kind, facts) values (p_kind, p_facts)
$$;

-- Who acts in this transaction: the function, and the jobs and tokens it was called with.
create function fault.acting() returns text language sql stable set search_path = '' as $$
  select nullif(current_setting('fault.by', true), '')
$$;
create function fault.acts() returns jsonb language sql stable set search_path = '' as $$
  select coalesce(nullif(current_setting('fault.acts', true), ''), '[]')::jsonb
$$;
create function fault.act_on(p_job uuid) returns jsonb language sql stable set search_path = '' as $$
  select a.value from jsonb_array_elements(fault.acts()) a where a.value ->> 'job_id' = p_job::text limit 1
$$;

-- The job's row as it stands. ours: this very transaction has locked or changed it.
create function fault.standing(p_job uuid) returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object('status', q.status, 'token', q.lease_token::text, 'generation', q.generation,
    'ours', pg_current_xact_id()::xid in (q.xmin, q.xmax))
  from public.rag_ingestion_queue q where q.id = p_job
$$;

create function fault.on_job() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_act jsonb := fault.act_on(new.id);
begin
  if tg_op = 'UPDATE' and new.status = old.status and new.attempts = old.attempts
    and new.lease_token is not distinct from old.lease_token then
    return null;
  end if;
  perform fault.note('job', jsonb_build_object(
    'job_id', new.id, 'document_id', new.document_id, 'job_kind', new.kind,
    'by', fault.acting(), 'acting_worker', nullif(current_setting('fault.worker', true), ''),
    'acting_token', v_act ->> 'lease_token', 'transition', v_act ->> 'transition',
    'from', case when tg_op = 'UPDATE' then old.status end, 'to', new.status,
    'from_token', case when tg_op = 'UPDATE' then old.lease_token::text end, 'to_token', new.lease_token::text,
    'from_worker', case when tg_op = 'UPDATE' then old.worker_id end, 'to_worker', new.worker_id,
    'from_attempts', case when tg_op = 'UPDATE' then old.attempts else 0 end, 'to_attempts', new.attempts,
    'max_attempts', new.max_attempts, 'error_code', new.error_code,
    'watched', case when tg_op = 'UPDATE' and fault.acting() = 'rag_reap' then
      old.worker_id = any (current_setting('fault.watched')::text[]) and fault.session_lock(old.worker_id) end,
    'alive_at', case when tg_op = 'UPDATE' and old.worker_id is not null then fault.alive_at(old.worker_id) end));
  return null;
end $$;
create trigger fault_job after insert or update on public.rag_ingestion_queue
  for each row execute function fault.on_job();

-- Whether a session holds the lock by which a worker on a session connection is known to be alive.
create function fault.session_lock(p_worker text) returns boolean
language sql volatile security definer set search_path = '' as $$
  select exists (
    select 1 from pg_catalog.pg_locks l
    join public.rag_workers w on w.worker_id = p_worker and l.objid = w.lock_key::bigint::oid
    where l.locktype = 'advisory' and l.granted and l.classid = 7246 and l.objsubid = 2
      and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = current_database()))
$$;

create function fault.watched() returns text[]
language sql volatile security definer set search_path = '' as $$
  select coalesce(array_agg(w.worker_id), '{}') from public.rag_workers w where fault.session_lock(w.worker_id)
$$;

-- When the last sign of life that whoever acts could see was given, in milliseconds: one whose transaction had
-- not committed when the function was called does not count.
create function fault.alive_at(p_worker text) returns double precision
language sql volatile security definer set search_path = '' as $$
  select extract(epoch from h.tx_at) * 1000 from fault.history h
  where h.kind = 'alive' and h.facts ->> 'worker_id' = p_worker
    and pg_catalog.pg_visible_in_snapshot(h.tx,
      coalesce(nullif(current_setting('fault.snapshot', true), '')::pg_snapshot, pg_current_snapshot()))
  order by h.seq desc limit 1
$$;

create function fault.on_worker() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform fault.note('alive', jsonb_build_object('worker_id', new.worker_id,
    'session', fault.session_lock(new.worker_id)));
  return null;
end $$;
-- Also when the lock has just been taken: a worker may be cut off before its next sign of life.
create trigger fault_worker after insert or update of alive_until, locked_at on public.rag_workers
  for each row execute function fault.on_worker();

create function fault.on_chunks() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_written record;
  v_job uuid;
begin
  for v_written in
    select f.document_id, f.generation, count(*) as chunks, min(f.chunk_index) as first, max(f.chunk_index) as last
    from fresh f group by 1, 2
  loop
    v_job := coalesce((fault.acts() -> 0 ->> 'job_id')::uuid, (
      select q.id from public.rag_ingestion_queue q
      where q.document_id = v_written.document_id and q.status = 'processing' and q.kind = 'document'));
    perform fault.note('chunks', jsonb_build_object(
      'by', fault.acting(), 'document_id', v_written.document_id, 'generation', v_written.generation,
      'chunks', v_written.chunks, 'first', v_written.first, 'last', v_written.last,
      'job_id', v_job, 'acting_token', fault.act_on(v_job) ->> 'lease_token', 'standing', fault.standing(v_job),
      'live', (select d.live_generation = v_written.generation from public.rag_documents d
        where d.id = v_written.document_id)));
  end loop;
  return null;
end $$;
create trigger fault_chunks_written after insert on public.rag_document_chunks
  referencing new table as fresh for each statement execute function fault.on_chunks();
create trigger fault_chunks_changed after update on public.rag_document_chunks
  referencing new table as fresh for each statement execute function fault.on_chunks();

-- The same once more when the transaction commits: a token may have changed between the write and then.
create function fault.on_commit() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform fault.note('commit', jsonb_build_object('of', new.seq, 'job_id', new.facts -> 'job_id',
    'acting_token', new.facts -> 'acting_token', 'standing', fault.standing((new.facts ->> 'job_id')::uuid)));
  return null;
end $$;
create constraint trigger fault_commit after insert on fault.history deferrable initially deferred
  for each row when (new.kind = 'chunks') execute function fault.on_commit();

create function fault.on_chunks_gone() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into fault.history (kind, facts)
  select 'gone', jsonb_build_object('document_id', g.document_id, 'generation', g.generation, 'chunks', count(*),
    'by', fault.acting())
  from gone g join public.rag_documents d on d.id = g.document_id and d.live_generation = g.generation
  group by g.document_id, g.generation;
  return null;
end $$;
create trigger fault_chunks_gone after delete on public.rag_document_chunks
  referencing old table as gone for each statement execute function fault.on_chunks_gone();

-- Text, place and vector of every chunk of a generation as one short text; null when there is none.
create function fault.digest(p_document uuid, p_generation integer) returns text
language sql stable security definer set search_path = public, extensions as $$
  select md5(string_agg(concat_ws(chr(31), c.chunk_index, c.content, c.char_start, c.char_end, c.embed_prefix,
    c.embedding::text), chr(30) order by c.chunk_index))
  from public.rag_document_chunks c where c.document_id = p_document and c.generation = p_generation
$$;

create function fault.on_document() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  perform fault.note('live', jsonb_build_object('document_id', new.id, 'by', fault.acting(),
    'from', old.live_generation, 'to', new.live_generation, 'digest', fault.digest(new.id, new.live_generation)));
  return null;
end $$;
create trigger fault_document after update on public.rag_documents
  for each row when (new.live_generation is distinct from old.live_generation)
  execute function fault.on_document();

-- What a call with a job and its token was answered, beside the row as it stood when the call came.
create function fault.note_calls(p_by text, p_acts jsonb, p_before jsonb, p_answer jsonb) returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_many boolean := p_answer ? 'settled' or p_by = 'rag_settle_and_claim';
begin
  for i in 0 .. jsonb_array_length(p_acts) - 1 loop
    perform fault.note('call', p_acts -> i || jsonb_build_object('by', p_by, 'standing', p_before -> i,
      'answer', fault.word(case when v_many then p_answer -> 'settled' -> i else p_answer end)));
  end loop;
end $$;
create function fault.word(p_answer jsonb) returns text language sql immutable set search_path = '' as $$
  select case when jsonb_typeof(p_answer) = 'object' then p_answer ->> 'state' else p_answer #>> '{}' end
$$;

do $wrap$
declare
  v_function record;
  v_acts text;
begin
  for v_function in
    select p.oid, p.proname as name, p.proargnames as names,
      pg_catalog.pg_get_function_arguments(p.oid) as arguments,
      pg_catalog.pg_get_function_identity_arguments(p.oid) as identity,
      pg_catalog.pg_get_function_result(p.oid) as result,
      (select s from unnest(p.proconfig) s where s like 'statement_timeout=%') as timeout
    from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.provolatile = 'v' and not p.proretset
      and p.prorettype <> 'trigger'::regtype
      -- Whatever takes a token, and what else an actor calls; not the parts of these.
      and ('p_lease_token' = any (p.proargnames)
        or p.proname in ('rag_settle_and_claim', 'rag_claim_jobs', 'rag_keep_leases', 'rag_retire_worker',
          'rag_reap',
          'rag_cancel_jobs', 'rag_requeue_jobs', 'rag_enqueue', 'rag_reset_stuck', 'rag_collect_garbage'))
  loop
    v_acts := case
      when v_function.names @> array['p_job_id', 'p_lease_token'] then
        $x$jsonb_build_array(jsonb_build_object('job_id', p_job_id, 'lease_token', p_lease_token::text))$x$
      when 'p_settled' = any (v_function.names) then
        $x$(select coalesce(jsonb_agg(jsonb_build_object('job_id', s.value -> 'job_id',
          'lease_token', s.value ->> 'lease_token', 'transition', s.value -> 'transition') order by s.ordinality),
          '[]') from jsonb_array_elements(p_settled::jsonb) with ordinality s)$x$
      else $x$fault.acts()$x$ end;
    execute format('alter function public.%I(%s) set schema fault_inner', v_function.name, v_function.identity);
    execute format($f$
      create function public.%1$I(%2$s) returns %3$s language plpgsql %8$s as $body$
      declare
        v_by constant text := coalesce(current_setting('fault.by', true), '');
        v_outer constant text := coalesce(current_setting('fault.acts', true), '');
        v_acts constant jsonb := %4$s;
        v_before jsonb;
        v_answer %3$s;
      begin
        perform set_config('fault.by', %1$L, true), set_config('fault.acts', v_acts::text, true),
          set_config('fault.snapshot', pg_current_snapshot()::text, true)%5$s;
        select coalesce(jsonb_agg(fault.standing((a.value ->> 'job_id')::uuid) order by a.ordinality), '[]')
          into v_before from jsonb_array_elements(v_acts) with ordinality a;
        v_answer := fault_inner.%1$I(%6$s);
        %7$s
        %9$s
        return v_answer;
      end $body$ $f$,
      v_function.name, v_function.arguments, v_function.result, v_acts,
      case when 'p_worker' = any (v_function.names) then $x$, set_config('fault.worker', p_worker, true)$x$
        when v_function.name = 'rag_reap' then $x$, set_config('fault.watched', fault.watched()::text, true)$x$
        else '' end,
      (select string_agg(format('%1$I => %1$I', n), ', ') from unnest(v_function.names) n),
      case when v_function.names && array['p_lease_token', 'p_settled'] then
        format('perform fault.note_calls(%L, v_acts, v_before, to_jsonb(v_answer));', v_function.name) else '' end,
      case when v_function.timeout is null then '' else
        format('set statement_timeout = %L', split_part(v_function.timeout, '=', 2)) end,
      -- What is copied until the commit is still its doing.
      case when v_function.name = 'rag_open_copy' then '' else
        $x$perform set_config('fault.by', v_by, true), set_config('fault.acts', v_outer, true);$x$ end);
  end loop;
end $wrap$;
notify pgrst, 'reload schema';
