-- Finding chunks by the words of a question, ranked by BM25.
set search_path = public, extensions;

-- The words of a question that may match, in the languages p_languages: those that are no stop words of the
-- question's own language. At most 48, the longest kept. Empty when it has none.
create or replace function public.rag_question_lexemes(p_query text, p_languages text[]) returns text[]
language sql stable set search_path = '' as $$
  with asked as (
    select left(p_query, 4000) as text, public.rag_text_language('', left(p_query, 4000)) as language
  ), word as (
    select string_agg(w.word, ' ') as words
    from asked a, regexp_split_to_table(public.rag_split_words(a.text), ' +') as w(word)
    where w.word <> '' and (a.language = 'simple' or not coalesce(
      ts_lexize(('pg_catalog.' || a.language || '_stem')::regdictionary, lower(w.word)) = '{}', false))
  ), found as (
    select distinct x.lexeme
    from word, unnest(p_languages) as l(language),
      unnest(public.rag_fold_accents(to_tsvector(('pg_catalog.' || l.language)::regconfig, words)::text)::tsvector) x
    union
    select compound from asked a, unnest(public.rag_compound_words(a.text)) as compound
  )
  select coalesce(array_agg(f.lexeme), '{}')
  from (select lexeme from found order by length(lexeme) desc, lexeme limit 48) f
$$;

-- What stands in double quotes must stand in a chunk word for word, in one of the languages; null without quotes.
create or replace function public.rag_question_phrases(p_query text, p_languages text[]) returns tsquery
language plpgsql stable set search_path = '' as $$
declare
  v_all tsquery;
  v_one tsquery;
  v_quoted text;
begin
  for v_quoted in
    select q.found[1] from regexp_matches(left(p_query, 4000), '["“„]([^"“”„]+)["”“]', 'g') as q(found) limit 8
  loop
    select string_agg('(' || phrase::text || ')', ' | ')::tsquery into v_one
    from (
      select distinct public.rag_fold_accents(phraseto_tsquery(('pg_catalog.' || l)::regconfig,
        public.rag_split_words(v_quoted))::text)::tsquery as phrase
      from unnest(p_languages) l) p
    where numnode(phrase) > 0;
    v_all := case when v_all is null then v_one when v_one is null then v_all else v_all && v_one end;
  end loop;
  return v_all;
end $$;

-- Which chunks are worth ranking: those with the rarest word, then the next rare, then with two common words
-- together, then three, until p_budget chunks are expected (null: all that have any). A question of eight words matches half of a big
-- collection, and whatever has only its commonest words is not among the best.
-- p_lexemes with p_counts (chunks of p_all that have each). Answers a tsquery's text.
create or replace function public.rag_promising(
  p_lexemes text[], p_counts double precision[], p_all double precision, p_budget double precision) returns text
language sql immutable set search_path = '' as $$
  with word as (
    select quote_literal(lexeme) as word, greatest(count, 1) as count,
      row_number() over (order by count, lexeme) as place
    from unnest(p_lexemes, p_counts) as w(lexeme, count)
  ), clause as (
    select w.word as clause, array[w.place] as places, w.count as expected from word w
    union all
    -- Words of one question keep company: more often together than chance has it.
    select a.word || ' & ' || b.word, array[a.place, b.place], 3 * a.count * b.count / p_all
    from word a join word b on b.place > a.place and b.place <= 8
    union all
    select a.word || ' & ' || b.word || ' & ' || c.word, array[a.place, b.place, c.place],
      9 * a.count * b.count * c.count / p_all / p_all
    from word a join word b on b.place > a.place join word c on c.place > b.place and c.place <= 6
  ), needed as (
    -- A pair adds nothing where one of its words is taken by itself.
    select c.*, sum(c.expected) over (order by cardinality(c.places) > 1, c.expected, c.places) as running
    from clause c
  ), single as (
    select n.* from needed n where cardinality(n.places) = 1 and (n.running <= p_budget)
  ), joint as (
    select c.*, sum(c.expected) over (order by c.expected, c.places) as running, row_number() over (order by c.expected, c.places) as place
    from clause c
    where cardinality(c.places) > 1
      and not exists (select 1 from single s where s.places <@ c.places)
  )
  select coalesce(string_agg('(' || clause || ')', ' | '), (
    -- One word, and a common one.
    select w.word from word w where w.place = 1))
  from (
    select clause from clause where p_budget is null and cardinality(places) = 1
    union all
    select clause from single
    union all
    select clause from joint j
    where j.place <= 12 and j.running <= p_budget - coalesce((select max(running) from single), 0)) c
