-- Which documents are alike, by meaning and by topic, and the one function that finds all relationships of a document.
set search_path = public, extensions;

-- A tenant with more documents than this is searched by an index; up to here a scan of its vectors takes less than
-- 10 ms at 1,536 dimensions, finds all, and needs no luck with the filter.
create or replace function public.rag_alike_scanned() returns integer
language sql immutable set search_path = '' as $$ select 5000 $$;

-- Makes the index of a model's document vectors once there are a thousand (a second or two; relationships wait, nobody
-- else). From then on it is kept up to date by every insert: 2 to 5 ms a document, not a chunk. Only the owner of a
-- table may index it, so this one function runs with its owner's rights; it can do nothing else.
create or replace function public.rag_index_document_vectors(p_model text, p_dimensions integer) returns void
language plpgsql security definer set search_path = public, extensions, pg_temp set statement_timeout = '10min' as $$
declare
  v_name text := 'rag_document_vectors_' || left(md5(p_model || '/' || p_dimensions), 12);
begin
  if p_dimensions > 4000 or to_regclass('public.' || v_name) is not null
    or (select count(*) from (select 1 from public.rag_document_vectors v where v.model = p_model limit 1000) n) < 1000
    or not exists (select 1 from public.rag_models m where m.name = p_model and m.dimensions = p_dimensions) then
    return;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(v_name, 0));
  execute format('create index if not exists %I on public.rag_document_vectors using hnsw
    ((embedding::halfvec(%s)) halfvec_cosine_ops) where model = %L', v_name, p_dimensions, p_model);
end $$;

-- The vector of a document in each model that it serves in: the mean of its chunks' directions. What is there for the
-- same generation is right already, for chunks of a live generation never change.
create or replace function public.rag_store_document_vectors(p_document public.rag_documents) returns void
language plpgsql set search_path = public, extensions as $$
begin
  insert into public.rag_document_vectors as v (document_id, model, generation, tenant_id, dimensions, embedding)
  select g.document_id, g.embedding_model, g.generation, p_document.tenant_id, g.dimensions,
    l2_normalize(m.mean)::halfvec
  from public.rag_generations g
  cross join lateral (
    select avg(l2_normalize(c.embedding)) as mean from public.rag_document_chunks c
    where c.document_id = g.document_id and c.generation = g.generation
      and c.embedding_model = g.embedding_model and vector_dims(c.embedding) = g.dimensions) m
  where g.document_id = p_document.id and g.generation in (p_document.live_generation, p_document.other_generation)
    and not exists (select 1 from public.rag_document_vectors o where o.document_id = g.document_id
      and o.model = g.embedding_model and o.generation = g.generation)
    and vector_norm(m.mean) > 1e-6
  on conflict (document_id, model) do update
  set generation = excluded.generation, tenant_id = excluded.tenant_id, dimensions = excluded.dimensions,
      embedding = excluded.embedding;
  delete from public.rag_document_vectors v
  where v.document_id = p_document.id
    and v.generation is distinct from p_document.live_generation
    and v.generation is distinct from p_document.other_generation;
end $$;

-- semantic_similarity: the strength is the cosine of the two document vectors, of the model that the document serves
-- in; the twenty best above 0.7 are its own. Partners that it has already are measured anew beside them.
-- Answers [{target_id, strength, own, metadata}].
create or replace function public.rag_find_alike(p_document public.rag_documents) returns jsonb
language plpgsql stable set search_path = public, extensions
-- Whatever can come sorted comes from its index (rag_search_chunks).
set enable_sort = off set jit = off as $$
declare
  v_vector public.rag_document_vectors;
  v_near text;
  v_found jsonb;
begin
  select * into v_vector from public.rag_document_vectors v
  where v.document_id = p_document.id and v.generation = p_document.live_generation;
  if not found then
    return '[]'::jsonb;
  end if;
  if v_vector.dimensions <= 4000 and (select count(*) from (select 1 from public.rag_document_vectors v
      where v.tenant_id = v_vector.tenant_id and v.model = v_vector.model
      limit public.rag_alike_scanned() + 1) n) > public.rag_alike_scanned() then
    perform set_config('hnsw.iterative_scan', 'strict_order', true);
    perform set_config('hnsw.max_scan_tuples', '20000', true);
    -- Twice what is asked for: half precision and the dead among them.
    perform set_config('hnsw.ef_search', '80', true);
    v_near := format('select v.* from public.rag_document_vectors v
      where v.model = %L and v.tenant_id = $2 and v.document_id <> $3
      order by v.embedding::halfvec(%s) <=> $1::halfvec(%s) limit 60', v_vector.model, v_vector.dimensions,
      v_vector.dimensions);
  else
    v_near := 'select * from (select * from public.rag_document_vectors v
        where v.model = $4 and v.tenant_id = $2 and v.document_id <> $3 and v.dimensions = $5 offset 0) v
      order by v.embedding <=> $1 limit 60';
  end if;
  execute format($q$
    with near as materialized (%s), best as materialized (
      select n.document_id, n.embedding from near n join public.rag_documents d on d.id = n.document_id
      where n.generation in (d.live_generation, d.other_generation) and n.embedding <=> $1 < 0.3
      order by n.embedding <=> $1, n.document_id limit 20)
    select coalesce(jsonb_agg(jsonb_build_object('target_id', e.document_id, 'own', e.own,
      'strength', least(1, greatest(0, 1 - (e.embedding <=> $1)))::real,
      'metadata', jsonb_build_object('model', $4))), '[]')
    from (
      select b.document_id, b.embedding, true as own from best b
      union all
      select v.document_id, v.embedding, false from public.rag_relationships r
      join public.rag_document_vectors v on v.document_id = r.source_id and v.model = $4 and v.dimensions = $5
      where r.target_id = $3 and r.relationship_type = 'semantic_similarity' and r.own
        and v.embedding <=> $1 < 0.3 and v.document_id not in (select b.document_id from best b)) e
    $q$, v_near)
  into v_found
  using v_vector.embedding, v_vector.tenant_id, v_vector.document_id, v_vector.model, v_vector.dimensions;
  return v_found;
