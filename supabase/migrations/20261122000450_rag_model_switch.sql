-- Changing the model while the old one serves. A switch is asked for; then every document is embedded again with the
-- next model, from its stored segments, by jobs of the kind 'reembed' that only workers of that model take. A document
-- then has two generations that serve, each for those who search by its model. When all documents have both, one
-- statement makes the next model the live one; the former serves on for a while and is then collected.
-- Nothing here is one statement over all documents: walks go on in batches, and remember where they are in rag_models.

-- The generation of the other model becomes the live one where it is of p_model, the live model, and the former one
-- takes its place for as long as its model serves.
create or replace function public.rag_adopt_documents(p_document_ids uuid[], p_model text) returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  with former as (
    select d.id, g.generation, g.embedding_model, exists (select 1 from public.rag_models m
      where m.name = g.embedding_model and m.serves_until > now()) as serves
    from public.rag_documents d
    left join public.rag_generations g on g.document_id = d.id and g.generation = d.live_generation
    where d.id = any (p_document_ids) and d.other_model = p_model
    for no key update of d
  ), adopted as (
    update public.rag_documents d
    set live_generation = d.other_generation,
        other_generation = case when f.serves then f.generation end,
        other_model = case when f.serves then f.embedding_model end,
        other_source = case when f.serves then d.other_generation end
    from former f where d.id = f.id
    returning d.id
  ), buried as (
    update public.rag_generations g set state = 'dead'
    from former f where not f.serves and g.document_id = f.id and g.generation = f.generation
  )
  select count(*) into v_count from adopted;
  return v_count;
end $$;

-- Called by rag_complete_job for a job that embedded a document again: its generation serves beside the live one, for
-- those who search by its model; or instead of it, when its model is the live one by now.
create or replace function public.rag_serve_beside(
  p_document public.rag_documents, p_generation public.rag_generations, p_live_model text) returns void
language plpgsql set search_path = '' as $$
begin
  -- Its own model's former ones; and what the other place held of a third model, which serves no more.
  update public.rag_generations g set state = 'dead'
  where g.document_id = (p_document).id and g.state <> 'dead' and g.generation <> (p_generation).generation
    and g.generation is distinct from (p_document).live_generation
    and (g.embedding_model = (p_generation).embedding_model and g.generation < (p_generation).generation
      or g.generation = (p_document).other_generation);
  update public.rag_documents d
  set other_generation = (p_generation).generation, other_model = (p_generation).embedding_model,
      other_source = (p_generation).source_generation
  where d.id = (p_document).id;
  if (p_generation).embedding_model = p_live_model then
    perform public.rag_adopt_documents(array[(p_document).id], p_live_model);
  end if;
end $$;

-- Queues these documents to be embedded again, but for those that wait for it already.
create or replace function public.rag_enqueue_reembedding(p_document_ids uuid[]) returns integer
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_count integer;
begin
  insert into public.rag_ingestion_queue (kind, document_id, tenant_id)
  select 'reembed', d.id, d.tenant_id from public.rag_documents d
  where d.id = any (p_document_ids) and not exists (
    select 1 from public.rag_ingestion_queue q
    where q.kind = 'reembed' and q.status = 'queued' and q.document_id = d.id);
  get diagnostics v_count = row_count;
  return v_count;
end $$;

-- Called by `rag model switch`. From now on every document is embedded again with this model; the live one serves
-- until the switch and p_grace_seconds after it. Asked again, it changes the grace alone.
-- Answers {state, model, documents}; state is 'begun', 'under_way', 'already_live', 'another' (a switch to model is under
-- way), 'settling' (the last switch is still being completed) or 'nothing_stored' (the first document decides).
create or replace function public.rag_begin_switch(
  p_model text, p_dimensions integer, p_quantisation text default 'none', p_grace_seconds integer default 86400)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_identity text := public.rag_identity_of(jsonb_build_object(
    'embedding_model', p_model, 'dimensions', p_dimensions, 'quantisation', p_quantisation));
  v_live public.rag_models;
  v_next public.rag_models;
begin
  perform pg_advisory_xact_lock(7248, 1);
  select * into v_live from public.rag_models m where m.state = 'live';
  select * into v_next from public.rag_models m where m.state = 'next';
  if v_live.identity = v_identity and v_next.name is null then
    return jsonb_build_object('state', 'already_live', 'model', v_live.name);
  elsif v_next.identity = v_identity then
    update public.rag_models m set grace_seconds = p_grace_seconds where m.name = v_next.name;
    return jsonb_build_object('state', 'under_way', 'model', v_next.name);
  elsif v_next.name is not null then
    return jsonb_build_object('state', 'another', 'model', v_next.name);
  elsif v_live.name is null
    or not exists (select 1 from public.rag_document_chunks c where c.embedding_model = v_live.name) then
    return jsonb_build_object('state', 'nothing_stored');
  elsif not v_live.swept then
    return jsonb_build_object('state', 'settling', 'model', v_live.name);
  end if;
  -- A document has room for two: the one that served on after the last switch ends now, unless it is gone back to.
  update public.rag_models m set serves_until = now()
  where m.state = 'retired' and m.serves_until > now() and m.identity <> v_identity;
  insert into public.rag_models as m (model, dimensions, quantisation, state, swept, asked_at, asked_by, grace_seconds)
  values (p_model, p_dimensions, p_quantisation, 'next', false, now(), pg_current_xact_id(), p_grace_seconds)
  on conflict (identity) do update
  set state = 'next', swept = false, swept_to = null, swept_at = null, asked_at = now(),
      asked_by = pg_current_xact_id(), closing_since = null, serves_until = null,
      grace_seconds = excluded.grace_seconds
  returning * into v_next;
  perform public.rag_wake_workers('switch', null);
  return jsonb_build_object('state', 'begun', 'model', v_next.name, 'documents', (
    select count(*) from public.rag_documents d where d.live_generation is not null));
