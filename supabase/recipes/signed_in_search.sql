-- Lets signed-in users search what is theirs, straight from the browser: rag_search_mine, as a security-invoker
-- function over tables that row security keeps to the caller's own documents. A document is a user's when its
-- user_id is the `sub` of the token he signed in with; change the one policy on rag_documents for anything else
-- (a team's tenant_id, public documents), and the rest follows it.
-- Run by hand as the owner of the tables, after `rag migrate` or `supabase db push`, and again after each:
-- migrations take everything from authenticated. Running it twice changes nothing.
set search_path = public, extensions;

create index if not exists rag_documents_user on public.rag_documents (user_id);

create or replace function public.rag_signed_in_user() returns text
language sql stable set search_path = '' as $$
  select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')
$$;

drop policy if exists rag_own_documents on public.rag_documents;
create policy rag_own_documents on public.rag_documents for select to authenticated
  using (user_id = (select public.rag_signed_in_user()));

-- Row security asks for a document's owner in one place: these see what the policy above lets through.
do $$
declare
  v_table text;
begin
  foreach v_table in array array['rag_generations', 'rag_document_chunks', 'rag_chunk_terms'] loop
    execute format('drop policy if exists rag_of_own_documents on public.%I', v_table);
    execute format('create policy rag_of_own_documents on public.%I for select to authenticated
      using (document_id in (select d.id from public.rag_documents d))', v_table);
  end loop;
end $$;

-- The two statistics have no policy: a user counts among his own chunks, and no score tells of others'.
grant usage on schema public, extensions to authenticated;
grant select on public.rag_documents, public.rag_generations, public.rag_document_chunks, public.rag_chunk_terms,
  public.rag_live_chunks, public.rag_term_statistics, public.rag_text_statistics to authenticated;

-- By meaning, by words, or by both: whichever of p_query and p_query_embedding is given. Vectors are compared one
-- by one, since a user's own are few beside everybody's, and an index would be walked through all of those.
create or replace function public.rag_search_mine(
  p_query text default null, p_query_embedding vector default null, p_model text default null,
  p_limit integer default 10, p_weight double precision default 0.3, p_filter jsonb default '{}')
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, content text, matched text[])
language plpgsql stable security invoker set search_path = public, extensions set statement_timeout = '10s' as $$
declare
  v_filter jsonb := public.rag_check_filter(p_filter);
  v_limit integer := least(greatest(p_limit, 0), 100);
  v_by_vector jsonb := '[]';
  v_by_text jsonb := '[]';
begin
  if p_query_embedding is not null then
    select coalesce(jsonb_agg(to_jsonb(n)), '[]') into v_by_vector
    from (
      select l.document_id, l.chunk_index, 1 - (l.embedding <=> p_query_embedding) as score
      from (
        -- Those of this length alone: another model's may lie beside them.
        select c.document_id, c.chunk_index, c.embedding
        from public.rag_live_chunks c join public.rag_documents d on d.id = c.document_id
        where c.embedding_model = p_model and vector_dims(c.embedding) = vector_dims(p_query_embedding)
          and public.rag_filter_accepts(d, v_filter)
        offset 0) l
      order by 3 desc limit 4 * v_limit) n;
  end if;
  if p_query is not null then
    select coalesce(jsonb_agg(to_jsonb(s)), '[]') into v_by_text
    from public.rag_text_search(p_query, 4 * v_limit, v_filter) s;
  end if;
  return query
  select f.score, c.document_id, c.title, c.source_uri, c.chunk_index, c.page_number, c.section, c.content, f.matched
  from public.rag_fuse(v_by_vector, v_by_text, case when p_query is null then 1 when p_query_embedding is null then 0
    else greatest(least(p_weight, 1), 0) end) f
  join public.rag_live_chunks c on c.document_id = f.document_id and c.chunk_index = f.chunk_index
  order by f.score desc, f.document_id, f.chunk_index
  limit v_limit;
end $$;

-- All of them run as the caller; what they may read is what he may.
do $$
declare
  v_function text;
begin
  for v_function in
    select p.oid::regprocedure::text from pg_catalog.pg_proc p
    where p.pronamespace = 'public'::regnamespace and not p.prosecdef and p.proname in (
      'rag_search_mine', 'rag_signed_in_user', 'rag_text_search', 'rag_neighbours', 'rag_highlights', 'rag_fuse',
      'rag_hits', 'rag_places_of', 'rag_check_filter', 'rag_check_request', 'rag_filter_accepts', 'rag_text_array',
      'rag_languages_asked', 'rag_question_lexemes', 'rag_question_phrases', 'rag_promising', 'rag_literal_search',
      'rag_unfilled_terms', 'rag_generation_language', 'rag_text_language', 'rag_terms_of', 'rag_split_words',
      'rag_compound_words', 'rag_fold_accents', 'rag_tenant_lexeme', 'rag_count_words', 'rag_context_of')
  loop
    execute format('revoke all on function %s from public', v_function);
    if exists (select 1 from pg_catalog.pg_roles where rolname = 'anon') then
      execute format('revoke all on function %s from anon', v_function);
    end if;
    execute format('grant execute on function %s to authenticated', v_function);
  end loop;
end $$;

notify pgrst, 'reload schema';
reset search_path;