$$;

-- The languages to read a question in: those of what is stored (the six most frequent, and those of what waits to
-- be filled), its own, and words as they are, for names that are stored so.
create or replace function public.rag_languages_asked(p_query text, p_tenant_id text) returns text[]
language sql stable set search_path = '' as $$
  select array_agg(distinct l.language)
  from (
    (select s.language from public.rag_text_statistics s
      where p_tenant_id is null or s.tenant_id = p_tenant_id
      group by s.language order by sum(s.chunks) desc limit 6)
    union all
    (select public.rag_generation_language(g.document_id, g.generation) from public.rag_generations g
      where g.state = 'live' and not g.terms_filled limit 20)
    union all
    select public.rag_text_language('', left(p_query, 4000))
    union all
    select 'simple') l
$$;

-- The terms of live chunks that are not filled yet, made here and now (about a millisecond each): of the 200 that
-- look most like the question. That is judged by the beginnings of its words, which stemming leaves alone.
-- among: how many chunks there are that are not filled.
create or replace function public.rag_unfilled_terms(p_lexemes text[], p_filter jsonb, p_model text)
returns table (document_id uuid, generation integer, chunk_index integer, terms tsvector, among bigint)
language sql stable set search_path = '' as $$
  with unfilled as (
    select g.document_id, g.generation from public.rag_generations g
    join public.rag_documents d on d.id = g.document_id
      and g.generation = case when d.other_model = p_model then d.other_generation else d.live_generation end
    where g.state = 'live' and not g.terms_filled and (p_filter = '{}' or public.rag_filter_accepts(d, p_filter))
  ), alike as (
    select c.document_id, c.generation, c.chunk_index, x.text, (
      select count(*) from unnest(p_lexemes) l
      where strpos(x.folded, left(l, greatest(2, length(l) - 2))) > 0) as words, count(*) over () as among
    from unfilled u
    join public.rag_document_chunks c on c.document_id = u.document_id and c.generation = u.generation
    cross join lateral (
      select public.rag_fold_accents(lower(w.text)) as folded, w.text
      from (select concat_ws(E'\n', public.rag_context_of(c.embed_prefix), c.section, c.content) as text) w
      offset 0) x
    where not exists (select 1 from public.rag_chunk_terms t where t.document_id = c.document_id
      and t.generation = c.generation and t.chunk_index = c.chunk_index)
    order by words desc limit 200
  ), language as materialized (
    select a.document_id, a.generation, public.rag_generation_language(a.document_id, a.generation) as language
    from (select distinct document_id, generation from alike where words > 0) a
  )
  select a.document_id, a.generation, a.chunk_index, public.rag_terms_of(l.language, a.text), a.among
  from alike a join language l on l.document_id = a.document_id and l.generation = a.generation
  where a.words > 0
$$;

-- For a question of nothing but stop words, which the terms leave out: live chunks that hold it letter by letter.
create or replace function public.rag_literal_search(p_query text, p_limit integer, p_filter jsonb, p_model text)
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text,
  matched text[])
language sql stable set search_path = '' as $$
  select 0::double precision, c.document_id, d.title, d.source_uri, c.chunk_index, c.page_number, c.section,
    c.speaker, c.started_ms, c.ended_ms, c.content, '{}'::text[]
  from (select btrim(left(p_query, 200), E' \t\n"“”„') as text) asked
  join public.rag_documents d on d.live_generation is not null
    and (p_filter = '{}' or public.rag_filter_accepts(d, p_filter))
  join public.rag_document_chunks c on c.document_id = d.id
    and c.generation = case when d.other_model = p_model then d.other_generation else d.live_generation end
    and strpos(lower(c.content), lower(asked.text)) > 0
  where btrim(public.rag_split_words(asked.text)) <> ''
  limit p_limit
$$;

