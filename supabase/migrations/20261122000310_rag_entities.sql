-- Entities of an application (tasks, pages, memories) as documents of kind 'entity': known by their own id, indexed
-- again only when what they say has changed.

-- The collection that entities of a type are in.
create or replace function public.rag_entity_collection(p_type text) returns text
language sql immutable set search_path = '' as $$
  select case p_type when 'task' then 'kanban_tasks' when 'page' then 'wiki_pages' when 'memory' then 'memory_nodes'
    else 'cross_references' end
$$;

-- The external_id of an entity's document: its own id; with its type before it where one collection holds many types.
create or replace function public.rag_entity_key(p_type text, p_id text) returns text
language sql immutable set search_path = '' as $$
  select case when p_type in ('task', 'page', 'memory') then p_id else p_type || ':' || p_id end
$$;

-- Called by applications and by every way in that brings entities. Creates or changes the entity's document, and
-- queues it when its text is new. Fields: entity_type, entity_id, tenant_id, user_id, title, content, metadata, tags,
-- media_type, priority, dedupe_key, traceparent, changed_at. Without content its title is its text. changed_at is when
-- the entity changed, by the sender's clock: what is older than the news that is stored comes too late and changes
-- nothing (messages overtake each other). dedupe_key, traceparent: as in rag_enqueue.
-- Answers {document_id, job_id, state}: state is 'new', 'changed', or 'unchanged' when this text is stored or on its
-- way already (or came too late). job_id is the job that brings the text into the index, null when it is there.
create or replace function public.rag_upsert_entity(p_request jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_request jsonb := public.rag_given_fields(p_request);
  v_type text;
  v_id text;
  v_tenant text;
  v_key text;
  v_text text;
  v_changed_at timestamptz;
  v_fields jsonb;
  v_document public.rag_documents;
  v_sha text;
  v_job uuid;
  v_answer jsonb;
begin
  perform public.rag_check_request(v_request, array['entity_type', 'entity_id', 'tenant_id', 'user_id', 'title',
    'content', 'metadata', 'tags', 'media_type', 'priority', 'dedupe_key', 'traceparent', 'changed_at']);
  v_type := v_request ->> 'entity_type';
  v_id := v_request ->> 'entity_id';
  v_tenant := coalesce(v_request ->> 'tenant_id', 'default');
  v_key := v_request ->> 'dedupe_key';
  if coalesce(v_type, '') !~ '^[a-z][a-z0-9_-]{0,62}$' then
    raise exception 'entity_type is a word of small letters, such as task, page or memory; not %.',
      coalesce(left(v_type, 100), 'nothing') using errcode = '22023';
  elsif coalesce(v_id, '') = '' or octet_length(v_id) > 500 then
    raise exception 'entity_id is a text of 1 to 500 bytes.' using errcode = '22023';
  end if;
  v_text := coalesce(nullif(v_request ->> 'content', ''), v_request ->> 'title');
  if coalesce(v_text, '') !~ '\S' then
    raise exception 'An entity needs a content or a title.' using errcode = '22023';
  end if;
  begin
    v_changed_at := (v_request ->> 'changed_at')::timestamptz;
  exception when others then
    raise exception 'changed_at is a time such as 2027-01-31T08:00:00Z; not %.', left(v_request ->> 'changed_at', 100)
      using errcode = '22023';
  end;
  v_fields := (v_request - array['entity_type', 'entity_id', 'content', 'changed_at', 'priority', 'dedupe_key'])
    || jsonb_build_object('tenant_id', v_tenant, 'collection', public.rag_entity_collection(v_type),
      'external_id', public.rag_entity_key(v_type, v_id), 'document_kind', 'entity');
  v_sha := encode(sha256(convert_to(v_text, 'UTF8')), 'hex');

  -- Two messages about one entity come one after the other.
  perform pg_advisory_xact_lock(hashtextextended(concat_ws(chr(31), 'rag_document', v_tenant,
    v_fields ->> 'collection', v_fields ->> 'external_id'), 0));
  if v_key is not null then
    select q.id, q.document_id into v_job, v_document.id from public.rag_ingestion_queue q
    where q.tenant_id = v_tenant and q.dedupe_key = v_key;
    if found then
      return jsonb_build_object('document_id', v_document.id, 'job_id', v_job, 'state', 'unchanged');
    end if;
  end if;
  select * into v_document from public.rag_documents d
  where d.tenant_id = v_tenant and d.collection = v_fields ->> 'collection'
    and d.external_id = v_fields ->> 'external_id';
  if v_document.id is null or v_request ? 'metadata' then
    v_fields := v_fields || jsonb_build_object('metadata',
      coalesce(v_request -> 'metadata', '{}') || jsonb_build_object('entity_type', v_type));
  end if;
  if v_document.id is not null then
    select q.id into v_job from public.rag_ingestion_queue q
    where q.document_id = v_document.id and q.kind = 'document' and q.status in ('queued', 'processing')
    order by q.submitted_at desc limit 1;
    if v_changed_at < v_document.changed_at then
      return jsonb_build_object('document_id', v_document.id, 'job_id', v_job, 'state', 'unchanged');
    end if;
    -- On its way: the newest upload is this text, and a job that was submitted with it or since will read it. There:
    -- it is what went live last, and nothing else is on its way.
    if (case when v_job is null then v_document.status = 'ingested' and v_document.content_sha256 = v_sha
      else (
        select o.upload = 'content-' || v_sha and o.created_at <= q.submitted_at
        from public.rag_originals o, public.rag_ingestion_queue q
        where o.document_id = v_document.id and q.id = v_job order by o.created_at desc limit 1) end) then
      perform public.rag_upsert_document(v_fields || jsonb_build_object('document_id', v_document.id));
      update public.rag_documents d set changed_at = v_changed_at
      where d.id = v_document.id and v_changed_at is not null;
      return jsonb_build_object('document_id', v_document.id, 'job_id', v_job, 'state', 'unchanged');
    end if;
  end if;
  v_answer := public.rag_enqueue(v_fields || jsonb_strip_nulls(jsonb_build_object('content', v_text,
    'priority', v_request -> 'priority', 'dedupe_key', v_key, 'traceparent', v_request -> 'traceparent')));
  update public.rag_documents d set changed_at = coalesce(v_changed_at, d.changed_at)
  where d.id = (v_answer ->> 'document_id')::uuid;
  return v_answer || jsonb_build_object('state', case when v_document.id is null then 'new' else 'changed' end);
end $$;