end $$;

-- Called by `rag model cancel`. The live model stays; what was embedded with the next one is collected.
-- Answers {cancelled: its name, or null when there was none}.
create or replace function public.rag_cancel_switch() returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_name text;
begin
  update public.rag_models m
  set state = 'retired', serves_until = now(), swept = false, swept_to = null, closing_since = null
  where m.state = 'next'
  returning m.name into v_name;
  if v_name is not null then
    perform public.rag_cancel_jobs('{"kind": "reembed", "status": ["queued", "processing"]}');
  end if;
  return jsonb_build_object('cancelled', v_name);
end $$;

-- Makes the next model the live one when every document has a generation of it; with p_force also when some could
-- not be embedded again: these are then not found by their meaning until they are.
-- Called by rag_advance_switch and by `rag model finish`. Answers {state, documents}; state is 'switched', 'waiting' (for so many
-- documents, counted up to 1,001) or 'none' (no switch is under way).
create or replace function public.rag_finish_switch(p_force boolean default false) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_next public.rag_models;
  v_left integer;
begin
  -- Whoever completes a document holds this row, too: after the lock none is in between.
  select * into v_next from public.rag_models m where m.state = 'next' for update;
  if not found then
    return jsonb_build_object('state', 'none');
  end if;
  -- Completions that began before the switch was asked for do not hold it. They read the models last of all and end
  -- within milliseconds; and a transaction that is open elsewhere on the server must not hold us up for ever.
  if v_next.asked_by >= pg_snapshot_xmin(pg_current_snapshot()) and not p_force
    and v_next.asked_at > clock_timestamp() - interval '1 minute' then
    return jsonb_build_object('state', 'waiting', 'documents', 0);
  end if;
  select count(*) into v_left from (
    select 1 from public.rag_documents d
    where d.live_generation is not null
      and (d.other_model, d.other_source) is distinct from (v_next.name, d.live_generation) limit 1001) l;
  if v_left > 0 and not p_force then
    return jsonb_build_object('state', 'waiting', 'documents', v_left);
  end if;
  update public.rag_models m
  set state = 'retired', swept = false, swept_to = null,
      serves_until = now() + make_interval(secs => v_next.grace_seconds)
  where m.state = 'live';
  update public.rag_models m
  set state = 'live', swept = false, swept_to = null, closing_since = null
  where m.name = v_next.name;
  perform public.rag_wake_workers('switch', null);
  return jsonb_build_object('state', 'switched', 'documents', v_left);
end $$;

-- Called by every replica when it has time; one at a time does something. Moves a change of models on by one batch of
-- about p_limit documents: queues them to be embedded again, ends the switch when all are, makes the new generations
-- the live ones, and after the grace time lets go of the former model's.
-- Answers {state, documents}; state is 'idle', 'waiting' (for jobs), 'queued', 'switched', 'adopted' or 'released'.
create or replace function public.rag_advance_switch(p_limit integer) returns jsonb
-- Without JIT: the scan of a table of a few rows counts as forbidden, hence as dear enough to compile for half a second.
language plpgsql set search_path = '' set enable_seqscan = off set jit = off set statement_timeout = '20s' as $$
declare
  v_model public.rag_models;
  v_ids uuid[];
  v_open integer;
  v_count integer := 0;
