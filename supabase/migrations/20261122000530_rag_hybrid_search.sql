-- Finding chunks by meaning and by words at once.
set search_path = public, extensions;

-- Joins two lists of hits, [{document_id, chunk_index, score, matched}] each, by a weighted sum of scores, each
-- list's best being 1 and its last 0: a chunk that one side does not know gets nothing from it. Unlike ranks, scores
-- tell whether a list's best stands out. Relative score fusion, as in Bruch, Gai and Ingber, "An Analysis of Fusion
-- Functions for Hybrid Retrieval" (2022), who find it better than reciprocal ranks. Ours are as good at their best weight,
-- and this is less sensitive to the weight.
create or replace function public.rag_fuse(p_by_vector jsonb, p_by_text jsonb, p_weight double precision)
returns table (score double precision, document_id uuid, chunk_index integer, vector_rank integer,
  vector_score double precision, text_rank integer, text_score double precision, matched text[])
language sql immutable set search_path = '' as $$
  with by_vector as (
    select h.*, row_number() over (order by h.score desc, h.document_id, h.chunk_index) as rank,
      case when max(h.score) over () > min(h.score) over ()
        then (h.score - min(h.score) over ()) / (max(h.score) over () - min(h.score) over ()) else 1 end as share
    from jsonb_to_recordset(p_by_vector) as h(document_id uuid, chunk_index integer, score double precision)
  ), by_text as (
    select h.*, row_number() over (order by h.score desc, h.document_id, h.chunk_index) as rank,
      case when max(h.score) over () > min(h.score) over ()
        then (h.score - min(h.score) over ()) / (max(h.score) over () - min(h.score) over ()) else 1 end as share
    from jsonb_to_recordset(p_by_text)
      as h(document_id uuid, chunk_index integer, score double precision, matched text[])
  )
  select p_weight * coalesce(v.share, 0) + (1 - p_weight) * coalesce(t.share, 0), document_id, chunk_index,
    v.rank::integer, v.score, t.rank::integer, t.score, coalesce(t.matched, '{}')
  from by_vector v full join by_text t using (document_id, chunk_index)
$$;

-- Called by applications and `rag search`. The default weight is the best of the retrieval set, where words find
-- more than the small model's vectors do; its neighbours 0.2 and 0.4 are as good. p_weight 1 is the vector side alone, 0 the text side alone. A score is
-- 1 for what is best in both. Where each hit stood on either side is told beside it.
create or replace function public.rag_hybrid_search(
  p_query text, p_query_embedding vector, p_model text, p_limit integer default 10,
  p_weight double precision default 0.3, p_filter jsonb default '{}')
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text,
  vector_rank integer, vector_score double precision, text_rank integer, text_score double precision, matched text[])
language plpgsql stable set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_each integer := least(greatest(4 * p_limit, 50), 1000);
  v_model text := public.rag_model_name(p_model, vector_dims(p_query_embedding));
  v_by_vector jsonb := '[]'::jsonb;
  v_by_text jsonb := '[]'::jsonb;
begin
  if p_weight is null or p_weight < 0 or p_weight > 1 then
    raise exception 'The weight must be between 0 (text alone) and 1 (vector alone).' using errcode = '22023';
  end if;
  if p_weight > 0 then
    select coalesce(jsonb_agg(jsonb_build_object('document_id', s.document_id, 'chunk_index', s.chunk_index,
      'score', s.score)), '[]') into v_by_vector
    from public.rag_search_chunks(p_query_embedding, p_model, v_each, p_filter) s;
  end if;
  if p_weight < 1 then
    select coalesce(jsonb_agg(jsonb_build_object('document_id', s.document_id, 'chunk_index', s.chunk_index,
      'score', s.score, 'matched', s.matched)), '[]') into v_by_text
    -- Both sides rank the chunks of one generation, also while a document has one of each model.
    from public.rag_text_search(p_query, v_each, p_filter, v_model) s;
  end if;
  return query
  select f.score, c.document_id, d.title, d.source_uri, c.chunk_index, c.page_number, c.section, c.speaker,
    c.started_ms, c.ended_ms, c.content, f.vector_rank, f.vector_score, f.text_rank, f.text_score, f.matched
  from public.rag_fuse(v_by_vector, v_by_text, p_weight) f
  join public.rag_documents d on d.id = f.document_id
  join public.rag_document_chunks c on c.document_id = f.document_id and c.chunk_index = f.chunk_index
    and c.generation = case when d.other_model = v_model then d.other_generation else d.live_generation end
  order by f.score desc, f.document_id, f.chunk_index
  limit least(p_limit, 1000);
end $$;

-- Called by `rag search --explain`. What a search has to go by: {vectors, filled, unfilled, languages}.
create or replace function public.rag_describe_search() returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select jsonb_build_object(
    'vectors', public.rag_vector_figures(),
    'filled', (select coalesce(sum(s.chunks), 0) from public.rag_text_statistics s),
    'unfilled', (select coalesce(sum(g.chunk_count), 0) from public.rag_generations g
      where g.state = 'live' and not g.terms_filled),
    'languages', (select coalesce(jsonb_object_agg(l.language, l.chunks), '{}') from (
      select s.language, sum(s.chunks) as chunks from public.rag_text_statistics s group by s.language) l))
$$;

reset search_path;
