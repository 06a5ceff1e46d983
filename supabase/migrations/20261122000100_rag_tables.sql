-- Everything durable: documents, their segments and chunks by generation, the models and the originals.
-- Runs on Supabase, on plain Postgres 15+ and on PGlite; running it twice changes nothing.

create schema if not exists extensions;
create extension if not exists vector with schema extensions;
-- Finds the vector type wherever it was installed before us.
set search_path = public, extensions;

create table if not exists public.rag_documents (
  -- Ids that begin with the time (UUID version 7, which Postgres can make by itself from 18 on): what is written
  -- together lies together in every index.
  id uuid primary key default encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
    52, 1), 53, 1), 'hex')::uuid,
  tenant_id text not null default 'default',
  user_id text,
  collection text not null default 'default',
  -- The application's own id, of any type.
  external_id text,
  title text,
  -- storage://bucket/path, file:///relative/to/root or inline:name; null for a transcript.
  source_uri text,
  kind text not null default 'file' check (kind in ('file', 'transcript', 'entity')),
  version text,
  media_type text,
  byte_size bigint check (byte_size >= 0),
  content_sha256 text,
  -- Of an entity: when what it says changed, by its sender's clock. Older news comes too late (rag_upsert_entity).
  changed_at timestamptz,
  tags text[] not null default '{}' check (array_position(tags, null) is null),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  status text not null default 'pending' check (status in ('pending', 'parsed', 'ingested', 'failed')),
  -- The generation that readers see; switched by rag_complete_job alone, and by a change of models.
  live_generation integer,
  -- While the model is changed a second generation serves those who search by another model: the next one's before
  -- the switch, the former one's for a while after it. other_source: the live generation whose content it has.
  other_generation integer,
  other_model text,
  other_source integer,
  -- Another document of the same source has newer content: this one is its history, and serves no more.
  replaced_by uuid references public.rag_documents (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ingested_at timestamptz,
  unique (tenant_id, collection, external_id)
);
create index if not exists rag_documents_source on public.rag_documents (tenant_id, collection, source_uri);
-- Whose a document is, for erasure; and who else is of the same stored object, whatever tenant.
create index if not exists rag_documents_replaced on public.rag_documents (replaced_by) where replaced_by is not null;
create index if not exists rag_documents_user on public.rag_documents (user_id) where user_id is not null;
create index if not exists rag_documents_stored on public.rag_documents using hash (source_uri)
  where source_uri like 'storage://%';

-- One try at a document's content with one model and one way of cutting. Chunks are staged under a new
-- generation; nothing of it is visible until it is live.
create table if not exists public.rag_generations (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  generation integer not null check (generation > 0),
  content_sha256 text not null,
  embedding_model text not null,
  dimensions integer not null check (dimensions > 0),
  strategy text not null,
  chunk_size integer not null,
  chunk_overlap integer not null,
  -- Everything else that shapes the chunks (versions of extractor and chunker, character cap), as one text:
  -- equal content and equal plan give equal chunks, so work may be resumed or skipped.
  plan text not null,
  -- history: it was live until its document was replaced by another one of the same source; kept, and read by nobody.
  state text not null default 'staging' check (state in ('staging', 'live', 'dead', 'history')),
  segments_complete boolean not null default false,
  segment_count integer not null default 0,
  chunk_count integer,
  -- Whether rag_chunk_terms holds this generation; searches read the chunks themselves until then.
  terms_filled boolean not null default false,
  -- Whether the vectors are in a part that searches can use an index on (rag_vector_parts); until then searches
  -- scan the chunks from folded_below on exactly.
  vectors_folded boolean not null default false,
  folded_below integer not null default 0,
  -- The generation whose segments were embedded again for another model; null for a document's own job.
  source_generation integer,
  created_at timestamptz not null default now(),
  primary key (document_id, generation)
);
-- Who is embedding the same content just now.
create index if not exists rag_generations_staging on public.rag_generations using hash (content_sha256)
  where state = 'staging';
create index if not exists rag_generations_dead on public.rag_generations (document_id) where state = 'dead';
create index if not exists rag_generations_unfilled on public.rag_generations (created_at)
  where state = 'live' and not terms_filled;
create index if not exists rag_generations_unfolded on public.rag_generations (created_at)
  where state = 'live' and not vectors_folded;