begin
  select * into v_model from public.rag_models m
  where m.state = 'next' or not m.swept and (m.state = 'live' or m.serves_until <= now())
  -- What is left of the last switch first, then the next one.
  order by m.state = 'next' limit 1
  for update skip locked;
  if not found then
    return jsonb_build_object('state', 'idle', 'documents', 0);
  end if;
  if v_model.state = 'next' then
    select count(*) into v_open from (select 1 from public.rag_ingestion_queue q
      where q.kind = 'reembed' and q.status in ('queued', 'processing') limit 1000) o;
    if v_model.swept then
      return public.rag_close_switch(v_model, v_open);
    elsif v_open >= 1000 then
      return jsonb_build_object('state', 'waiting', 'documents', v_open);
    end if;
  end if;

  select array_agg(b.id order by b.id) into v_ids from (
    select d.id from public.rag_documents d
    where d.id > coalesce(v_model.swept_to, '00000000-0000-0000-0000-000000000000')
    order by d.id limit least(greatest(p_limit, 1), 1000)) b;
  if v_ids is not null then
    if v_model.state = 'next' then
      select public.rag_enqueue_reembedding(coalesce(array_agg(d.id), '{}')) into v_count
      from public.rag_documents d
      where d.id = any (v_ids) and d.live_generation is not null
        and (d.other_model, d.other_source) is distinct from (v_model.name, d.live_generation)
        -- One that failed is the operator's to look at, and to retry.
        and not exists (select 1 from public.rag_ingestion_queue q
          where q.kind = 'reembed' and q.status in ('failed', 'processing') and q.document_id = d.id
            and q.submitted_at >= v_model.asked_at);
    elsif v_model.state = 'live' then
      v_count := public.rag_adopt_documents(v_ids, v_model.name);
    else
      v_count := public.rag_release_documents(v_ids, v_model.name);
    end if;
  end if;
  update public.rag_models m
  set swept_to = v_ids[cardinality(v_ids)], swept = v_ids is null,
      swept_at = case when v_ids is null then clock_timestamp() else m.swept_at end
  where m.name = v_model.name;
  return jsonb_build_object('documents', v_count, 'state', case v_model.state
    when 'next' then 'queued' when 'live' then 'adopted' else 'released' end);
end $$;

-- Part of rag_advance_switch: all documents are queued, and p_open of the jobs are left.
create or replace function public.rag_close_switch(p_model public.rag_models, p_open integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_answer jsonb := jsonb_build_object('state', 'waiting', 'documents', p_open);
begin
  if p_open = 0 then
    v_answer := public.rag_finish_switch();
    if v_answer ->> 'state' = 'waiting' and (v_answer ->> 'documents')::integer > 0
      and (p_model).swept_at < clock_timestamp() - interval '10 seconds' then
      -- Left behind by jobs that were cancelled, or by transactions older than the switch: once more through all.
      update public.rag_models m set swept = false, swept_to = null where m.name = (p_model).name;
    end if;
  elsif p_open <= 100 and (p_model).swept_at < clock_timestamp() - interval '1 minute'
    and coalesce((p_model).closing_since < now() - interval '10 minutes', true) then
    -- Where documents come all the time there would always be one left. For two minutes none is begun.
    update public.rag_models m set closing_since = now() where m.name = (p_model).name;
  end if;
  return v_answer;
end $$;

-- What documents have of a model that serves no more is dead. The live generation stays, whatever it is of.
create or replace function public.rag_release_documents(p_document_ids uuid[], p_model text) returns integer
language plpgsql set search_path = '' as $$
declare
  v_count integer;
begin
  update public.rag_documents d
  set other_generation = null, other_model = null, other_source = null
  where d.id = any (p_document_ids) and d.other_model = p_model;
  get diagnostics v_count = row_count;
  update public.rag_generations g set state = 'dead'
  from public.rag_documents d
  where d.id = any (p_document_ids) and g.document_id = d.id and g.embedding_model = p_model and g.state <> 'dead'
    and g.generation is distinct from d.live_generation;
  return v_count;
end $$;

-- Called by `rag model`. Answers {models: [{name, model, dimensions, quantisation, state, serves_until}], switch}; switch
-- is null or {to, asked_at, documents, done, queued, processing, failed, walking, closing, paused, workers}.
create or replace function public.rag_describe_models() returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select jsonb_build_object(
    'models', (select coalesce(jsonb_agg(jsonb_build_object('name', m.name, 'model', m.model,
        'dimensions', m.dimensions, 'quantisation', m.quantisation, 'state', m.state,
        'serves_until', m.serves_until) order by m.created_at), '[]')
      from public.rag_models m where m.state <> 'retired' or m.serves_until > now()),
    'switch', (select jsonb_build_object('to', m.name, 'asked_at', m.asked_at,
        'documents', d.documents, 'done', d.done, 'queued', q.queued, 'processing', q.processing,
        'failed', (select count(distinct f.document_id) from public.rag_ingestion_queue f
          join public.rag_documents o on o.id = f.document_id
          where f.kind = 'reembed' and f.status = 'failed' and f.submitted_at >= m.asked_at
            and (o.other_model, o.other_source) is distinct from (m.name, o.live_generation)),
        'walking', not m.swept,
        'closing', coalesce(m.closing_since > now() - interval '2 minutes', false),
        'paused', exists (select 1 from public.rag_pauses p
          where p.scope = 'all' or p.scope = 'kind' and p.name = 'reembed'),
        'workers', (select count(*) from public.rag_workers w
          where w.alive_until >= now() and 'reembed' = any (w.kinds)))
      from public.rag_models m
      cross join lateral (select count(*) as documents, count(*) filter (
          where (o.other_model, o.other_source) is not distinct from (m.name, o.live_generation)) as done
        from public.rag_documents o where o.live_generation is not null) d
      cross join lateral (select count(*) filter (where j.status = 'queued') as queued,
          count(*) filter (where j.status = 'processing') as processing
        from public.rag_ingestion_queue j where j.kind = 'reembed' and j.status in ('queued', 'processing')) q
      where m.state = 'next'))
$$;
