-- Finding what was stored. One statement a search, so that a reader never sees a mix of two generations.
set search_path = public, extensions;

-- The pieces of SQL that every search shares: p_filter {tenant_id, collection, document_ids, tags, metadata}.
create or replace function public.rag_filter_accepts(p_document public.rag_documents, p_filter jsonb)
returns boolean
language sql immutable set search_path = '' as $$
  select (not p_filter ? 'tenant_id' or (p_document).tenant_id = p_filter ->> 'tenant_id')
    and (not p_filter ? 'collection' or (p_document).collection = p_filter ->> 'collection')
    and (not p_filter ? 'document_ids' or p_filter -> 'document_ids' ? (p_document).id::text)
    and (not p_filter ? 'tags' or (p_document).tags @> public.rag_text_array(p_filter -> 'tags'))
    and (not p_filter ? 'metadata' or (p_document).metadata @> (p_filter -> 'metadata'))
$$;

create or replace function public.rag_check_filter(p_filter jsonb) returns jsonb
language plpgsql immutable set search_path = '' as $$
begin
  perform public.rag_check_request(coalesce(p_filter, '{}'),
    array['tenant_id', 'collection', 'document_ids', 'tags', 'metadata']);
  -- A filter that cannot be read must not let everything through.
  if exists (
    select 1 from jsonb_each(coalesce(p_filter, '{}')) f
    where jsonb_typeof(f.value) <> case when f.key in ('document_ids', 'tags') then 'array'
      when f.key = 'metadata' then 'object' else 'string' end) then
    raise exception 'In a filter tenant_id and collection are texts, document_ids and tags arrays, metadata an object.'
      using errcode = '22023';
  end if;
  return coalesce(p_filter, '{}');
end $$;

-- Called by applications and `rag search`. The live chunks nearest to a vector of the same model, by cosine.
-- score is the cosine similarity (1 is equal).
create or replace function public.rag_search_chunks(
  p_query_embedding vector, p_model text, p_limit integer default 10, p_filter jsonb default '{}')
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text)
language plpgsql stable set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_dimensions integer := vector_dims(p_query_embedding);
  v_type text := format('%s(%s)', case when v_dimensions > 2000 then 'halfvec' else 'vector' end, v_dimensions);
begin
  -- An approximate index goes on until enough rows pass the filter (pgvector 0.8).
  perform set_config('hnsw.iterative_scan', 'strict_order', true);
  perform set_config('hnsw.max_scan_tuples', '200000', true);
  -- The expression and the condition are those of rag_ensure_vector_index, to the letter.
  return query execute format($q$
    select 1 - (c.embedding::%1$s <=> $1::%1$s), c.document_id, d.title, d.source_uri, c.chunk_index,
      c.page_number, c.section, c.speaker, c.started_ms, c.ended_ms, c.content
    from public.rag_document_chunks c
    join public.rag_documents d on d.id = c.document_id and d.live_generation = c.generation
    where c.embedding_model = %2$L and ($2 = '{}' or public.rag_filter_accepts(d, $2))
    order by c.embedding::%1$s <=> $1::%1$s
    limit $3 $q$, v_type, p_model)
  using p_query_embedding, public.rag_check_filter(p_filter), least(p_limit, 1000);
end $$;

-- Any word of the question may match; the ranking sorts them. '' when the question has no words.
create or replace function public.rag_any_word(p_query text) returns tsquery
language sql stable set search_path = '' as $$
  select coalesce(string_agg(quote_literal(w.lexeme), ' | '), '')::tsquery
  from unnest(to_tsvector('pg_catalog.english', left(p_query, 4000))) w
$$;

-- Called by applications and `rag search --mode text`. The live chunks that share words with the question.
create or replace function public.rag_text_search(
  p_query text, p_limit integer default 10, p_filter jsonb default '{}')
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text)
language plpgsql stable set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_filter jsonb := public.rag_check_filter(p_filter);
  v_words tsquery := public.rag_any_word(p_query);
begin
  return query
  with found as (
    select t.document_id, t.generation, t.chunk_index, t.terms
    from public.rag_chunk_terms t
    join public.rag_documents d on d.id = t.document_id and d.live_generation = t.generation
    where t.terms @@ v_words and (v_filter = '{}' or public.rag_filter_accepts(d, v_filter))
    union all
    -- The tail: live generations whose terms are not filled yet.
    select c.document_id, c.generation, c.chunk_index, x.terms
    from public.rag_generations g
    join public.rag_documents d on d.id = g.document_id and d.live_generation = g.generation
    join public.rag_document_chunks c on c.document_id = g.document_id and c.generation = g.generation
    cross join lateral (select public.rag_terms_of(c.section, c.content) as terms) x
    where g.state = 'live' and not g.terms_filled
      and (v_filter = '{}' or public.rag_filter_accepts(d, v_filter)) and x.terms @@ v_words
      and not exists (select 1 from public.rag_chunk_terms t where t.document_id = c.document_id
        and t.generation = c.generation and t.chunk_index = c.chunk_index)
  )
  select ts_rank_cd(f.terms, v_words, 1)::double precision, c.document_id, d.title, d.source_uri, c.chunk_index,
    c.page_number, c.section, c.speaker, c.started_ms, c.ended_ms, c.content
  from found f
  join public.rag_documents d on d.id = f.document_id and d.live_generation = f.generation
  join public.rag_document_chunks c
    on c.document_id = f.document_id and c.generation = f.generation and c.chunk_index = f.chunk_index
  order by ts_rank_cd(f.terms, v_words, 1) desc, f.document_id, f.chunk_index
  limit least(p_limit, 1000);