end $$;

-- Topics that an analysis found in what is live.
create or replace function public.rag_topics_of(p_document_id uuid) returns text[]
language plpgsql stable set search_path = '' as $$
declare
  v_view regclass := to_regclass('public.rag_live_analyses');
  v_topics text[];
begin
  if v_view is not null then
    execute format('select a.topics from %s a where a.document_id = $1', v_view) into v_topics using p_document_id;
  end if;
  return coalesce(v_topics, '{}');
end $$;

-- Tags and topics of a document in small letters, each once, at most 100.
create or replace function public.rag_labels_of(p_document public.rag_documents) returns table (label text)
language sql stable set search_path = '' as $$
  select distinct left(lower(btrim(l.label)), 200) as label
  from unnest((p_document).tags || public.rag_topics_of((p_document).id)) l (label)
  where l.label ~ '\S' limit 100
$$;

-- topical_relevance: the strength is how many tags and topics both have, over how many there are on either (Jaccard);
-- the twenty best of at least 0.2 are its own. A label that more than a thousand documents carry tells nothing and
-- finds nobody, but counts where another one has found them. Answers as rag_find_alike.
create or replace function public.rag_find_topical(p_document public.rag_documents) returns jsonb
language sql stable set search_path = '' as $$
  with mine as materialized (
    select l.label from public.rag_document_labels l where l.document_id = (p_document).id
  ), telling as materialized (
    select m.label, c.carriers from mine m
    cross join lateral (select array_agg(o.document_id) as carriers from (
      select o.document_id from public.rag_document_labels o
      where o.tenant_id = (p_document).tenant_id and o.label = m.label limit 1002) o) c
    where cardinality(c.carriers) <= 1001
  ), candidates as (
    select distinct c.id from telling t cross join lateral unnest(t.carriers) c (id) where c.id <> (p_document).id
    union
    select r.source_id from public.rag_relationships r
    where r.target_id = (p_document).id and r.relationship_type = 'topical_relevance' and r.own
  ), measured as materialized (
    select c.id, count(*) as theirs, count(m.label) as shared,
      (array_agg(l.label order by l.label) filter (where m.label is not null))[1:20] as labels
    from candidates c join public.rag_document_labels l on l.document_id = c.id
    left join mine m on m.label = l.label
    group by c.id
  ), ranked as (
    select m.id, m.labels, (m.shared::real / (m.theirs + (select count(*) from mine) - m.shared))::real as strength
    from measured m where m.shared > 0
  ), best as (
    select r.id from ranked r where r.strength >= 0.2 order by r.strength desc, r.id desc limit 20)
  select coalesce(jsonb_agg(jsonb_build_object('target_id', r.id, 'strength', r.strength,
    'own', r.id in (select b.id from best b), 'metadata', jsonb_build_object('shared', r.labels))), '[]')
  from ranked r where r.strength >= 0.2
    and (r.id in (select b.id from best b) or exists (select 1 from public.rag_relationships o
      where o.source_id = r.id and o.target_id = (p_document).id and o.relationship_type = 'topical_relevance'
        and o.own))
