-- Ways into the queue besides a plain insert: one request for document, bytes and job at once.

-- Reads one field of a request, or raises a sentence that names it.
create or replace function public.rag_check_request(p_request jsonb, p_allowed text[]) returns void
language plpgsql immutable set search_path = '' as $$
declare
  v_unknown text;
begin
  if jsonb_typeof(p_request) is distinct from 'object' then
    raise exception 'The request must be a JSON object.' using errcode = '22023';
  end if;
  select string_agg(k, ', ' order by k) into v_unknown
  from jsonb_object_keys(p_request) k where k <> all (p_allowed);
  if v_unknown is not null then
    raise exception 'Unknown fields in the request: %. Known: %.', v_unknown, array_to_string(p_allowed, ', ')
      using errcode = '22023';
  end if;
end $$;

-- Called by applications and `rag ingest`. Finds the document by document_id, external_id or source_uri
-- (within tenant and collection), or creates it; fields that are given replace what is stored.
-- Fields: document_id, external_id, source_uri, content (inline text), segments (a transcript's), tenant_id,
-- user_id, collection, title, document_kind, version, media_type, byte_size, tags, metadata.
-- Answers {document_id, created, content_sha256, live_generation}.
create or replace function public.rag_upsert_document(p_request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_request jsonb := public.rag_given_fields(p_request);
begin
  perform public.rag_check_request(v_request, array['document_id', 'external_id', 'source_uri', 'content',
    'segments', 'tenant_id', 'user_id', 'collection', 'title', 'document_kind', 'version', 'media_type',
    'byte_size', 'tags', 'metadata']);
  if v_request ? 'content' and not v_request ?| array['document_id', 'external_id', 'source_uri'] then
    -- Text without a name of its own is known by what it says: sent twice, it is one document.
    v_request := v_request || jsonb_build_object('external_id', 'content:' || encode(sha256(convert_to(
      concat_ws(chr(31), v_request ->> 'title', v_request ->> 'content'), 'UTF8')), 'hex'));
  end if;
  return public.rag_write_document(v_request);
end $$;

-- The fields of a request that say something: null is as good as absent.
create or replace function public.rag_given_fields(p_request jsonb) returns jsonb
language sql immutable set search_path = '' as $$
  select case when jsonb_typeof(p_request) = 'object' then (
    select coalesce(jsonb_object_agg(f.key, f.value), '{}')
    from jsonb_each(p_request) f where f.value <> 'null') else p_request end
$$;

-- Called by rag_upsert_document with a checked request.
create or replace function public.rag_write_document(p_request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_tenant text := coalesce(p_request ->> 'tenant_id', 'default');
  v_collection text := coalesce(p_request ->> 'collection', 'default');
  v_external text := p_request ->> 'external_id';
  v_uri text := p_request ->> 'source_uri';
  v_kind text := coalesce(p_request ->> 'document_kind', case when p_request ? 'segments' then 'transcript' end);
  v_document public.rag_documents;
  v_created boolean := false;
begin
  if p_request ? 'document_id' then
    select * into v_document from public.rag_documents d where d.id = (p_request ->> 'document_id')::uuid;
    if not found then
      raise exception 'No document has the id %.', p_request ->> 'document_id' using errcode = 'P0002';
    end if;
    if p_request ? 'tenant_id' and v_document.tenant_id <> v_tenant then
      raise exception 'The document % belongs to another tenant.', v_document.id using errcode = '42501';
    end if;
  elsif coalesce(v_external, v_uri) is not null then
    -- Two callers that name the same new source make one document, not two.
    perform pg_advisory_xact_lock(hashtextextended(
      concat_ws(chr(31), 'rag_document', v_tenant, v_collection, coalesce(v_external, v_uri)), 0));
    select * into v_document from public.rag_documents d
    where d.tenant_id = v_tenant and d.collection = v_collection
      and case when v_external is null then d.source_uri = v_uri else d.external_id = v_external end
    order by d.replaced_by is not null, d.created_at desc limit 1;
  end if;

  if v_document.id is null then
    if v_uri is null and not p_request ? 'content' and coalesce(v_kind, '') <> 'transcript' then
      raise exception 'The request needs a source_uri, a content or segments.' using errcode = '22023';
    end if;
    v_created := true;
    insert into public.rag_documents (tenant_id, user_id, collection, external_id, title, source_uri, kind,
      version, media_type, byte_size, tags, metadata)
    values (v_tenant, p_request ->> 'user_id', v_collection, v_external, p_request ->> 'title',
      coalesce(v_uri, case when p_request ? 'content' then
        'inline:' || coalesce(p_request ->> 'title', v_external, 'text') end),
      coalesce(v_kind, 'file'), p_request ->> 'version', p_request ->> 'media_type',
      (p_request ->> 'byte_size')::bigint, public.rag_text_array(p_request -> 'tags'),
      coalesce(nullif(p_request -> 'metadata', 'null'), '{}'))
    returning * into v_document;
  else
    update public.rag_documents d set
      -- What is given is what will be read: text in the request, segments, or an address.
      source_uri = coalesce(v_uri, case when p_request ? 'content' and d.source_uri not like 'inline:%' then
        'inline:' || coalesce(p_request ->> 'title', d.title, 'text') else d.source_uri end),
      kind = coalesce(v_kind, case when p_request ? 'content' and d.kind = 'transcript' then 'file' else d.kind end),
      title = case when p_request ? 'title' then p_request ->> 'title' else d.title end,
      user_id = case when p_request ? 'user_id' then p_request ->> 'user_id' else d.user_id end,
      version = case when p_request ? 'version' then p_request ->> 'version' else d.version end,
      media_type = case when p_request ? 'media_type' then p_request ->> 'media_type' else d.media_type end,
      byte_size = case when p_request ? 'byte_size' then (p_request ->> 'byte_size')::bigint else d.byte_size end,
      tags = case when p_request ? 'tags' then public.rag_text_array(p_request -> 'tags') else d.tags end,
      metadata = case when p_request ? 'metadata' then coalesce(nullif(p_request -> 'metadata', 'null'), '{}')
        else d.metadata end,
      updated_at = now()
    where d.id = v_document.id
      -- A request that only names the document takes no lock on it.
      and (p_request - array['document_id', 'external_id', 'tenant_id', 'collection']) <> '{}'
      and not (p_request - array['document_id', 'external_id', 'tenant_id', 'collection', 'source_uri', 'content']
        = '{}' and d.source_uri is not distinct from coalesce(v_uri, d.source_uri)
        and (not p_request ? 'content' or d.source_uri like 'inline:%') and d.kind <> 'transcript');
  end if;

  if p_request ? 'content' then
    perform public.rag_store_original(v_document.id, 'content-' || encode(sha256(convert_to(
      p_request ->> 'content', 'UTF8')), 'hex'), 0, 1,
      encode(convert_to(p_request ->> 'content', 'UTF8'), 'base64'));
  end if;
  if p_request ? 'segments' then
    delete from public.rag_segments s where s.document_id = v_document.id and s.generation = 0;
    insert into public.rag_segments (document_id, seq, speaker, started_ms, ended_ms, section, content)
    select v_document.id, coalesce(s.seq, s.place::integer), s.speaker, s.started_ms, s.ended_ms, s.section,
      coalesce(s.content, '')
    from rows from (jsonb_to_recordset(p_request -> 'segments') as
      (seq integer, speaker text, started_ms bigint, ended_ms bigint, section text, content text))
      with ordinality as s(seq, speaker, started_ms, ended_ms, section, content, place);
  end if;
  return jsonb_build_object('document_id', v_document.id, 'created', v_created,
    'content_sha256', v_document.content_sha256, 'live_generation', v_document.live_generation);
end $$;

create or replace function public.rag_text_array(p_value jsonb) returns text[]
language sql immutable set search_path = '' as $$
  select coalesce(array_agg(t.v), '{}') from jsonb_array_elements_text(
    case when jsonb_typeof(p_value) = 'array' then p_value else '[]' end) as t(v)
$$;

-- Reads what a request says of its job, or raises a sentence that names the field and what it may be.
create or replace function public.rag_check_job_fields(p_request jsonb) returns void
language plpgsql stable set search_path = '' as $$
declare
  v_text text;
begin
  v_text := p_request ->> 'kind';
  if v_text is not null and v_text <> all (array['document', 'relationships', 'sync']) then
    raise exception 'No kind of job is called %. Known: document, relationships, sync.', v_text
      using errcode = '22023';
  end if;
  v_text := p_request ->> 'priority';
  if v_text is not null and v_text !~ '^[0-9]$' then
    raise exception 'priority is a whole number from 0 to 9, the higher first; not %.', v_text
      using errcode = '22023';
  end if;
  v_text := p_request ->> 'max_attempts';
  if v_text is not null and (v_text !~ '^[0-9]{1,3}$' or v_text::integer not between 1 and 100) then
    raise exception 'max_attempts is a whole number from 1 to 100; not %.', v_text using errcode = '22023';
  end if;
  v_text := p_request ->> 'run_at';
  begin
    if v_text is not null and (v_text::timestamptz <= '2000-01-01' or v_text::timestamptz >= '2200-01-01') then
      raise exception using errcode = '22007';
    end if;
  exception when others then
    raise exception 'run_at is a time between the years 2000 and 2200, such as 2027-01-31T08:00:00Z; not %.', v_text
      using errcode = '22023';
  end;
  v_text := p_request ->> 'document_id';
  begin
    if v_text is not null and not exists (
      select 1 from public.rag_documents d where d.id = v_text::uuid) then
      raise exception 'No document has the id %.', v_text using errcode = 'P0002';
    end if;
  exception when invalid_text_representation then
    raise exception 'document_id is a UUID; not %.', v_text using errcode = '22023';
  end;
end $$;

-- Called by applications, `rag ingest` and every other way in. Takes the fields of rag_upsert_document and
-- kind, priority, run_at, dedupe_key, max_attempts, sync (what a job of the kind sync is asked: rag_check_sync), and
-- traceparent (W3C Trace Context; what is none is as good as absent, for no trace is worth a document).
-- Nothing -> queued.
-- Answers {job_id, document_id, state}: state is 'queued', or 'duplicate' when the dedupe_key was seen before
-- (then the job and document are those of the first time).
create or replace function public.rag_enqueue(p_request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_own constant text[] := array['kind', 'priority', 'run_at', 'dedupe_key', 'max_attempts', 'sync', 'traceparent'];
  v_tenant text;
  v_key text := p_request ->> 'dedupe_key';
  v_kind text := coalesce(p_request ->> 'kind', 'document');
  v_trace public.rag_traceparent;
  v_document uuid;
  v_job record;
begin
  if jsonb_typeof(p_request) is distinct from 'object' then
    raise exception 'The request must be a JSON object.' using errcode = '22023';
  end if;
  perform public.rag_check_job_fields(p_request);
  -- Keys are a tenant's own, and a job is of its document's tenant.
  select d.tenant_id into v_tenant from public.rag_documents d where d.id = (p_request ->> 'document_id')::uuid;
  v_tenant := coalesce(v_tenant, p_request ->> 'tenant_id', 'default');
  if v_key is not null then
    perform pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'rag_dedupe', v_tenant, v_key), 0));
    select q.id, q.document_id into v_job from public.rag_ingestion_queue q
    where q.tenant_id = v_tenant and q.dedupe_key = v_key;
    if found then
      return jsonb_build_object('job_id', v_job.id, 'document_id', v_job.document_id, 'state', 'duplicate');
    end if;
  end if;
  if v_kind = 'document' or p_request ->> 'document_id' is not null then
    v_document := (public.rag_upsert_document(p_request - v_own) ->> 'document_id')::uuid;
  end if;
  if p_request ? 'traceparent' then
    begin
      v_trace := p_request ->> 'traceparent';
    exception when check_violation then
      v_trace := null;
    end;
  end if;
  insert into public.rag_ingestion_queue
    (kind, document_id, tenant_id, priority, run_at, dedupe_key, max_attempts, sync, traceparent)
  values (v_kind, v_document, v_tenant,
    coalesce((p_request ->> 'priority')::smallint, 0),
    coalesce((p_request ->> 'run_at')::timestamptz, now()), v_key,
    coalesce((p_request ->> 'max_attempts')::integer, 5),
    case when v_kind = 'sync' then public.rag_check_sync(coalesce(p_request -> 'sync', '{}')) end,
    v_trace)
  returning id, document_id into v_job;
  return jsonb_build_object('job_id', v_job.id, 'document_id', v_job.document_id, 'state', 'queued');
end $$;

-- Called by `rag ingest` for a file that is stored nowhere else: one part of at most 1 MiB, as base64.
-- Sent twice, it changes nothing. Answers the number of parts that are there.
create or replace function public.rag_store_original(
  p_document_id uuid, p_upload text, p_part integer, p_parts integer, p_bytes text) returns integer
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
begin
  insert into public.rag_originals (document_id, upload, part, parts, bytes)
  values (p_document_id, p_upload, p_part, p_parts, decode(p_bytes, 'base64'))
  -- An upload that comes back is the newest again.
  on conflict (document_id, upload, part) do update set created_at = now();
  return (select count(*) from public.rag_originals o
    where o.document_id = p_document_id and o.upload = p_upload);
end $$;

-- Called by the inline source. p_upload null: the newest upload whose parts are all there.
-- Answers {upload, part, parts, byte_size, bytes} with bytes as base64, or null when there is none.
create or replace function public.rag_read_original(p_document_id uuid, p_upload text, p_part integer)
returns jsonb
language plpgsql stable set search_path = '' set statement_timeout = '20s' as $$
declare
  v_upload text := p_upload;
begin
  if v_upload is null then
    select o.upload into v_upload from public.rag_originals o
    where o.document_id = p_document_id
    group by o.upload having count(*) = max(o.parts)
    order by max(o.created_at) desc limit 1;
  end if;
  return (
    select jsonb_build_object('upload', o.upload, 'part', o.part, 'parts', o.parts,
      'byte_size', (select sum(length(s.bytes)) from public.rag_originals s
        where s.document_id = p_document_id and s.upload = v_upload),
      'bytes', translate(encode(o.bytes, 'base64'), E'\n', ''))
    from public.rag_originals o
    where o.document_id = p_document_id and o.upload = v_upload and o.part = p_part);
end $$;
