-- Finding chunks by the meaning of a question. One statement a search, so that a reader never sees a mix of two
-- generations.
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
-- score is the cosine similarity (1 is equal). Candidates come from every part of the model and from the tail, in half
-- precision, a few more than asked for; the stored vectors then decide.
create or replace function public.rag_search_chunks(
  p_query_embedding vector, p_model text, p_limit integer default 10, p_filter jsonb default '{}')
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text)
language plpgsql stable set search_path = public, extensions set statement_timeout = '20s'
-- Whatever can come sorted comes from its index: the planner takes a distance for as cheap as a number's comparison.
-- Compiling a statement of thirty milliseconds takes a second.
set enable_sort = off set jit = off as $$
declare
  v_filter jsonb := public.rag_check_filter(p_filter);
  v_model text := public.rag_model_name(p_model, vector_dims(p_query_embedding));
  v_limit integer := least(p_limit, 1000);
begin
  -- An index goes on until enough rows pass the filter (pgvector 0.8); a part has no more rows than that, and its
  -- bookkeeping fits.
  perform set_config('hnsw.iterative_scan', 'strict_order', true);
  perform set_config('hnsw.max_scan_tuples', '200000', true);
  perform set_config('hnsw.scan_mem_multiplier', '32', true);
  perform set_config('hnsw.ef_search', '100', true);
  return query execute public.rag_search_sql(v_model, vector_dims(p_query_embedding), false)
  using p_query_embedding, v_filter, v_limit, v_limit + least(v_limit, 50) + 10, v_model;
exception when undefined_table then
  -- Our caller's snapshot is older than a part that is gone since: the chunks themselves have everything.
  return query execute public.rag_search_sql(v_model, vector_dims(p_query_embedding), true)
  using p_query_embedding, v_filter, v_limit, v_limit, v_model;
end $$;

-- The one statement of a search. Its parameters: the vector, the filter, how many are asked for, how many
-- candidates each place gives, the model. p_chunks_alone: without the parts. Runs where vector's operators are found.
create or replace function public.rag_search_sql(p_model text, p_dimensions integer, p_chunks_alone boolean)
returns text
language plpgsql stable set search_path = '' as $$
declare
  -- A row at a time from the nearest on, until enough are live and accepted: joined the other way round, a search
  -- would read every document.
  v_walk constant text := '(select n.document_id, n.generation, n.chunk_index, n.distance from (%s) n
    cross join lateral (select 1 from public.rag_documents d where d.id = n.document_id
      and n.generation in (d.live_generation, d.other_generation) and ($2 = ''{}'' or public.rag_filter_accepts(d, $2)) offset 0) d
    order by n.distance limit $4)';
  v_half text := format('<=> l2_normalize($1)::halfvec(%s)', p_dimensions);
  v_places text[];
begin
  if not p_chunks_alone and p_dimensions <= 4000 then
    select array_agg(format(v_walk, format('select v.document_id, v.generation, v.chunk_index, v.embedding %s as distance
      from public.rag_vectors_%s v order by distance offset 0', v_half, p.part)) order by p.part)
    into v_places from public.rag_vector_parts p
    where p.model = p_model and p.dimensions = p_dimensions and p.state <> 'retired';
  end if;
  v_places := v_places || format(v_walk, format('select c.document_id, c.generation, c.chunk_index,
      c.embedding <=> $1 as distance
    from public.rag_generations g join public.rag_document_chunks c
      on c.document_id = g.document_id and c.generation = g.generation %s
    where g.state = ''live'' and g.embedding_model = $5 and g.dimensions = %s %s
    order by distance offset 0', case when p_chunks_alone then '' else 'and c.chunk_index >= g.folded_below' end,
    p_dimensions, case when p_chunks_alone then '' else 'and not g.vectors_folded' end));
  return format('with near as materialized (%s), nearest as (select * from near order by distance limit $4)
    select 1 - (c.embedding <=> $1), c.document_id, d.title, d.source_uri, c.chunk_index, c.page_number,
      c.section, c.speaker, c.started_ms, c.ended_ms, c.content
    from nearest n join public.rag_document_chunks c on c.document_id = n.document_id
      and c.generation = n.generation and c.chunk_index = n.chunk_index
    join public.rag_documents d on d.id = c.document_id
    order by c.embedding <=> $1 limit $3', array_to_string(v_places, ' union all '));
end $$;

reset search_path;