$$;

-- Writes what a document was found to have in common with others, in both directions, and removes the pairs that are
-- no longer among the best of either. Touches this document's pairs alone. p_found: as rag_find_alike answers.
create or replace function public.rag_settle_alike(p_document public.rag_documents, p_type text, p_found jsonb)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_kept jsonb;
  v_written integer;
  v_removed integer;
begin
  with found as (
    select * from jsonb_to_recordset(p_found) as f(target_id uuid, strength real, own boolean, metadata jsonb)
  ), there as materialized (
    -- Who is being deleted this moment is not waited for.
    select d.id from public.rag_documents d
    where d.id in (select f.target_id from found f) and d.tenant_id = p_document.tenant_id
    order by d.id for key share skip locked)
  select coalesce(jsonb_agg(to_jsonb(f)), '[]') into v_kept
  from found f
  where f.target_id in (select t.id from there t) and (f.own or exists (
    select 1 from public.rag_relationships r where r.source_id = f.target_id and r.target_id = p_document.id
      and r.relationship_type = p_type and r.own));

  with kept as materialized (
    select k.target_id from jsonb_to_recordset(v_kept) as k(target_id uuid)
  ), gone as (
    delete from public.rag_relationships r
    where r.relationship_type = p_type and (
      r.source_id = p_document.id and r.target_id not in (select k.target_id from kept k)
      or r.target_id = p_document.id and r.source_id not in (select k.target_id from kept k))
    returning 1)
  select count(*) into v_removed from gone;
  with written as (
    insert into public.rag_relationships as r (tenant_id, source_id, target_id, relationship_type, strength, metadata,
      own)
    select p_document.tenant_id, e.source_id, e.target_id, p_type, e.strength, e.metadata, e.own
    from jsonb_to_recordset(v_kept) as k(target_id uuid, strength real, own boolean, metadata jsonb)
    cross join lateral (values
      (p_document.id, k.target_id, k.strength, k.metadata, k.own),
      (k.target_id, p_document.id, k.strength, k.metadata, false)) e (source_id, target_id, strength, metadata, own)
    on conflict (source_id, target_id, relationship_type) do update
    set strength = excluded.strength, metadata = excluded.metadata,
        own = case when r.source_id = p_document.id then excluded.own else r.own end,
        -- That it is among the best of both now changes nothing for readers.
        updated_at = case when (r.strength, r.metadata) is distinct from (excluded.strength, excluded.metadata)
          then now() else r.updated_at end
    where (r.strength, r.metadata) is distinct from (excluded.strength, excluded.metadata)
      or r.source_id = p_document.id and r.own <> excluded.own
    returning r.updated_at)
  select count(*) filter (where w.updated_at = now()) into v_written from written w;
  return jsonb_build_object('written', v_written, 'removed', v_removed);
