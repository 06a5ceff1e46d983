-- Documents go with everything that hangs on them: jobs, generations, segments, chunks, terms and their counts, texts
-- in batches, analyses and the prompts for them, originals, relationships, and what the activity log holds of them. What
-- they cost stays, as a sum by day. Erasure that somebody has a right to must not depend on whether a worker has one of
-- them in its hands just then.

-- A document filter as "from … d where …"; values stay in $1, which the caller binds to the filter. A filter that
-- names nothing, or something unknown, is refused: a misspelt one must never mean "everything".
-- Fields: document_ids, source_uris, external_ids (arrays), tenant_id, user_id, collection.
create or replace function public.rag_documents_meant(p_filter jsonb) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_field record;
  v_conditions text[] := array[]::text[];
begin
  perform public.rag_check_request(p_filter,
    array['document_ids', 'source_uris', 'external_ids', 'tenant_id', 'user_id', 'collection']);
  for v_field in select f.key, f.value, jsonb_typeof(f.value) as type from jsonb_each(p_filter) f loop
    if v_field.key in ('document_ids', 'source_uris', 'external_ids') then
      if v_field.type <> 'array' or exists (
        select 1 from jsonb_array_elements(v_field.value) e where jsonb_typeof(e.value) <> 'string') then
        raise exception 'The field % of a filter must be an array of texts.', v_field.key using errcode = '22023';
      elsif v_field.key = 'document_ids' and exists (
        select 1 from jsonb_array_elements_text(v_field.value) e
        where e.value !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$') then
        raise exception 'The field document_ids of a filter must hold whole ids.' using errcode = '22023';
      end if;
      v_conditions := v_conditions || format('d.%s = any (public.rag_text_array($1 -> %L)%s)',
        case v_field.key when 'document_ids' then 'id' when 'source_uris' then 'source_uri' else 'external_id' end,
        v_field.key, case v_field.key when 'document_ids' then '::uuid[]' else '' end);
    elsif v_field.type <> 'string' then
      raise exception 'The field % of a filter must be a text.', v_field.key using errcode = '22023';
    else
      v_conditions := v_conditions || format('d.%s = $1 ->> %L', v_field.key, v_field.key);
    end if;
  end loop;
  if v_conditions = '{}' then
    raise exception 'Say which documents: document_ids, source_uris, external_ids, tenant_id, user_id or collection.'
      using errcode = '22023';
  end if;
  return 'from public.rag_documents d where ' || array_to_string(v_conditions, ' and ');
end $$;

-- Called by `rag delete` before it deletes: what is meant, in order of id after p_after, at most p_limit (1,000).
-- shared: a document that is not meant is of the same stored object, which must stay.
create or replace function public.rag_list_documents(
  p_filter jsonb, p_after uuid default null, p_limit integer default 100)
returns table (document_id uuid, title text, source_uri text, tenant_id text, status text, shared boolean)
language plpgsql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off as $$
declare
  v_meant text := public.rag_documents_meant(p_filter);
begin
  return query execute format($q$
    select m.id, m.title, m.source_uri, m.tenant_id, m.status, exists (
      select 1 from public.rag_documents o
      where o.source_uri = m.source_uri and o.source_uri like 'storage://%%' and o.id <> m.id
        and not exists (select 1 %1$s and d.id = o.id))
    from (select d.* %1$s and ($2 is null or d.id > $2) order by d.id limit $3) m
    order by m.id $q$, v_meant)
  using p_filter, p_after, greatest(0, least(p_limit, 1000));
end $$;

-- Called by applications and `rag delete`. Deletes up to p_limit of the documents that are meant, at most some
-- p_chunks chunks in one call, so that no lock is held for long; call it until more is false.
-- A document whose job somebody is writing to this very moment is left for the next call (more is true then too):
-- nobody waits for anybody, so this cannot end in a deadlock with a worker. A worker whose document is gone is
-- told lease_lost at its next write. A document with more chunks than one call takes is taken from the searches
-- and from the queue first.
-- Answers {deleted, chunks, more}; with p_dry_run {would_delete}, and nothing changes.
create or replace function public.rag_delete_documents(
  p_filter jsonb, p_dry_run boolean default false, p_limit integer default 100, p_chunks integer default 5000)
returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' set enable_seqscan = off as $$
declare
  v_meant text := public.rag_documents_meant(p_filter);
  v_ids uuid[];
  v_id uuid;
  v_room integer := greatest(p_chunks, 1);
  v_count integer;
  v_deleted integer := 0;
  v_texts bigint[];
  v_tenant text;
  v_around uuid[];
  v_more boolean;
begin
  if p_dry_run then
    execute format('select count(*) %s', v_meant) into v_count using p_filter;
    return jsonb_build_object('would_delete', v_count);
  end if;
  -- With the document locked no job for it can appear, for a row's foreign key waits for us.
  execute format('select array_agg(m.id) from (select d.id %s order by d.id limit $2 for update of d skip locked) m',
    v_meant) into v_ids using p_filter, greatest(p_limit, 0);
  foreach v_id in array coalesce(v_ids, '{}') loop
    exit when v_room <= 0;
    with mine as (
      select q.id from public.rag_ingestion_queue q where q.document_id = v_id for update skip locked)
    select count(*) into v_count from mine;
    continue when v_count < (select count(*) from public.rag_ingestion_queue q where q.document_id = v_id);
    -- What is on its way to a vector in a batch goes too, where nobody else wants it.
    select array_agg(distinct w.text_id) into v_texts from public.rag_batch_wants w
    join public.rag_ingestion_queue q on q.id = w.job_id where q.document_id = v_id;
    delete from public.rag_ingestion_queue q where q.document_id = v_id;
    delete from public.rag_batch_texts t where t.id = any (v_texts)
      and not exists (select 1 from public.rag_batch_wants w where w.text_id = t.id);
    delete from public.rag_document_chunks c where c.ctid = any (array(
      select k.ctid from public.rag_document_chunks k where k.document_id = v_id limit v_room));
    get diagnostics v_count = row_count;
    v_room := v_room - v_count;
    if v_room > 0 then
      delete from public.rag_activity_logs l where l.document_id = v_id;
      -- Its relationships go with it; what named it is unresolved again, and others step into its place: the version
      -- before it, the folder above it. Whoever relates documents of the tenant just now is not waited for.
      v_around := public.rag_related_through(v_id);
      delete from public.rag_documents d where d.id = v_id returning d.tenant_id into v_tenant;
      if v_around <> '{}' and pg_catalog.pg_try_advisory_xact_lock(
        hashtextextended('rag_relationships' || chr(31) || v_tenant, 0)) then
        perform public.rag_settle_stated(v_tenant, v_around);
      end if;
      v_deleted := v_deleted + 1;
    else
      update public.rag_documents d
      set live_generation = null, other_generation = null, other_model = null, other_source = null, status = 'pending',
          updated_at = now()
      where d.id = v_id;
      update public.rag_generations g set state = 'dead' where g.document_id = v_id and g.state <> 'dead';
    end if;
  end loop;
  -- The words of what is gone are still to be counted off.
  for v_turn in 1..20 loop
    exit when v_deleted = 0 or not exists (select 1 from public.rag_departed_terms);
    perform public.rag_fill_terms(0);
  end loop;
  execute format('select exists (select 1 %s)', v_meant) into v_more using p_filter;
  return jsonb_build_object('deleted', v_deleted, 'chunks', p_chunks - v_room, 'more', v_more);
end $$;
