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
  tags text[] not null default '{}' check (array_position(tags, null) is null),
  metadata jsonb not null default '{}' check (jsonb_typeof(metadata) = 'object'),
  status text not null default 'pending' check (status in ('pending', 'parsed', 'ingested', 'failed')),
  -- The generation that readers see; switched by rag_complete_job alone.
  live_generation integer,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  ingested_at timestamptz,
  unique (tenant_id, collection, external_id)
);
create index if not exists rag_documents_source on public.rag_documents (tenant_id, collection, source_uri);

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
  state text not null default 'staging' check (state in ('staging', 'live', 'dead')),
  segments_complete boolean not null default false,
  segment_count integer not null default 0,
  chunk_count integer,
  -- Whether rag_chunk_terms holds this generation; searches read the chunks themselves until then.
  terms_filled boolean not null default false,
  created_at timestamptz not null default now(),
  primary key (document_id, generation)
);
create index if not exists rag_generations_dead on public.rag_generations (document_id) where state = 'dead';
create index if not exists rag_generations_unfilled on public.rag_generations (created_at)
  where state = 'live' and not terms_filled;

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

-- Terms of live chunks, beside them and not in them: a generated tsvector column cost 0.6 ms of server time a
-- row in the stage transaction, and filling a column later would rewrite every row with its vector.
create table if not exists public.rag_chunk_terms (
  document_id uuid not null,
  generation integer not null,
  chunk_index integer not null,
  terms tsvector not null,
  primary key (document_id, generation, chunk_index),
  foreign key (document_id, generation, chunk_index)
    references public.rag_document_chunks (document_id, generation, chunk_index) on delete cascade
);
create index if not exists rag_chunk_terms_search on public.rag_chunk_terms using gin (terms);

-- Which models the stored vectors are of. One is live; searches name the model they ask for.
create table if not exists public.rag_models (
  model text not null,
  dimensions integer not null check (dimensions between 1 and 16000),
  quantisation text not null default 'none',
  state text not null default 'live' check (state in ('live', 'retired')),
  created_at timestamptz not null default now(),
  primary key (model, dimensions, quantisation)
);
create unique index if not exists rag_models_one_live on public.rag_models ((state)) where state = 'live';

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

-- Readers see a whole old document or a whole new one.
create or replace view public.rag_live_chunks with (security_invoker = true) as
select c.*, d.collection, d.title, d.source_uri, d.kind as document_kind, d.version, d.metadata
from public.rag_document_chunks c
join public.rag_documents d on d.id = c.document_id and d.live_generation = c.generation;

reset search_path;