end $$;

-- Called by applications, `rag relate`, and the worker that holds a job of the kind relationships (then with p_job_id
-- and p_lease_token). Finds all relationships of one document with others of its tenant and writes what has changed;
-- relationships between two others stay as they are. p_patterns: regular expressions with two groups, type and id, that
-- a reference in the text looks like. Sent twice, it changes nothing.
-- Answers {state, written, removed, relationships: {type: how many there are now}, unresolved}; unresolved counts the
-- mentions that nobody answers to yet. State is 'related', 'gone' (no such document), 'busy' (somebody deletes or
-- repairs it this moment), 'pending' (a job is asked while the document's own is still to end) or 'lease_lost'.
create or replace function public.rag_find_relationships(
  p_document_id uuid, p_patterns text[] default array['(task|page|memory):([a-f0-9-]+)'],
  p_job_id uuid default null, p_lease_token bigint default null)
returns jsonb
language plpgsql set search_path = public, extensions set statement_timeout = '60s' as $$
declare
  v_document public.rag_documents;
  v_model record;
  v_alike jsonb;
  v_mentions jsonb;
  v_around uuid[];
  v_done jsonb[];
begin
  select * into v_document from public.rag_documents d where d.id = p_document_id for key share skip locked;
  if not found then
    return jsonb_build_object('state', case when exists (select 1 from public.rag_documents d
      where d.id = p_document_id) then 'busy' else 'gone' end);
  elsif p_job_id is not null and exists (select 1 from public.rag_ingestion_queue q
    where q.document_id = p_document_id and q.kind = 'document' and q.status in ('queued', 'processing')) then
    return jsonb_build_object('state', 'pending');
  end if;
  for v_model in
    select g.embedding_model as name, g.dimensions from public.rag_generations g
    where g.document_id = v_document.id and g.generation in (v_document.live_generation, v_document.other_generation)
  loop
    perform public.rag_index_document_vectors(v_model.name, v_model.dimensions);
  end loop;
  perform public.rag_store_document_vectors(v_document);
  -- What takes time comes before the lock.
  v_alike := public.rag_find_alike(v_document);
  select coalesce(jsonb_agg(to_jsonb(m)), '[]') into v_mentions
  from (select i.relation, i.name, max(i.amount) as amount from public.rag_mentions_in(v_document, p_patterns) i
    where i.name is not null group by 1, 2) m;

  -- One document of a tenant at a time from here on, for some milliseconds: a pair has two ends.
  perform pg_advisory_xact_lock(hashtextextended('rag_relationships' || chr(31) || v_document.tenant_id, 0));
  if p_job_id is not null then
    perform 1 from public.rag_ingestion_queue q
    where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing' for update;
    if not found then
      return jsonb_build_object('state', 'lease_lost');
    end if;
  end if;
  v_around := public.rag_stated_around(v_document);
  delete from public.rag_document_labels l where l.document_id = v_document.id
    and l.label not in (select o.label from public.rag_labels_of(v_document) o);
  insert into public.rag_document_labels (document_id, tenant_id, label)
  select v_document.id, v_document.tenant_id, l.label from public.rag_labels_of(v_document) l on conflict do nothing;
  delete from public.rag_document_names n where n.document_id = v_document.id
    and n.name not in (select o.name from public.rag_names_of(v_document) o);
  insert into public.rag_document_names (document_id, tenant_id, name)
  select v_document.id, v_document.tenant_id, n.name from public.rag_names_of(v_document) n on conflict do nothing;
  delete from public.rag_mentions m where m.document_id = v_document.id
    and (m.relation, m.name) not in (select o.relation, o.name
      from jsonb_to_recordset(v_mentions) as o(relation text, name text));
  insert into public.rag_mentions as m (document_id, tenant_id, relation, name, amount)
  select v_document.id, v_document.tenant_id, o.relation, o.name, o.amount
  from jsonb_to_recordset(v_mentions) as o(relation text, name text, amount integer)
  on conflict (document_id, relation, name) do update set amount = excluded.amount
  where m.amount <> excluded.amount;

  v_done := array[
    public.rag_settle_stated(v_document.tenant_id,
      array[v_document.id] || v_around || public.rag_stated_around(v_document)),
    public.rag_settle_alike(v_document, 'semantic_similarity', v_alike),
    public.rag_settle_alike(v_document, 'topical_relevance', public.rag_find_topical(v_document))];
  return jsonb_build_object('state', 'related',
    'written', (select sum((d ->> 'written')::integer) from unnest(v_done) d),
    'removed', (select sum((d ->> 'removed')::integer) from unnest(v_done) d),
    'relationships', (select coalesce(jsonb_object_agg(c.relationship_type, c.count), '{}') from (
      select r.relationship_type, count(*) from public.rag_relationships r where r.source_id = v_document.id
      group by 1) c),
    'unresolved', (select count(*) from public.rag_mentions m where m.document_id = v_document.id
      and m.relation in ('text', 'after', 'depends_on', 'parent') and not exists (
        select 1 from public.rag_document_names n where n.tenant_id = m.tenant_id and n.name = m.name)));
end $$;

-- Called by rag_complete_job: a job that relates the document, unless one waits already.
create or replace function public.rag_queue_relationships(p_document_id uuid, p_priority smallint) returns void
language sql volatile set search_path = '' as $$
  insert into public.rag_ingestion_queue (kind, document_id, tenant_id, priority)
  select 'relationships', d.id, d.tenant_id, p_priority from public.rag_documents d
  where d.id = p_document_id and not exists (
    select 1 from public.rag_ingestion_queue q
    where q.document_id = d.id and q.kind = 'relationships' and q.status = 'queued')
$$;

-- Called by `rag relate`. Documents that serve, in order of id after p_after, at most p_limit (1,000). p_filter:
-- {document_ids, tenant_id, collection}; {} is all. Answers {document_ids, total}; total with the first page alone. With
-- p_limit 0 it answers {document_ids: [], total, relationships: {type: how many they have now}, unresolved}.
create or replace function public.rag_list_relatable(
  p_filter jsonb, p_after uuid default null, p_limit integer default 500) returns jsonb
language plpgsql stable set search_path = '' set statement_timeout = '20s' as $$
begin
  perform public.rag_check_request(p_filter, array['document_ids', 'tenant_id', 'collection']);
  return (
    with meant as (
      select d.id from public.rag_documents d
      where d.live_generation is not null
        and (not p_filter ? 'document_ids' or d.id = any (public.rag_text_array(p_filter -> 'document_ids')::uuid[]))
        and (not p_filter ? 'tenant_id' or d.tenant_id = p_filter ->> 'tenant_id')
        and (not p_filter ? 'collection' or d.collection = p_filter ->> 'collection'))
    select jsonb_build_object(
      'document_ids', (select coalesce(jsonb_agg(p.id order by p.id), '[]') from (
        select m.id from meant m where p_after is null or m.id > p_after
        order by m.id limit greatest(0, least(p_limit, 1000))) p),
      'total', case when p_after is null then (select count(*) from meant) end)
      || case when p_limit > 0 then '{}' else jsonb_build_object(
        'relationships', (select coalesce(jsonb_object_agg(c.relationship_type, c.count), '{}') from (
          select r.relationship_type, count(*) from public.rag_relationships r
          where r.source_id in (select m.id from meant m) group by 1) c),
        'unresolved', (select count(*) from public.rag_mentions m
          where m.document_id in (select o.id from meant o)
            and m.relation in ('text', 'after', 'depends_on', 'parent') and not exists (
              select 1 from public.rag_document_names n where n.tenant_id = m.tenant_id and n.name = m.name))) end);
end $$;

reset search_path;
