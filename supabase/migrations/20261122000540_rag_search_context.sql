-- What stands around a hit, and which of its words were asked for.
set search_path = public, extensions;

-- p_hits as the searches answer: [{document_id, chunk_index}], whatever else is in them. At most 100 count.
create or replace function public.rag_hits(p_hits jsonb) returns table (document_id uuid, chunk_index integer)
language plpgsql immutable set search_path = '' as $$
begin
  if jsonb_typeof(p_hits) is distinct from 'array' then
    raise exception 'Hits are an array of {document_id, chunk_index}.' using errcode = '22023';
  end if;
  return query
  select distinct h.document_id, h.chunk_index
  from jsonb_to_recordset(p_hits) as h(document_id uuid, chunk_index integer)
  where h.document_id is not null and h.chunk_index is not null
  limit 100;
end $$;

-- Called by applications and `rag search --neighbours`. The live chunks before and after each hit and the hit
-- itself, each once though two hits share it, in the order of the documents. At most p_before + p_after = 8.
create or replace function public.rag_neighbours(p_hits jsonb, p_before integer default 1, p_after integer default 1)
returns table (document_id uuid, chunk_index integer, is_hit boolean, page_number integer, section text, speaker text,
  started_ms bigint, ended_ms bigint, content text)
language plpgsql stable set search_path = '' set statement_timeout = '20s' as $$
begin
  if coalesce(p_before < 0 or p_after < 0 or p_before + p_after > 8, true) then
    raise exception 'Neighbours are at most 8 in all, before and after.' using errcode = '22023';
  end if;
  return query
  select c.document_id, c.chunk_index, bool_or(c.chunk_index = h.chunk_index), min(c.page_number), min(c.section),
    min(c.speaker), min(c.started_ms), min(c.ended_ms), min(c.content)
  from public.rag_hits(p_hits) h
  join public.rag_documents d on d.id = h.document_id
  join public.rag_document_chunks c on c.document_id = d.id and c.generation = d.live_generation
    and c.chunk_index between h.chunk_index - p_before and h.chunk_index + p_after
  group by c.document_id, c.chunk_index
  order by c.document_id, c.chunk_index;
end $$;

-- Where the words of a question stand in a text of a language: [[start, end], …] in UTF-16 units, as JavaScript
-- counts, end exclusive. Places and no marks, so that whoever shows the text escapes it in his own way.
create or replace function public.rag_places_of(p_content text, p_lexemes text[], p_language text) returns jsonb
language sql immutable set search_path = '' as $$
  with piece as (
    -- A sign of a script without spaces, a word, or what is between.
    select m.found, m.place, coalesce(m.found[1], m.found[2]) as word
    from regexp_matches(p_content,
      '([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f])|([^\u0001-/:-@[-`{-©«-±´¶-¸»¿\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff0f\U00020000-\U0003134f]+)|([^[:alnum:]]+|.)',
      'g') with ordinality as m(found, place)
  ), placed as (
    select p.word, sum(x.units) over (order by p.place) - x.units as start, x.units
    from piece p
    cross join lateral (
      select length(s.text) + length(regexp_replace(s.text, '[^\U00010000-\U0010ffff]', '', 'g')) as units
      from (select coalesce(p.found[1], p.found[2], p.found[3]) as text) s) x
  )
  select coalesce(jsonb_agg(jsonb_build_array(p.start, p.start + p.units) order by p.start), '[]')
  from placed p
  where p.word is not null
    -- Stemming leaves the beginning of a word alone; few words have to be stemmed to know.
    and exists (select 1 from unnest(p_lexemes) l
      where strpos(public.rag_fold_accents(lower(p.word)), left(l, greatest(1, length(l) - 2))) > 0)
    and tsvector_to_array(public.rag_terms_of(p_language, p.word)) && p_lexemes
$$;

-- Called by applications and the typed client. Which words of the question a hit has, and where.
create or replace function public.rag_highlights(p_query text, p_hits jsonb)
returns table (document_id uuid, chunk_index integer, places jsonb)
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select h.document_id, h.chunk_index, public.rag_places_of(c.content,
    public.rag_question_lexemes(p_query, array[x.language, 'simple']), x.language)
  from public.rag_hits(p_hits) h
  join public.rag_documents d on d.id = h.document_id
  join public.rag_document_chunks c on c.document_id = d.id and c.generation = d.live_generation
    and c.chunk_index = h.chunk_index
  cross join lateral (
    select coalesce(
      (select t.language from public.rag_chunk_terms t where t.document_id = c.document_id
        and t.generation = c.generation and t.chunk_index = c.chunk_index),
      public.rag_generation_language(c.document_id, c.generation)) as language) x
$$;

reset search_path;
