-- The words of the live chunks, in the form in which searches by words look for them, and how common each is.
-- Filled beside the ingestion by every replica, when it has time.
set search_path = public, extensions;

-- Terms of live chunks, beside them and not in them: a generated tsvector column cost 0.6 ms of server time a
-- row in the stage transaction, and filling a column later would rewrite every row with its vector.
create table if not exists public.rag_chunk_terms (
  document_id uuid not null,
  generation integer not null,
  chunk_index integer not null,
  tenant_id text not null,
  -- The text search configuration that made the terms.
  language text not null,
  -- Words in all, repeated ones too: the length that BM25 divides by.
  words integer not null,
  -- The chunk's lexemes, and one lexeme that names the tenant (rag_tenant_lexeme), so that the index leads to one
  -- tenant's chunks without a walk over everybody's.
  terms tsvector not null,
  primary key (document_id, generation, chunk_index),
  foreign key (document_id, generation, chunk_index)
    references public.rag_document_chunks (document_id, generation, chunk_index) on delete cascade
) with (toast_tuple_target = 8160);
-- In the row and not compressed: a ranking reads each candidate's terms once for each word of the question.
alter table public.rag_chunk_terms alter terms set storage external;
-- Entries that wait to be sorted into the index are read by every search one after the other: few of them.
create index if not exists rag_chunk_terms_search on public.rag_chunk_terms using gin (terms)
  with (gin_pending_list_limit = 256);

-- In how many chunks of a tenant a lexeme occurs. By tenant, for a score that depended on what others have stored
-- would tell of it, and a big tenant would decide which words are rare for a small one. Each replica that fills
-- terms adds to rows of a stripe of its own (rag_take_stripe), so that common words are not fought over;
-- the number is the sum over the stripes, one of which may be negative.
create table if not exists public.rag_term_statistics (
  lexeme text collate "C" not null,
  tenant_id text not null,
  stripe smallint not null,
  chunks bigint not null,
  primary key (lexeme, tenant_id, stripe)
) with (fillfactor = 80);

-- How many chunks a tenant has in each language, and how many words in them.
create table if not exists public.rag_text_statistics (
  tenant_id text not null,
  language text not null,
  stripe smallint not null,
  chunks bigint not null,
  words bigint not null,
  primary key (tenant_id, language, stripe)
);

-- Chunks that were deleted and are still counted; the next rag_fill_terms takes them out. Deleting a document
-- costs one short row for each of its chunks, and not an update for each of their words.
create table if not exists public.rag_departed_terms (
  id bigint generated always as identity primary key,
  tenant_id text not null,
  language text not null,
  words integer not null,
  lexemes text[] not null
);

create or replace function public.rag_note_departed_terms() returns trigger
language plpgsql set search_path = '' as $$
begin
  insert into public.rag_departed_terms (tenant_id, language, words, lexemes)
  values (old.tenant_id, old.language, old.words, tsvector_to_array(old.terms));
  return null;
end $$;
create or replace trigger rag_chunk_terms_departed after delete on public.rag_chunk_terms
for each row execute function public.rag_note_departed_terms();

-- A document that is given to another tenant by hand, or another language: its terms are made anew.
create or replace function public.rag_forget_terms() returns trigger
language plpgsql set search_path = '' as $$
begin
  delete from public.rag_chunk_terms t where t.document_id = new.id;
  update public.rag_generations g set terms_filled = false
  where g.document_id = new.id and g.terms_filled;
  return null;
end $$;
create or replace trigger rag_documents_terms after update of tenant_id, metadata on public.rag_documents
for each row when (old.tenant_id is distinct from new.tenant_id
  or old.metadata ->> 'language' is distinct from new.metadata ->> 'language')
execute function public.rag_forget_terms();

-- No word holds a control character, so this is nobody's word.
create or replace function public.rag_tenant_lexeme(p_tenant_id text) returns text
language sql immutable set search_path = '' as $$ select chr(1) || md5(p_tenant_id) $$;

-- Letters without their marks. Works on any text that holds words, a written-out tsvector or tsquery too.
create or replace function public.rag_fold_accents(p_text text) returns text
language sql immutable set search_path = '' as $$
  select case when octet_length(p_text) = length(p_text) then p_text else
    replace(replace(translate(
      normalize(regexp_replace(normalize(p_text, NFD), '[\u0300-\u036f]', '', 'g'), NFC),
      'øđłıħ', 'odlih'), 'ß', 'ss'), 'æ', 'ae') end
$$;

