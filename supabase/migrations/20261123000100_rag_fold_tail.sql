-- rag_fold_vectors said that nothing was left when the rest of a document was less than one call copies, and counted
-- such a document with the chunks that it had already copied. What is left of it counts now, so that a call is full
-- while there is more, and tail is true also when it looked at as many documents as one call may.
create or replace function public.rag_fold_vectors(p_limit integer, p_memory_mb integer) returns jsonb
language plpgsql set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_batch record;
  v_part public.rag_vector_parts;
  v_new bigint;
  v_chunks integer := 0;
  v_count integer;
  v_generations integer := 0;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('rag_fold_vectors', 0)) then
    return jsonb_build_object('chunks', 0, 'tail', false, 'build', false);
  end if;
  perform public.rag_drop_retired_parts();
  if exists (select 1 from public.rag_vector_parts)
    or (select sum(w.chunk_count) from (select g.chunk_count from public.rag_generations g
      where g.state = 'live' and not g.vectors_folded limit 2000) w) >= 2000 then
    -- What fits as a whole goes in one statement a model: a statement for each document cost as much as its vectors.
    for v_batch in
      with oldest as materialized (
        select g.document_id, g.generation, g.embedding_model, g.dimensions, g.created_at,
          greatest(0, g.chunk_count - g.folded_below) as left_over
        from public.rag_generations g
        where g.state = 'live' and not g.vectors_folded and g.dimensions <= 4000
        order by g.created_at limit least(p_limit, 500)
        -- Who deletes the generation waits until its copies can be seen, and deletes them too.
        for no key update skip locked
      ), summed as (
        select o.*, sum(o.left_over) over (order by o.created_at, o.document_id, o.generation) as so_far from oldest o)
      select s.embedding_model, s.dimensions, s.so_far <= p_limit as is_whole,
        array_agg(s.document_id) as documents, array_agg(s.generation) as generations
      from summed s where s.so_far - s.left_over < p_limit
      group by s.embedding_model, s.dimensions, s.so_far <= p_limit
      order by is_whole desc
    loop
      exit when v_chunks >= p_limit;
      select * into v_part from public.rag_vector_parts p
      where p.model = v_batch.embedding_model and p.dimensions = v_batch.dimensions and p.state = 'open';
      if not found then
        v_new := public.rag_add_part(v_batch.embedding_model, v_batch.dimensions, 'open');
        select * into v_part from public.rag_vector_parts p where p.part = v_new;
      end if;
      -- Of length one, for half precision ends at 65,504 and the cosine does not mind. The offset makes it a look into
      -- the index for each generation, whatever the planner knows of the table.
      execute format('insert into public.rag_vectors_%s
        select c.document_id, c.generation, c.chunk_index, l2_normalize(c.embedding)::halfvec
        from unnest($1, $2) as b(document_id, generation)
        join public.rag_generations g on g.document_id = b.document_id and g.generation = b.generation
        cross join lateral (
          select o.* from public.rag_document_chunks o
          where o.document_id = g.document_id and o.generation = g.generation and o.chunk_index >= g.folded_below
          order by o.chunk_index limit $3 offset 0) c', v_part.part)
      using v_batch.documents, v_batch.generations, case when not v_batch.is_whole then p_limit - v_chunks end;
      get diagnostics v_count = row_count;
      update public.rag_generations g
      set vectors_folded = v_batch.is_whole or v_count < p_limit - v_chunks,
          folded_below = case when v_batch.is_whole or v_count < p_limit - v_chunks then g.folded_below
            else (select max(o.chunk_index) + 1 from (select c.chunk_index from public.rag_document_chunks c
              where c.document_id = g.document_id and c.generation = g.generation
                and c.chunk_index >= g.folded_below order by c.chunk_index limit v_count) o) end
      where (g.document_id, g.generation) in (
        select b.document_id, b.generation from unnest(v_batch.documents, v_batch.generations) as b(document_id, generation));
      v_chunks := v_chunks + v_count;
      v_generations := v_generations + cardinality(v_batch.generations);
      v_count := v_part.rows + v_count;
      update public.rag_vector_parts p
      set rows = v_count, changed_at = now(),
          state = case when v_count >= public.rag_rows_to_index(p.dimensions, p_memory_mb) then 'full' else 'open' end
      where p.part = v_part.part;
    end loop;
    -- While a build is behind, the open part grows to what one build holds, so that it catches up with fewer.
    update public.rag_vector_parts p set state = 'full'
    where p.state = 'open' and p.rows >= public.rag_rows_to_seal(p.dimensions) and not exists (
      select 1 from public.rag_vector_parts f
      where f.model = p.model and f.dimensions = p.dimensions and f.state = 'full');
  end if;
  return jsonb_build_object('chunks', v_chunks,
    'tail', v_chunks >= p_limit or v_generations >= least(p_limit, 500),
    'build', public.rag_parts_to_build(p_memory_mb) is not null);
end $$;
