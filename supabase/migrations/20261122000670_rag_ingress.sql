-- Ways in that nobody types: messages, watched tables, and files that are looked at again and again. Each ends in
-- rag_enqueue; what cannot become a job is kept as a dead letter, so that nothing that was accepted is lost.

-- Messages and rows that could not become jobs. One row for the same content from the same place, however often it
-- is delivered.
create table if not exists public.rag_dead_letters (
  id uuid primary key default gen_random_uuid(),
  -- nats, jetstream or table.
  way text not null,
  subject text not null,
  message_id text,
  -- As far as it could be read; whose it is, for erasure.
  tenant_id text,
  user_id text,
  code text not null,
  detail text,
  -- Its first 64 KiB.
  payload text not null,
  payload_bytes integer not null check (payload_bytes >= 0),
  payload_sha256 text not null,
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  unique (way, subject, payload_sha256)
);
create index if not exists rag_dead_letters_recent on public.rag_dead_letters (created_at);
alter table public.rag_dead_letters enable row level security;

-- Called by whoever takes messages, before it acknowledges one that cannot become a job.
-- Fields: way, subject, message_id, tenant_id, user_id, code, detail, payload, payload_bytes, payload_sha256.
-- Answers {id, first}; first is false when the same letter lies there already.
create or replace function public.rag_bury_message(p_letter jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_letter record;
begin
  insert into public.rag_dead_letters (way, subject, message_id, tenant_id, user_id, code, detail, payload,
    payload_bytes, payload_sha256)
  values (p_letter ->> 'way', p_letter ->> 'subject', left(p_letter ->> 'message_id', 200),
    p_letter ->> 'tenant_id', p_letter ->> 'user_id', p_letter ->> 'code', left(p_letter ->> 'detail', 2000),
    left(p_letter ->> 'payload', 65536), (p_letter ->> 'payload_bytes')::integer, p_letter ->> 'payload_sha256')
  on conflict (way, subject, payload_sha256) do update set seen_at = now()
  returning id, xmax = 0 as first into v_letter;
  return jsonb_build_object('id', v_letter.id, 'first', v_letter.first);
end $$;

-- Called by `rag delete` (by tenant or user) and by every replica once a day (by age).
-- Filter: {tenant_id, user_id, older_than_days}; one at least. Answers {erased, more}, to be called until more is false.
create or replace function public.rag_erase_dead_letters(p_filter jsonb, p_limit integer default 1000) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_erased integer;
begin
  perform public.rag_check_request(p_filter, array['tenant_id', 'user_id', 'older_than_days']);
  if p_filter = '{}' then
    raise exception 'Say which dead letters: tenant_id, user_id or older_than_days.' using errcode = '22023';
  end if;
  delete from public.rag_dead_letters l where l.id = any (array(
    select o.id from public.rag_dead_letters o
    where (not p_filter ? 'tenant_id' or o.tenant_id = p_filter ->> 'tenant_id')
      and (not p_filter ? 'user_id' or o.user_id = p_filter ->> 'user_id')
      and (not p_filter ? 'older_than_days'
        or o.created_at < now() - make_interval(days => (p_filter ->> 'older_than_days')::integer))
    limit greatest(p_limit, 1)));
  get diagnostics v_erased = row_count;
  return jsonb_build_object('erased', v_erased, 'more', v_erased >= greatest(p_limit, 1));
end $$;

-- What a file was when it was last enqueued: as long as size and time are the same, it is not even opened.
create table if not exists public.rag_files (
  document_id uuid primary key references public.rag_documents (id) on delete cascade,
  -- Whose disk: 'root' for the document root, which all replicas share, else the name of the machine.
  place text not null,
  -- Relative to the root, or absolute. In the order of bytes, so that what lies below a folder lies together.
  path text collate "C" not null,
  byte_size bigint not null,
  -- Microseconds since 1970; null when it was written so shortly before that another write could have the same time.
  modified_us bigint,
  content_sha256 text not null,
  -- The settings that shape what is made of it: with others it is looked at again.
  read_as text not null,
  updated_at timestamptz not null default now()
);
create index if not exists rag_files_by_path on public.rag_files (place, path);
alter table public.rag_files enable row level security;

-- Called by `rag ingest` and by the watch of the document root, for a thousand files at a time.
-- Fields: place, tenant_id, collection, read_as, tags (only when they should be so), finished (whether a document
-- with a job under way is to be enqueued again), files: [{path, byte_size, modified_us}]. Answers only those that are not as they were: [{index, document_id, content_sha256, settled}].
-- settled: nothing but its time or size is known to be different, so equal content means that nothing is to be done.
create or replace function public.rag_compare_files(p_request jsonb) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  with given as (
    select f.place - 1 as index, f.path collate "C" as path, f.byte_size, f.modified_us
    from rows from (jsonb_to_recordset(p_request -> 'files') as (path text, byte_size bigint, modified_us bigint))
      with ordinality as f(path, byte_size, modified_us, place)
  ), known as (
    select g.index, g.byte_size, g.modified_us, f.document_id, f.content_sha256,
      f.byte_size = g.byte_size and f.modified_us = g.modified_us as same,
      f.read_as = (p_request ->> 'read_as')
        and (not p_request ? 'tags' or d.tags = public.rag_text_array(p_request -> 'tags'))
        and case when exists (
            select 1 from public.rag_ingestion_queue q
            where q.document_id = f.document_id and q.kind = 'document' and q.status in ('queued', 'processing'))
          then not coalesce((p_request ->> 'finished')::boolean, false) else d.status = 'ingested' end
        as settled
    from given g
    join public.rag_files f on f.place = p_request ->> 'place' and f.path = g.path
    join public.rag_documents d on d.id = f.document_id
      and d.tenant_id = coalesce(p_request ->> 'tenant_id', 'default')
      and d.collection = coalesce(p_request ->> 'collection', 'default')
  )
  select coalesce(jsonb_agg(jsonb_build_object('index', g.index, 'document_id', k.document_id,
    'content_sha256', k.content_sha256, 'settled', coalesce(k.settled, false)) order by g.index), '[]')
  from given g left join known k on k.index = g.index
  where not coalesce(k.same and k.settled, false)
$$;

-- Called by whoever watches files, after it looked into one that turned out to be as it was, and by
-- rag_enqueue_file. Fields: document_id, place, path, byte_size, modified_us, content_sha256, read_as.
create or replace function public.rag_note_file(p_file jsonb) returns void
language sql set search_path = '' as $$
  insert into public.rag_files (document_id, place, path, byte_size, modified_us, content_sha256, read_as)
  select (p_file ->> 'document_id')::uuid, p_file ->> 'place', p_file ->> 'path', (p_file ->> 'byte_size')::bigint,
    (p_file ->> 'modified_us')::bigint, p_file ->> 'content_sha256', p_file ->> 'read_as'
  where exists (select 1 from public.rag_documents d where d.id = (p_file ->> 'document_id')::uuid)
  on conflict (document_id) do update set place = excluded.place, path = excluded.path,
    byte_size = excluded.byte_size, modified_us = excluded.modified_us, content_sha256 = excluded.content_sha256,
    read_as = excluded.read_as, updated_at = now()
$$;

-- Called by `rag ingest` and by the watch of the document root. A file's job and what is known of the file, or
-- neither. Takes a request of rag_enqueue and the fields of rag_note_file. Nothing -> queued.
-- Answers what rag_enqueue answers.
create or replace function public.rag_enqueue_file(p_request jsonb, p_file jsonb) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_answer jsonb := public.rag_enqueue(p_request);
begin
  perform public.rag_note_file(p_file || jsonb_build_object('document_id', v_answer -> 'document_id'));
  return v_answer;
end $$;

-- Called by whoever looks for files that are gone: what is known below a folder, in order of path after p_after.
-- Filter: {place, folder, tenant_id, collection}; folder ends with a slash, or is empty for everything.
-- Answers [{path, document_id, source_uri, byte_size, content_sha256, ingested}], at most p_limit (1,000).
create or replace function public.rag_list_files(
  p_filter jsonb, p_after text default null, p_limit integer default 1000) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select coalesce(jsonb_agg(jsonb_build_object('path', p.path, 'document_id', p.document_id,
    'source_uri', p.source_uri, 'byte_size', p.byte_size, 'content_sha256', p.content_sha256,
    'ingested', p.ingested) order by p.path, p.document_id), '[]')
  from (
    select f.path, f.document_id, f.byte_size, f.content_sha256, d.source_uri, d.status = 'ingested' as ingested
    from public.rag_files f
    join public.rag_documents d on d.id = f.document_id
    where f.place = p_filter ->> 'place'
      -- '0' is the sign after '/'.
      and f.path > coalesce(p_after, p_filter ->> 'folder')
      and (p_filter ->> 'folder' = '' or f.path < left(p_filter ->> 'folder', -1) || '0')
      and (not p_filter ? 'tenant_id' or d.tenant_id = p_filter ->> 'tenant_id')
      and (not p_filter ? 'collection' or d.collection = p_filter ->> 'collection')
    order by f.path, f.document_id limit greatest(0, least(p_limit, 1000))) p
$$;

-- Called by whoever finds a known content under a new path, when nothing is left at the old one. The document keeps
-- its id, its chunks and its title, unless the title was the file's name.
-- p_to: path, source_uri, byte_size, modified_us. Answers 'moved' (also when it was moved before), 'taken' when
-- another document has that address, or 'gone'.
create or replace function public.rag_move_file(p_document_id uuid, p_from text, p_to jsonb) returns text
language plpgsql set search_path = '' as $$
declare
  v_document public.rag_documents;
  v_file public.rag_files;
begin
  select * into v_document from public.rag_documents d where d.id = p_document_id for update;
  select * into v_file from public.rag_files f where f.document_id = p_document_id;
  if v_document.id is null or v_file.document_id is null
    or v_file.path not in (p_from, p_to ->> 'path') then
    return 'gone';
  elsif exists (
    select 1 from public.rag_documents d
    where d.tenant_id = v_document.tenant_id and d.collection = v_document.collection
      and d.source_uri = p_to ->> 'source_uri' and d.id <> v_document.id) then
    return 'taken';
  end if;
  update public.rag_documents d
  -- An object in Storage stays where it is, whatever the file is called that it was uploaded from.
  set source_uri = case when d.source_uri like 'storage://%' then d.source_uri else p_to ->> 'source_uri' end,
    updated_at = now(),
    title = case when d.title = regexp_replace(p_from, '^.*/', '')
      then regexp_replace(p_to ->> 'path', '^.*/', '') else d.title end
  where d.id = v_document.id;
  update public.rag_files f
  set path = p_to ->> 'path', byte_size = (p_to ->> 'byte_size')::bigint,
    modified_us = (p_to ->> 'modified_us')::bigint, updated_at = now()
  where f.document_id = v_document.id;
  return 'moved';
end $$;

-- Who looks through a place just now; a replica that disappears is followed when its time is over.
create table if not exists public.rag_turns (
  name text primary key,
  holder text not null,
  ends_at timestamptz not null
);
alter table public.rag_turns enable row level security;

-- Called by every replica that watches the same place. Answers whether it is the caller's turn, for so many seconds.
create or replace function public.rag_take_turn(p_name text, p_holder text, p_seconds integer) returns boolean
language sql set search_path = '' as $$
  with taken as (
    insert into public.rag_turns as t (name, holder, ends_at)
    values (p_name, p_holder, now() + make_interval(secs => p_seconds))
    on conflict (name) do update set holder = excluded.holder, ends_at = excluded.ends_at
    where t.holder = excluded.holder or t.ends_at < now()
    returning 1)
  select exists (select 1 from taken)
$$;

notify pgrst, 'reload schema';