-- The source of a document is the content of one generation's segments, joined with nothing between them,
-- in order of seq. Generation 0 is what an application wrote (a transcript); it is copied when work begins,
-- so that an edit in mid-run never mixes with what is being cut.
create table if not exists public.rag_segments (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  generation integer not null default 0 check (generation >= 0),
  seq integer not null,
  content text not null,
  page_number integer,
  section text,
  speaker text,
  started_ms bigint,
  ended_ms bigint,
  primary key (document_id, generation, seq)
);

create table if not exists public.rag_document_chunks (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  generation integer not null,
  chunk_index integer not null check (chunk_index >= 0),
  tenant_id text not null,
  -- Equals the source between char_start and char_end (UTF-16 units).
  content text not null,
  content_sha256 text not null,
  -- Hash of embed_prefix and content: the key under which a vector is reused.
  embed_sha256 text not null,
  char_start integer not null,
  char_end integer not null,
  char_count integer not null,
  token_count integer not null,
  page_number integer,
  section text,
  speaker text,
  started_ms bigint,
  ended_ms bigint,
  segment_from integer not null,
  segment_to integer not null,
  tags text[] not null default '{}',
  embed_prefix text not null default '',
  embedding vector not null,
  embedding_model text not null,
  created_at timestamptz not null default now(),
  primary key (document_id, generation, chunk_index),
  check (char_end >= char_start and char_count = char_end - char_start)
);
-- A hash index: 64 hex digits in a b-tree would be the largest index of the schema.
create index if not exists rag_document_chunks_reuse on public.rag_document_chunks using hash (embed_sha256);

-- Which models the stored vectors are of: another name, dimension or quantisation is another model. One is live;
-- searches name the model they ask for. How one becomes the other: 000450.
create table if not exists public.rag_models (
  -- What chunks, generations and indexes call it (rag_name_model).
  name text primary key,
  model text not null,
  dimensions integer not null check (dimensions between 1 and 16000),
  quantisation text not null default 'none',
  -- As a worker names its own when it claims.
  identity text generated always as (model || '/' || dimensions::text || '/' || quantisation) stored unique,
  state text not null default 'live' check (state in ('next', 'live', 'retired')),
  -- The walk over all documents that the state asks for: how far it is, and when it was done last.
  swept_to uuid,
  swept boolean not null default true,
  swept_at timestamptz,
  -- Of the next one: since when, and by which transaction; when new work was last held back so that it could end.
  asked_at timestamptz,
  asked_by xid8,
  closing_since timestamptz,
  -- How long the former one serves after the switch; of a retired one: until when.
  grace_seconds integer not null default 86400 check (grace_seconds >= 0),
  serves_until timestamptz,
  created_at timestamptz not null default now()
);
create unique index if not exists rag_models_one_live on public.rag_models ((state)) where state = 'live';
create unique index if not exists rag_models_one_next on public.rag_models ((state)) where state = 'next';

-- The model's own name, with all of its identity behind it where another model has that name already.
create or replace function public.rag_name_model() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.name := coalesce(new.name, case
    when exists (select 1 from public.rag_models m where m.name = new.model)
      then concat_ws('/', new.model, new.dimensions, new.quantisation)
    else new.model end);
  return new;
end $$;

drop trigger if exists rag_models_before_insert on public.rag_models;
create trigger rag_models_before_insert before insert on public.rag_models
  for each row execute function public.rag_name_model();

-- What the chunks of a model are called that a search names by its name and its vectors' dimension; the live one
-- where two differ in quantisation alone. An unknown one is answered as it came: it has no chunks.
create or replace function public.rag_model_name(p_model text, p_dimensions integer) returns text
language sql stable set search_path = '' as $$
  select coalesce((
    select m.name from public.rag_models m
    where p_model in (m.name, m.model) and m.dimensions = p_dimensions
    order by m.state = 'live' desc, m.name = p_model desc, m.created_at limit 1), p_model)
$$;

-- Bytes of files that are stored nowhere else, in parts of at most 1 MiB. An upload is read only when all of
-- its parts are there, so that a second upload in mid-run never mixes with the first.
create table if not exists public.rag_originals (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  upload text not null,
  part integer not null check (part >= 0),
  parts integer not null check (parts > part),
  bytes bytea not null,
  created_at timestamptz not null default now(),
  primary key (document_id, upload, part)
);

-- Readers see a whole old document or a whole new one; the password of an encrypted file is for who parses it alone.
create or replace view public.rag_live_chunks with (security_invoker = true) as
select c.*, d.collection, d.title, d.source_uri, d.kind as document_kind, d.version,
  d.metadata - 'password' as metadata
from public.rag_document_chunks c
join public.rag_documents d on d.id = c.document_id and d.live_generation = c.generation;

reset search_path;