-- Called by applications and `rag search --mode text`. The live chunks that share words with the question, by
-- BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009; k1 = 1.2, b = 0.75) with the
-- statistics of the tenant that is asked for, or of all. What the question has in double quotes is a condition.
-- matched: the lexemes of the question that the chunk has. p_model: as rag_documents.other_model calls it; the chunks
-- of that model where a document has two generations that serve.
create or replace function public.rag_text_search(
  p_query text, p_limit integer default 10, p_filter jsonb default '{}', p_model text default null)
returns table (score double precision, document_id uuid, title text, source_uri text, chunk_index integer,
  page_number integer, section text, speaker text, started_ms bigint, ended_ms bigint, content text,
  matched text[])
language plpgsql stable set search_path = public, extensions set statement_timeout = '20s' set jit = off as $$
#variable_conflict use_column
declare
  -- Chunks ranked in a first look; all that match in a second one, when the first found too few.
  c_budget constant double precision := 4000;
  v_filter jsonb := public.rag_check_filter(p_filter);
  v_limit integer := least(greatest(p_limit, 0), 1000);
  v_tenant text := v_filter ->> 'tenant_id';
  v_languages text[];
  v_lexemes text[];
  v_counts double precision[];
  v_all double precision;
  v_words double precision;
  v_phrases tsquery;
  v_among uuid[];
  v_unfilled boolean := exists (select 1 from public.rag_generations g where g.state = 'live' and not g.terms_filled);
  v_documents uuid[];
  v_generations integer[];
  v_indexes integer[];
  v_terms tsvector[];
  v_among_all bigint;
  v_saturation text;
  v_best jsonb;