-- A text as words with one space between them, in their order. What separates words is named by its place in
-- Unicode and not by the database's locale, which may know ASCII alone. createRagClient becomes create Rag Client.
-- Scripts that are written without spaces (Chinese, Japanese, Korean, Thai, Lao, Burmese, Khmer) become signs and
-- pairs of signs: 東京都 gives 東 東京 京 京都 都.
create or replace function public.rag_split_words(p_text text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  c_unspaced constant text := '\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f';
  v_words text := regexp_replace(
    regexp_replace(case when octet_length(p_text) = length(p_text) then p_text else normalize(p_text, NFC) end, '([a-zß-öø-ÿ])([A-ZÀ-ÖØ-Þ])', '\1 \2', 'g'),
    '[\u0001-/:-@[-`{-©«-±´¶-¸»¿\u2000-\u206f\u20a0-\u20cf\u2190-\u2bff\u3000-\u303f\u30fb\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+',
    ' ', 'g');
begin
  if octet_length(v_words) = length(v_words) or v_words !~ ('[' || c_unspaced || ']') then
    return v_words;
  end if;
  return (
    select string_agg(case when r.run[1] is not null then ' ' || r.run[1] || ' ' else (
      select string_agg(s.sign || coalesce(' ' || s.sign || s.next, ''), ' ' order by s.place)
      from (
        select x.sign, x.place, lead(x.sign) over (order by x.place) as next
        from unnest(string_to_array(r.run[2], null)) with ordinality as x(sign, place)) s) end,
      '' order by r.place)
    from regexp_matches(v_words, '([^' || c_unspaced || ']+)|([' || c_unspaced || ']+)', 'g')
      with ordinality as r(run, place));
end $$;

-- What is one name though signs divide it: addresses, file names, versions, identifiers, C++ and C#.
-- At most 256 of a text, the first 100 letters of each.
create or replace function public.rag_compound_words(p_text text) returns text[]
language sql immutable set search_path = '' as $$
  select coalesce(array_agg(distinct public.rag_fold_accents(lower(left(m.word[1], 100)))), '{}')
  from (
    select word from regexp_matches(p_text,
      '([[:alnum:]]+(?:[._@/:#+&=-]+[[:alnum:]]+)+|[[:alpha:]]+(?:\+\+|#)|[[:lower:]]+[[:upper:]][[:alnum:]]*)', 'g') as word
    limit 256) m
$$;

-- The lexemes of a text in a language, which is the name of a text search configuration.
create or replace function public.rag_terms_of(p_language text, p_text text) returns tsvector
language plpgsql immutable set search_path = '' as $$
declare
  v_words text := public.rag_split_words(p_text);
  v_terms tsvector := to_tsvector(('pg_catalog.' || p_language)::regconfig, v_words);
begin
  -- After stemming, for stems and stop words are spelled with their marks.
  if octet_length(v_words) <> length(v_words) then
    v_terms := public.rag_fold_accents(v_terms::text)::tsvector;
  end if;
  return v_terms || array_to_tsvector(public.rag_compound_words(p_text));
end $$;

-- How many words a chunk's terms stand for; a name without a place counts once.
create or replace function public.rag_count_words(p_terms tsvector) returns integer
language sql immutable set search_path = '' as $$
  select coalesce(sum(greatest(cardinality(t.positions), 1)), 0)::integer from unnest(p_terms) t
$$;

-- The text search configuration for a document: what p_named says (de, de-AT, German), else the language whose
-- commonest words are most frequent in p_sample, else by its script; 'simple' when nothing speaks for any.
create or replace function public.rag_text_language(p_named text, p_sample text) returns text
language plpgsql immutable set search_path = '' as $$
declare
  v_named text := lower(split_part(replace(btrim(p_named), '_', '-'), '-', 1));
  v_words text[];
  v_language text;
  v_share double precision;
begin
  select l.name into v_language
  from (values ('ar', 'arabic'), ('ca', 'catalan'), ('da', 'danish'), ('de', 'german'), ('el', 'greek'),
    ('en', 'english'), ('es', 'spanish'), ('eu', 'basque'), ('fi', 'finnish'), ('fr', 'french'), ('ga', 'irish'),
    ('hi', 'hindi'), ('hu', 'hungarian'), ('hy', 'armenian'), ('id', 'indonesian'), ('it', 'italian'),
    ('lt', 'lithuanian'), ('nb', 'norwegian'), ('ne', 'nepali'), ('nl', 'dutch'), ('nn', 'norwegian'),
    ('no', 'norwegian'), ('pt', 'portuguese'), ('ro', 'romanian'), ('ru', 'russian'), ('sr', 'serbian'),
    ('sv', 'swedish'), ('ta', 'tamil'), ('tr', 'turkish'), ('yi', 'yiddish')) as l(code, name)
  where v_named in (l.code, l.name);
  if v_language is not null then
    return v_language;
  elsif v_named <> '' then
    return 'simple';
  end if;
  v_words := string_to_array(lower(btrim(public.rag_split_words(left(p_sample, 1500)))), ' ');
  select v.voter, count(*) / cardinality(v_words)::double precision into v_language, v_share
  from unnest(v_words) as w(word) join (
    select l.voter, unnest(string_to_array(l.words, ' ')) as word
    from (values
    ('english', 'the of and to in is that for it with as was are on by be this at from or an not which you have'),
    ('german', 'der die das und ist nicht ein eine zu den von mit für auf dem des im sich auch es als wir sie ich wird sind'),
    ('french', 'le la les de des et est un une du en que dans pour qui sur ne pas au par avec ce il elle nous sont'),
    ('spanish', 'el la los las de y que en un una es por con para se del no al lo su como más pero sus'),
    ('italian', 'il la di e che è un una per non in del della con si sono gli le dei da al come più nel anche'),
    ('portuguese', 'o a os as de e que em um uma do da não para com se por no na dos das mais como ao é'),
    ('dutch', 'de het een en van is dat niet op te zijn voor met die in er aan om ook als bij wordt naar'),
    ('danish', 'og det er en at af til på med ikke som den for de et der har fra var jeg blev hvad'),
    ('norwegian', 'og det er en at av til på med ikke som den for de et har fra var jeg ble hva'),
    ('swedish', 'och det är en att av till på med inte som den för de ett har från var jag blev vad'),
    ('finnish', 'ja on ei se että oli hän mutta ovat kun niin myös joka tai kuin ole mitä tämä'),
    ('hungarian', 'a az és hogy nem is egy ez meg csak volt van de mint ha már el vagy még'),
    ('turkish', 've bir bu da de için ile çok daha ne gibi olarak ama kadar var olan sonra değil'),
    ('russian', 'и в не на что с по это как из у за от но для к так он они было')) as l(voter, words)) v on v.word = w.word
  group by v.voter order by count(*) desc, v.voter = 'english' desc, v.voter limit 1;
  -- In prose a fifth to a third of all words are these.
  if v_share >= 0.08 then
    return v_language;
  end if;
  return case
    -- A heading or a question of a few words may have none; English endings cost other Latin words little.
    when p_sample !~ '[^\u0001-\u007f]' and cardinality(v_words) < 30 then 'english'
    when p_sample ~ '[\u0400-\u04ff]{3}' then 'russian'
    when p_sample ~ '[\u0370-\u03ff]{3}' then 'greek'
    when p_sample ~ '[\u0600-\u06ff]{3}' then 'arabic'
    when p_sample ~ '[\u0900-\u097f]{3}' then 'hindi'
    when p_sample ~ '[\u0530-\u058f]{3}' then 'armenian'
    when p_sample ~ '[\u0b80-\u0bff]{3}' then 'tamil'
    else 'simple' end;
end $$;

-- The language of one generation, by what the document says of itself or by its first chunks.
create or replace function public.rag_generation_language(p_document_id uuid, p_generation integer) returns text
language sql stable set search_path = '' as $$
  select public.rag_text_language(
    coalesce((select d.metadata ->> 'language' from public.rag_documents d where d.id = p_document_id), ''),
    (select string_agg(c.content, ' ' order by c.chunk_index) from public.rag_document_chunks c
      where c.document_id = p_document_id and c.generation = p_generation and c.chunk_index < 3))
$$;

-- Adds chunks to the counts, or takes them out. Rows in one order, so that nobody waits in a circle.
create or replace function public.rag_count_terms(
  p_stripe integer, p_sign integer, p_chunks public.rag_departed_terms[]) returns void
language sql set search_path = '' as $$
  insert into public.rag_term_statistics as s (lexeme, tenant_id, stripe, chunks)
  select l.lexeme, c.tenant_id, p_stripe, p_sign * count(*)
  from unnest(p_chunks) c, unnest(c.lexemes) as l(lexeme)
  where l.lexeme not like chr(1) || '%'
  group by l.lexeme, c.tenant_id order by l.lexeme collate "C", c.tenant_id
  on conflict (lexeme, tenant_id, stripe) do update set chunks = s.chunks + excluded.chunks;

  insert into public.rag_text_statistics as s (tenant_id, language, stripe, chunks, words)
  select c.tenant_id, c.language, p_stripe, p_sign * count(*), p_sign * sum(c.words)
  from unnest(p_chunks) c
  group by c.tenant_id, c.language order by c.tenant_id, c.language
  on conflict (tenant_id, language, stripe) do update
  set chunks = s.chunks + excluded.chunks, words = s.words + excluded.words;
$$;

-- Takes deleted chunks out of the counts, and forgets words that no chunk has any more. That looks at all
-- stripes, so it is done only while nobody else counts.
create or replace function public.rag_count_departed(p_stripe integer, p_limit integer) returns void
language plpgsql set search_path = '' as $$
declare
  v_gone public.rag_departed_terms[];
begin
  with gone as (
    delete from public.rag_departed_terms d
    where d.id in (select o.id from public.rag_departed_terms o order by o.id limit p_limit for update skip locked)
    returning d)
  select array_agg(g.d) into v_gone from gone g;
  if v_gone is null then
    return;
  end if;
  perform public.rag_count_terms(p_stripe, -1, v_gone);
  if (select bool_and(pg_try_advisory_xact_lock(hashtext('rag_count_terms'), s)) from generate_series(1, 4) s) then
    delete from public.rag_term_statistics s
    using (
      select o.lexeme, o.tenant_id from public.rag_term_statistics o
      where o.lexeme in (select l.lexeme from unnest(v_gone) c, unnest(c.lexemes) as l(lexeme))
      group by o.lexeme, o.tenant_id having sum(o.chunks) <= 0) nobody
    where s.lexeme = nobody.lexeme and s.tenant_id = nobody.tenant_id;
    delete from public.rag_text_statistics s
    using (
      select o.tenant_id, o.language from public.rag_text_statistics o
      group by o.tenant_id, o.language having sum(o.chunks) <= 0) nobody
    where s.tenant_id = nobody.tenant_id and s.language = nobody.language;
  end if;
end $$;

-- The line about a chunk's place that was written for it, which stands before a blank line in what was embedded; null
-- where there is none. It is found by its words, as the chunk's section is.
create or replace function public.rag_context_of(p_embed_prefix text) returns text
language sql immutable set search_path = '' as $$
  select case when strpos(p_embed_prefix, E'\n\n') > 0 then split_part(p_embed_prefix, E'\n\n', 1) end
$$;

-- Called by every replica when it has time. Fills the terms of live generations, oldest first, about p_limit
-- chunks a call; a generation counts as filled when all of its chunks are. Answers {chunks, generations}, both 0
-- also when as many replicas as there are stripes are at it.
create or replace function public.rag_fill_terms(p_limit integer) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_generation record;
  v_stripe integer;
  v_filled public.rag_departed_terms[] := '{}'::public.rag_departed_terms[];
  v_more public.rag_departed_terms[];
  v_language text;
  v_generations integer := 0;
begin
  select s into v_stripe from generate_series(1, 4) s
  where pg_try_advisory_xact_lock(hashtext('rag_count_terms'), s) limit 1;
  if v_stripe is null then
    return jsonb_build_object('chunks', 0, 'generations', 0);
  end if;
  for v_generation in
    select g.document_id, g.generation, d.tenant_id from public.rag_generations g
    join public.rag_documents d on d.id = g.document_id
    where g.state = 'live' and not g.terms_filled
    order by g.created_at limit 100
    for update of g skip locked
  loop
    exit when cardinality(v_filled) >= p_limit;
    v_language := public.rag_generation_language(v_generation.document_id, v_generation.generation);
    with filled as (
      insert into public.rag_chunk_terms (document_id, generation, chunk_index, tenant_id, language, words, terms)
      select c.document_id, c.generation, c.chunk_index, v_generation.tenant_id, v_language,
        public.rag_count_words(x.terms), x.terms || array_to_tsvector(array[public.rag_tenant_lexeme(v_generation.tenant_id)])
      from public.rag_document_chunks c
      -- Made once and used twice: without the offset each use would make them again.
      cross join lateral (
        select public.rag_terms_of(v_language, concat_ws(E'\n',
          public.rag_context_of(c.embed_prefix), c.section, c.content)) as terms offset 0) x
      where c.document_id = v_generation.document_id and c.generation = v_generation.generation
        and not exists (select 1 from public.rag_chunk_terms t where t.document_id = c.document_id
          and t.generation = c.generation and t.chunk_index = c.chunk_index)
      order by c.chunk_index limit p_limit - cardinality(v_filled)
      on conflict do nothing
      returning tenant_id, language, words, terms)
    select array_agg(row(0, f.tenant_id, f.language, f.words, tsvector_to_array(f.terms))::public.rag_departed_terms)
    into v_more from filled f;
    v_filled := v_filled || coalesce(v_more, '{}');
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
  perform public.rag_count_terms(v_stripe, 1, v_filled);
  perform public.rag_count_departed(v_stripe, 1000);
  return jsonb_build_object('chunks', cardinality(v_filled), 'generations', v_generations);
end $$;

reset search_path;