end $$;

-- Called by applications and `rag search`. Both searches joined by weighted reciprocal rank fusion:
-- score = p_weight / (60 + rank by vector) + (1 - p_weight) / (60 + rank by text), scaled so that first in
-- both is 1. Source: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion", SIGIR 2009 (k = 60).
-- p_weight 1 is the vector side alone, 0 the text side alone.
create or replace function public.rag_hybrid_search(
  p_query text, p_query_embedding vector, p_model text, p_limit integer default 10,
  p_weight double precision default 0.5, p_filter jsonb default '{}')
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text)
language plpgsql stable set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_each integer := least(greatest(4 * p_limit, 50), 1000);
begin
  if p_weight is null or p_weight < 0 or p_weight > 1 then
    raise exception 'The weight must be between 0 (text alone) and 1 (vector alone).' using errcode = '22023';
  end if;
  return query
  with ranked as (
    select s.*, p_weight as share, row_number() over (order by s.score desc, s.document_id, s.chunk_index) as rank
    from public.rag_search_chunks(p_query_embedding, p_model, v_each, p_filter) s where p_weight > 0
    union all
    select s.*, 1 - p_weight, row_number() over (order by s.score desc, s.document_id, s.chunk_index)
    from public.rag_text_search(p_query, v_each, p_filter) s where p_weight < 1
  )
  select sum(r.share * 61 / (60 + r.rank))::double precision as fused, r.document_id, min(r.title),
    min(r.source_uri), r.chunk_index, min(r.page_number), min(r.section), min(r.speaker), min(r.started_ms),
    min(r.ended_ms), min(r.content)
  from ranked r
  group by r.document_id, r.chunk_index
  order by fused desc, r.document_id, r.chunk_index
  limit least(p_limit, 1000);
end $$;

create or replace function public.rag_terms_of(p_section text, p_content text) returns tsvector
language sql immutable set search_path = '' as $$
  select setweight(to_tsvector('pg_catalog.english', coalesce(p_section, '')), 'B')
    || to_tsvector('pg_catalog.english', p_content)
$$;

-- Called by every replica when it has time. Fills the terms of live generations, oldest first, about p_limit
-- chunks a call; a generation counts as filled when all of its chunks are. Answers {chunks, generations}.
create or replace function public.rag_fill_terms(p_limit integer) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_generation record;
  v_chunks integer := 0;
  v_generations integer := 0;
  v_count integer;
begin
  for v_generation in
    select g.document_id, g.generation from public.rag_generations g
    where g.state = 'live' and not g.terms_filled
    order by g.created_at limit 100
    for update skip locked
  loop
    exit when v_chunks >= p_limit;
    insert into public.rag_chunk_terms (document_id, generation, chunk_index, terms)
    select c.document_id, c.generation, c.chunk_index, public.rag_terms_of(c.section, c.content)
    from public.rag_document_chunks c
    where c.document_id = v_generation.document_id and c.generation = v_generation.generation
      and not exists (select 1 from public.rag_chunk_terms t where t.document_id = c.document_id
        and t.generation = c.generation and t.chunk_index = c.chunk_index)
    order by c.chunk_index limit p_limit - v_chunks
    on conflict do nothing;
    get diagnostics v_count = row_count;
    v_chunks := v_chunks + v_count;
    update public.rag_generations g set terms_filled = true
    where g.document_id = v_generation.document_id and g.generation = v_generation.generation
      and not exists (
        select 1 from public.rag_document_chunks c
        where c.document_id = g.document_id and c.generation = g.generation
          and not exists (select 1 from public.rag_chunk_terms t where t.document_id = c.document_id
            and t.generation = c.generation and t.chunk_index = c.chunk_index));
    if found then
      v_generations := v_generations + 1;
    end if;
  end loop;
  return jsonb_build_object('chunks', v_chunks, 'generations', v_generations);
end $$;

-- Called by an operator when a model has more than some ten thousand chunks (below, an exact scan is as good,
-- and a live index makes every insert about nine times slower). Blocks writes to the chunks while it builds.
-- Only the owner of a table may index it, so this one function runs with its owner's rights; it can do nothing
-- else, and service_role alone may call it. Answers the index's name.
create or replace function public.rag_ensure_vector_index(p_model text, p_dimensions integer) returns text
language plpgsql security definer set search_path = public, extensions, pg_temp as $$
declare
  v_half boolean := p_dimensions > 2000;
  v_type text := format('%s(%s)', case when v_half then 'halfvec' else 'vector' end, p_dimensions);
  v_name text := 'rag_chunks_hnsw_' || left(md5(p_model || '/' || p_dimensions), 12);
begin
  if p_dimensions > 4000 then
    raise exception 'pgvector indexes at most 4000 dimensions; searches of this model scan exactly.'
      using errcode = '22023';
  end if;
  execute format(
    'create index if not exists %I on public.rag_document_chunks using hnsw ((embedding::%s) %s) where embedding_model = %L',
    v_name, v_type, case when v_half then 'halfvec_cosine_ops' else 'vector_cosine_ops' end, p_model);
  return v_name;
end $$;

reset search_path;