begin
  select coalesce(sum(s.chunks), 0), coalesce(sum(s.words), 0) into v_all, v_words
  from public.rag_text_statistics s where v_tenant is null or s.tenant_id = v_tenant;
  v_languages := public.rag_languages_asked(p_query, v_tenant);
  v_lexemes := public.rag_question_lexemes(p_query, v_languages);
  v_phrases := public.rag_question_phrases(p_query, v_languages);
  if v_lexemes = '{}' then
    return query select * from public.rag_literal_search(p_query, v_limit, v_filter, p_model);
    return;
  end if;
  -- A filter that leaves few documents is best begun with.
  if v_filter - 'tenant_id' <> '{}' then
    select array_agg(f.id) into v_among from (
      select d.id from public.rag_documents d
      where d.live_generation is not null and public.rag_filter_accepts(d, v_filter) limit 201) f;
    if cardinality(v_among) > 200 then
      v_among := null;
    elsif v_among is null then
      return;
    end if;
  end if;
  select array_agg(w.lexeme), array_agg(w.count) into v_lexemes, v_counts
  from (
    select l.lexeme, coalesce((select sum(s.chunks) from public.rag_term_statistics s
      where s.lexeme = l.lexeme collate "C" and (v_tenant is null or s.tenant_id = v_tenant)), 0)::double precision as count
    from unnest(v_lexemes) as l(lexeme)) w;
  -- Whoever may not see the statistics (a signed-in user) counts among the chunks that are seen.
  if v_all <= 0 then
    select count(*), sum(t.words) into v_all, v_words from public.rag_chunk_terms t;
    select array_agg((select count(*) from public.rag_chunk_terms t where t.terms @@ quote_literal(l.lexeme)::tsquery)
      order by l.place) into v_counts
    from unnest(v_lexemes) with ordinality as l(lexeme, place) where v_all > 0;
    v_counts := coalesce(v_counts, array_fill(0::double precision, array[cardinality(v_lexemes)]));
  end if;
  if v_unfilled then
    select array_agg(u.document_id), array_agg(u.generation), array_agg(u.chunk_index), array_agg(u.terms),
      max(u.among)
    into v_documents, v_generations, v_indexes, v_terms, v_among_all
    from public.rag_unfilled_terms(v_lexemes, v_filter, p_model) u;
    -- Counted with the others: of a collection that is hardly filled, the statistics know neither which words are
    -- rare nor how long a chunk is.
    if v_terms is not null then
      v_all := v_all + v_among_all;
      v_words := coalesce(v_words, 0)
        + v_among_all * (select avg(public.rag_count_words(u.terms)) from unnest(v_terms) u (terms));
      select array_agg(w.count + (
          select count(*) from unnest(v_terms) u (terms) where u.terms @@ quote_literal(w.lexeme)::tsquery)
        order by w.place)
      into v_counts
      from unnest(v_lexemes, v_counts) with ordinality as w (lexeme, count, place);
    end if;
  end if;
  v_all := greatest(v_all, 1);
  -- Most forms of a word are in no language's terms. Only chunks that are not counted yet may have others.
  if not v_unfilled then
    select array_agg(w.lexeme), array_agg(w.count) into v_lexemes, v_counts
    from unnest(v_lexemes, v_counts) as w(lexeme, count) where w.count > 0;
    if v_lexemes is null then
      return;
    end if;
  end if;
  -- ts_rank of one word with equal weights is (1 + 1/4 + 1/9 + … + 1/tf²) / 1.64493406685, from which tf follows:
  -- what the sum lacks to its limit is a little less than 1 / (tf + 1/2). So the counting is done in C, in the row.
  select string_agg(format(
      '%s::float8 * (1 - norm / (norm + floor(1 / (1.64493406685::float8 - 1.64493406685::float8 * ts_rank(''{1,1,1,1}'', terms, %L::tsquery)))))',
      ln(1 + (greatest(v_all - w.count, 0) + 0.5) / (w.count + 0.5)) * 2.2, quote_literal(w.lexeme)), ' + ')
  into v_saturation
  from unnest(v_lexemes, v_counts) as w(lexeme, count);

  for v_look in 1..2 loop
    execute format($q$
      with ranked as (
        select document_id, generation, chunk_index, terms, %1$s as score
        from (
          select t.document_id, t.generation, t.chunk_index, t.terms, $5 + $4 * t.words as norm
          from public.rag_chunk_terms t
          join public.rag_documents d on d.id = t.document_id and t.generation =
            case when d.other_model = $6 then d.other_generation else d.live_generation end
          where t.terms @@ %2$L::tsquery %3$s %4$s and ($1 = '{}' or public.rag_filter_accepts(d, $1))
          union all
          select t.document_id, t.generation, t.chunk_index, t.terms, $5 + $4 * public.rag_count_words(t.terms)
          from unnest($7, $8, $9, $10) t (document_id, generation, chunk_index, terms)
          where t.terms @@ %5$L::tsquery %3$s) candidate
      )
      select jsonb_agg(jsonb_build_object('document_id', b.document_id, 'generation', b.generation,
        'chunk_index', b.chunk_index, 'score', b.score, 'matched',
        array(select l from unnest($2) l where b.terms @@ quote_literal(l)::tsquery)))
      from (
        select r.* from ranked r order by r.score desc, r.document_id, r.chunk_index limit $3) b $q$,
      v_saturation,
      case when v_tenant is null then '' else quote_literal(public.rag_tenant_lexeme(v_tenant)) || ' & ' end
        || '(' || public.rag_promising(v_lexemes, v_counts, v_all,
          case when v_among is null and v_look = 1 then c_budget end) || ')',
      case when v_phrases is null then '' else format('and t.terms @@ %L::tsquery', v_phrases) end,
      case when v_among is null then '' else format('and t.document_id = any (%L::uuid[])', v_among) end,
      (select string_agg(quote_literal(l), ' | ') from unnest(v_lexemes) l))
    into v_best
    using v_filter, v_lexemes, v_limit,
      -- k1 * b * words / mean, and k1 * (1 - b).
      0.9::double precision * v_all / greatest(v_words, 1), 0.3::double precision, p_model,
      v_documents, v_generations, v_indexes, v_terms;
    exit when v_among is not null or jsonb_array_length(v_best) >= v_limit;
  end loop;
  return query
  select b.score, c.document_id, d.title, d.source_uri, c.chunk_index, c.page_number, c.section, c.speaker,
    c.started_ms, c.ended_ms, c.content, b.matched
  from jsonb_to_recordset(coalesce(v_best, '[]')) as b(document_id uuid, generation integer, chunk_index integer,
    score double precision, matched text[])
  join public.rag_documents d on d.id = b.document_id
  join public.rag_document_chunks c
    on c.document_id = b.document_id and c.generation = b.generation and c.chunk_index = b.chunk_index
  order by b.score desc, b.document_id, b.chunk_index;
end $$;

reset search_path;
