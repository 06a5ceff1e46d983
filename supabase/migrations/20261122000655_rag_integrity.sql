-- Looks through what is stored, a bounded part a call, and repairs what it finds. Every kind of finding has one code;
-- what each means and what its repair does stands in worker/integrity/findings.ts. A document that has a job is
-- neither reported nor touched: the job makes it right.

-- What a job of the kind sync is asked, or a sentence that names what is wrong: {type, document_ids, entities, repair}.
-- type is incremental_sync (the documents that are named), full_sync, conflict_resolution or data_validation; entities
-- is [{entity_type, entity_id, tenant_id}].
create or replace function public.rag_check_sync(p_sync jsonb) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_sync jsonb := public.rag_given_fields(p_sync);
  v_type text := coalesce(v_sync ->> 'type', 'full_sync');
begin
  perform public.rag_check_request(v_sync, array['type', 'document_ids', 'entities', 'repair']);
  if v_type <> all (array['incremental_sync', 'full_sync', 'conflict_resolution', 'data_validation']) then
    raise exception 'No sync is called %. Known: incremental_sync, full_sync, conflict_resolution, data_validation.',
      left(v_type, 100) using errcode = '22023';
  elsif exists (select 1 from jsonb_each(v_sync) f where jsonb_typeof(f.value) <> case f.key when 'type' then 'string'
      when 'repair' then 'boolean' else 'array' end) then
    raise exception 'In a sync type is a text, repair true or false, document_ids and entities are arrays.'
      using errcode = '22023';
  elsif jsonb_array_length(coalesce(v_sync -> 'document_ids', '[]'))
      + jsonb_array_length(coalesce(v_sync -> 'entities', '[]')) > 1000 then
    raise exception 'A sync names 1,000 documents at most.' using errcode = '22023';
  elsif exists (select 1 from jsonb_array_elements(v_sync -> 'document_ids') e
      where e.value #>> '{}' !~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')
    or exists (select 1 from jsonb_array_elements(v_sync -> 'entities') e
      where jsonb_typeof(e.value) <> 'object' or not e.value ?& array['entity_type', 'entity_id']) then
    raise exception 'document_ids holds whole ids, entities objects with entity_type and entity_id.'
      using errcode = '22023';
  elsif v_type = 'incremental_sync' and not v_sync ?| array['document_ids', 'entities'] then
    raise exception 'An incremental_sync names its document_ids or entities.' using errcode = '22023';
  end if;
  return v_sync || jsonb_build_object('type', v_type);
end $$;

-- Called by every replica now and then while RAG_SYNC_INTERVAL_MINUTES says so. One job for each interval, whoever asks
-- first, and none while one is under way. Answers {state}: 'queued', 'duplicate' or 'under_way'.
create or replace function public.rag_enqueue_due_sync(p_minutes integer, p_repair boolean) returns jsonb
language plpgsql set search_path = '' as $$
begin
  if exists (select 1 from public.rag_ingestion_queue q
    where q.kind = 'sync' and q.status in ('queued', 'processing')) then
    return jsonb_build_object('state', 'under_way');
  end if;
  return public.rag_enqueue(jsonb_build_object('kind', 'sync', 'tenant_id', 'rag:sync',
    'sync', jsonb_build_object('type', 'full_sync', 'repair', p_repair),
    'dedupe_key', 'every ' || p_minutes || ' minutes/' || floor(extract(epoch from now()) / 60 / greatest(p_minutes, 1))))
    - array['job_id', 'document_id'];
end $$;

-- Called by the worker that holds a job of the kind sync. One sync at a time: who was claimed first goes on.
-- Answers {state, sync, document_ids}: what was asked, with entities as document_ids; state is 'begun', 'busy' or
-- 'lease_lost'.
create or replace function public.rag_begin_sync(p_job_id uuid, p_lease_token bigint) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing';
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  elsif exists (select 1 from public.rag_ingestion_queue q
    where q.kind = 'sync' and q.status = 'processing' and q.lease_token < p_lease_token) then
    return jsonb_build_object('state', 'busy');
  end if;
  return jsonb_build_object('state', 'begun', 'sync', coalesce(v_job.sync, '{"type": "full_sync"}'),
    'document_ids', (
      select coalesce(jsonb_agg(distinct n.id), '[]') from (
        select e.value from jsonb_array_elements_text(v_job.sync -> 'document_ids') e (value)
        union all
        select d.id::text from jsonb_array_elements(v_job.sync -> 'entities') e
        join public.rag_documents d on d.tenant_id = coalesce(e.value ->> 'tenant_id', v_job.tenant_id)
          and d.collection = public.rag_entity_collection(e.value ->> 'entity_type')
          and d.external_id = public.rag_entity_key(e.value ->> 'entity_type', e.value ->> 'entity_id')) n (id)));
end $$;

-- Whether a job of this document waits or works: then nobody else touches it.
create or replace function public.rag_has_job(p_document_id uuid) returns boolean
language sql stable set search_path = '' as $$
  select exists (select 1 from public.rag_ingestion_queue q where q.document_id = p_document_id
    and q.kind in ('document', 'reembed') and q.status in ('queued', 'processing'))
$$;

-- The findings about documents p_after to some p_limit further on (100 at most), or about those that are named.
create or replace function public.rag_validate_documents(p_document_ids uuid[], p_after text, p_limit integer)
returns jsonb
language sql stable set search_path = public, extensions as $$
  with page as materialized (
    select d.* from public.rag_documents d
    where (p_after is null or d.id > p_after::uuid) and (p_document_ids is null or d.id = any (p_document_ids))
    order by d.id limit greatest(1, least(p_limit, 100))
  ), quiet as materialized (
    select p.*, g.generation as generation, g.state as generation_state, g.chunk_count, g.segment_count,
      g.embedding_model, g.dimensions, (select count(*) from public.rag_rejected_chunks r
        where r.document_id = g.document_id and r.generation = g.generation) as rejected
    from page p
    left join public.rag_generations g on g.document_id = p.id and g.generation = p.live_generation
    where not public.rag_has_job(p.id) and p.replaced_by is null
  ), stored as materialized (
    select q.id, s.* from quiet q
    cross join lateral (
      select count(*) filter (where c.chunk_index < coalesce(q.chunk_count, 0) + q.rejected) as chunks,
        count(*) filter (where c.chunk_index >= coalesce(q.chunk_count, 0) + q.rejected) as surplus,
        count(*) filter (where c.embedding_model <> q.embedding_model or vector_dims(c.embedding) <> q.dimensions)
          as foreign_chunks,
        (select count(*) from public.rag_segments t where t.document_id = q.id and t.generation = q.generation)
          as segments
      from public.rag_document_chunks c where c.document_id = q.id and c.generation = q.generation) s
    where q.generation_state = 'live'
  ), findings as (
    select 'document.not-live' as code, q.id, jsonb_build_object('live_generation', q.live_generation,
      'state', q.generation_state) as detail
    from quiet q where q.generation_state is distinct from 'live'
      and (q.status = 'ingested' or q.live_generation is not null)
    union all
    select 'vector.missing', q.id, jsonb_build_object('chunks', q.chunk_count, 'stored', s.chunks)
    from quiet q join stored s on s.id = q.id where s.chunks < coalesce(q.chunk_count, 1)
    union all
    select 'chunk.surplus', q.id, jsonb_build_object('chunks', q.chunk_count, 'surplus', s.surplus)
    from quiet q join stored s on s.id = q.id where s.surplus > 0 and q.chunk_count is not null
    union all
    select 'vector.foreign-model', q.id, jsonb_build_object('model', q.embedding_model, 'chunks', s.foreign_chunks)
    from quiet q join stored s on s.id = q.id where s.foreign_chunks > 0
    union all
    select 'segment.missing', q.id, jsonb_build_object('segments', q.segment_count, 'stored', s.segments)
    from quiet q join stored s on s.id = q.id where s.segments <> q.segment_count
    union all
    select 'document.foreign-model', q.id, jsonb_build_object('model', q.embedding_model, 'live_model', m.name)
    from quiet q join public.rag_models m on m.state = 'live' and m.swept and m.name <> q.embedding_model
    where q.generation_state = 'live'
      and not exists (select 1 from public.rag_models n where n.state = 'next')
    union all
    -- Nobody reads it, and nobody would ever clear it away.
    select 'generation.unlinked', q.id, jsonb_build_object('generations', count(*))
    from quiet q join public.rag_generations g on g.document_id = q.id and g.state = 'live'
      and g.generation is distinct from q.live_generation and g.generation is distinct from q.other_generation
    where q.generation_state = 'live'
    group by q.id)
  select jsonb_build_object(
    'findings', (select coalesce(jsonb_agg(jsonb_build_object('code', f.code, 'subject', f.id, 'document_id', f.id,
      'tenant_id', p.tenant_id, 'detail', f.detail) order by f.id, f.code), '[]')
      from findings f join page p on p.id = f.id),
    'next', case when (select count(*) from page) = greatest(1, least(p_limit, 100))
      then (select max(p.id::text) from page p) end,
    'looked_at', (select count(*) from page))
$$;

-- The other areas, each as a query that gives code, subject (unique), document_id, tenant_id and detail.
-- $1: documents that are named, or null. $2: whether originals are kept.
create or replace function public.rag_area_sql(p_area text) returns text
language sql immutable set search_path = '' as $$
  select case p_area
    when 'relationships' then $q$
      select 'relationship.orphaned' as code, concat_ws('/', r.source_id, r.target_id, r.relationship_type) as subject,
        r.source_id as document_id, r.tenant_id, jsonb_build_object('type', r.relationship_type) as detail
      from public.rag_relationships r
      left join public.rag_documents s on s.id = r.source_id left join public.rag_documents t on t.id = r.target_id
      where ($1 is null or r.source_id = any ($1) or r.target_id = any ($1))
        and (s.id is null or t.id is null or s.tenant_id <> r.tenant_id or t.tenant_id <> r.tenant_id) $q$
    -- One finding for each document that is gone, whatever is left of it.
    when 'orphans' then $q$
      select case when sum(o.chunks) > 0 then 'chunk.orphaned' when sum(o.segments) > 0 then 'segment.orphaned'
          when sum(o.generations) > 0 then 'generation.orphaned' else 'original.orphaned' end as code,
        o.document_id::text as subject, o.document_id, null::text as tenant_id,
        jsonb_build_object('chunks', sum(o.chunks), 'segments', sum(o.segments), 'generations', sum(o.generations),
          'originals', sum(o.originals)) as detail
      from (
        select c.document_id, count(*) as chunks, 0 as segments, 0 as generations, 0 as originals
        from public.rag_document_chunks c where $1 is null or c.document_id = any ($1) group by 1
        union all
        select s.document_id, 0, count(*), 0, 0 from public.rag_segments s
        where $1 is null or s.document_id = any ($1) group by 1
        union all
        select g.document_id, 0, 0, count(*), 0 from public.rag_generations g
        where $1 is null or g.document_id = any ($1) group by 1
        union all
        select r.document_id, 0, 0, 0, count(*) from public.rag_originals r
        where $1 is null or r.document_id = any ($1) group by 1) o
      where not exists (select 1 from public.rag_documents d where d.id = o.document_id)
      group by o.document_id $q$
    -- Rows of a generation that its document does not know.
    when 'generations' then $q$
      select 'chunk.no-generation' as code, o.document_id || '/' || o.generation as subject, o.document_id,
        d.tenant_id, jsonb_build_object('generation', o.generation, 'chunks', sum(o.chunks),
          'segments', sum(o.segments)) as detail
      from (
        select c.document_id, c.generation, count(*) as chunks, 0 as segments from public.rag_document_chunks c
        where $1 is null or c.document_id = any ($1) group by 1, 2
        union all
        select s.document_id, s.generation, 0, count(*) from public.rag_segments s
        where s.generation > 0 and ($1 is null or s.document_id = any ($1)) group by 1, 2) o
      join public.rag_documents d on d.id = o.document_id
      where not exists (select 1 from public.rag_generations g
        where g.document_id = o.document_id and g.generation = o.generation)
        -- A live one is told as document.not-live.
        and o.generation is distinct from d.live_generation
        and not public.rag_has_job(o.document_id)
      group by o.document_id, o.generation, d.tenant_id $q$
    when 'jobs' then $q$
      select j.code, j.id::text as subject, j.document_id, j.tenant_id,
        jsonb_build_object('kind', j.kind, 'status', j.status) as detail
      from (
        select q.*, case
          when q.document_id is not null and not exists (
            select 1 from public.rag_documents d where d.id = q.document_id) then 'job.orphaned'
          when q.status = 'processing' and (q.lease_token is null or q.lease_expires_at is null or q.worker_id is null)
            or q.status = 'queued' and (q.lease_token is not null or q.worker_id is not null)
            or q.status in ('complete', 'failed', 'cancelled') and (q.completed_at is null or q.waits_for is not null)
            then 'job.impossible'
          when q.status = 'processing' and q.lease_expires_at < now() - interval '10 minutes' and not exists (
            select 1 from public.rag_workers w where w.worker_id = q.worker_id
              and w.alive_until >= now() - interval '10 minutes') then 'job.lost'
          when q.status = 'queued' and q.waits_for is null and q.position is null
            and q.run_at < now() - interval '10 minutes' then 'job.unplaced'
          when q.status = 'queued' and q.waits_for = 'document' and q.updated_at < now() - interval '10 minutes'
            and not exists (select 1 from public.rag_ingestion_queue w where w.document_id = q.document_id
              and w.status = 'processing' and w.kind = 'document') then 'job.waits-for-nothing'
          end as code
        from public.rag_ingestion_queue q where $1 is null or q.document_id = any ($1)) j
      where j.code is not null $q$
    when 'originals' then $q$
      select case when bool_or(o.parts_there < o.parts) then 'original.partial' else 'original.stale' end as code,
        o.document_id::text as subject, o.document_id, o.tenant_id, jsonb_build_object('uploads', count(*)) as detail
      from (
        select r.document_id, r.upload, d.tenant_id, count(*) as parts_there, max(r.parts) as parts,
          max(r.created_at) as at, max(d.ingested_at) as ingested_at, max(d.status) as status
        from public.rag_originals r join public.rag_documents d on d.id = r.document_id
        where $1 is null or r.document_id = any ($1)
        group by r.document_id, r.upload, d.tenant_id) o
      where o.at < now() - interval '1 day' and not public.rag_has_job(o.document_id)
        and (o.parts_there < o.parts or not $2 and o.status = 'ingested' and o.at < o.ingested_at)
      group by o.document_id, o.tenant_id $q$
    when 'conflicts' then $q$
      select 'source.duplicate' as code, concat_ws(chr(31), s.tenant_id, s.collection, s.source_uri) as subject,
        s.ids[1] as document_id, s.tenant_id,
        jsonb_build_object('keeps', s.ids[1], 'replaces', to_jsonb(s.ids[2:21]), 'count', cardinality(s.ids)) as detail
      from (
        select d.tenant_id, d.collection, d.source_uri, array_agg(d.id
          order by d.live_generation is not null desc, d.ingested_at desc nulls last, d.created_at desc, d.id) as ids
        from public.rag_documents d
        where d.source_uri is not null and d.source_uri not like 'inline:%' and d.replaced_by is null
        group by 1, 2, 3 having count(*) > 1) s
      where ($1 is null or s.ids && $1)
        and not exists (select 1 from unnest(s.ids) i (id) where public.rag_has_job(i.id)) $q$
    end
$$;

-- Called by `rag sync` and by jobs of the kind sync. Looks through one area from p_after on and answers at most p_limit
-- (1,000) findings: {findings: [{code, subject, document_id, tenant_id, detail}], next, looked_at}; to be called with
-- next as p_after until it is null. Changes nothing. p_area: documents, relationships, orphans, generations, jobs,
-- originals, conflicts. p_document_ids: only what concerns these.
create or replace function public.rag_validate(p_area text, p_after text default null, p_limit integer default 100,
  p_document_ids uuid[] default null, p_keep_originals boolean default false)
returns jsonb
language plpgsql stable set search_path = public, extensions set statement_timeout = '60s' set jit = off as $$
declare
  v_limit integer := greatest(1, least(p_limit, 1000));
  v_findings jsonb;
begin
  if p_area = 'documents' then
    return public.rag_validate_documents(p_document_ids, p_after, v_limit);
  elsif public.rag_area_sql(p_area) is null then
    raise exception 'No area is called %.', left(p_area, 100) using errcode = '22023';
  end if;
  execute format('select coalesce(jsonb_agg(to_jsonb(f) order by f.subject collate "C"), ''[]'') from (
      select * from (%s) f where $3 is null or f.subject collate "C" > $3
      order by f.subject collate "C" limit $4) f', public.rag_area_sql(p_area))
  into v_findings using p_document_ids, p_keep_originals, p_after, v_limit;
  return jsonb_build_object('findings', v_findings,
    'next', case when jsonb_array_length(v_findings) = v_limit then v_findings -> -1 ->> 'subject' end,
    'looked_at', 0);
end $$;

-- Called by whoever looks at originals outside of the database. Documents that serve and are of a file or an object, in
-- order of id after p_after, at most p_limit (1,000); without those that have a job.
-- Answers [{document_id, tenant_id, source_uri, content_sha256, byte_size, media_type}].
create or replace function public.rag_list_sources(
  p_document_ids uuid[] default null, p_after uuid default null, p_limit integer default 500) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select coalesce(jsonb_agg(to_jsonb(s) order by s.document_id), '[]') from (
    select d.id as document_id, d.tenant_id, d.source_uri, g.content_sha256, d.byte_size, d.media_type
    from public.rag_documents d
    join public.rag_generations g on g.document_id = d.id and g.generation = d.live_generation
    where (p_after is null or d.id > p_after) and (p_document_ids is null or d.id = any (p_document_ids))
      and (d.source_uri like 'file:///%' or d.source_uri like 'storage://%') and d.replaced_by is null
      and not public.rag_has_job(d.id)
    order by d.id limit greatest(0, least(p_limit, 1000))) s
$$;

-- Called by whoever lists a bucket. Of these addresses, each given in all ways it may be written, those that no document
-- has. p_sources: [[address, …], …], at most 1,000. Answers the first of each that is unknown.
create or replace function public.rag_unknown_sources(p_sources jsonb) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off as $$
  select coalesce(jsonb_agg(s.value ->> 0 order by s.value ->> 0), '[]') from jsonb_array_elements(p_sources) s
  where not exists (select 1 from public.rag_documents d
    join jsonb_array_elements_text(s.value) a (uri) on d.source_uri = a.uri and d.source_uri like 'storage://%')
$$;
