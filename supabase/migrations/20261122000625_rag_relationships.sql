-- How documents relate. Five types, each defined in one place with its strength and its evidence:
--   semantic_similarity     rag_find_alike          cosine of the document vectors
--   topical_relevance       rag_find_topical        shared tags and topics over all of both (Jaccard)
--   cross_reference         rag_stated_links        the text names the other one
--   sequential_dependency   rag_stated_links        metadata after or depends_on; rag_predecessor: the next older version
--   conceptual_hierarchy    rag_stated_links        metadata parent; the folder's document; a heading that is its title
-- What a document says is kept as names it answers to and mentions of others' names. A mention of something that is
-- not there yet is unresolved until a document arrives that answers to it, and again when that is deleted.
-- Nothing ever crosses tenants.
set search_path = public, extensions;

create table if not exists public.rag_relationships (
  tenant_id text not null,
  source_id uuid not null references public.rag_documents (id) on delete cascade,
  target_id uuid not null references public.rag_documents (id) on delete cascade,
  relationship_type text not null check (relationship_type in ('semantic_similarity', 'cross_reference',
    'topical_relevance', 'sequential_dependency', 'conceptual_hierarchy')),
  strength real not null check (strength between 0 and 1),
  -- The evidence.
  metadata jsonb not null default '{}',
  -- The first two of symmetric types stand in both directions; own says that the target is among the source's best.
  -- A pair stays while it is that for one of the two.
  own boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (source_id, target_id, relationship_type),
  check (source_id <> target_id)
);
create index if not exists rag_relationships_target on public.rag_relationships (target_id, relationship_type);

-- One vector a document and model: the mean of its live chunks' vectors, of length one. It goes with the generation
-- that it was made from.
create table if not exists public.rag_document_vectors (
  document_id uuid not null,
  model text not null,
  generation integer not null,
  tenant_id text not null,
  dimensions integer not null,
  embedding halfvec not null,
  primary key (document_id, model),
  foreign key (document_id, generation)
    references public.rag_generations (document_id, generation) on delete cascade
);
-- In the row: fetched from beside it, a vector costs six times as long as its distance.
alter table public.rag_document_vectors alter column embedding set storage main;
create index if not exists rag_document_vectors_tenant on public.rag_document_vectors (tenant_id, model);

-- Tags and topics, in small letters.
create table if not exists public.rag_document_labels (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  tenant_id text not null,
  label text not null,
  primary key (document_id, label)
);
create index if not exists rag_document_labels_label on public.rag_document_labels (tenant_id, label);

create table if not exists public.rag_document_names (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  tenant_id text not null,
  name text not null,
  primary key (document_id, name)
);
create index if not exists rag_document_names_name on public.rag_document_names (tenant_id, name);

create table if not exists public.rag_mentions (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  tenant_id text not null,
  -- Where it was mentioned: in the text, in metadata (after, depends_on, parent), by its path, in a heading.
  relation text not null check (relation in ('text', 'after', 'depends_on', 'parent', 'path', 'heading')),
  name text not null,
  -- How often in the text; how many folders up in a path.
  amount integer not null default 1,
  primary key (document_id, relation, name)
);
create index if not exists rag_mentions_name on public.rag_mentions (tenant_id, name, relation);

-- Finds the versions of a document.
create index if not exists rag_documents_versions on public.rag_documents (tenant_id, collection, md5(title))
  where version is not null;

-- A name as it stands in an index, whose entries are short.
create or replace function public.rag_name_key(p_name text) returns text
language sql immutable set search_path = '' as $$
  select case when octet_length(p_name) <= 500 then p_name
    else left(p_name, 100) || '#' || md5(p_name) end
$$;

-- Orders versions as people do: H-2 before H-10.
create or replace function public.rag_version_key(p_version text) returns text
language sql immutable set search_path = '' as $$
  select string_agg(case when m[1] ~ '^\d' then lpad(left(ltrim(m[1], '0'), 40), 40, '0') else lower(m[1]) end, ''
    order by o)
  from regexp_matches(left(p_version, 500), '\d+|\D+', 'g') with ordinality as r (m, o)
$$;

-- The name that a value of metadata means: with its type before it (task:7) as it stands; of an entity, another one of
-- its type; a document's id; else the external_id of a document in the same collection.
create or replace function public.rag_named_by(p_document public.rag_documents, p_value text) returns text
language sql immutable set search_path = '' as $$
  select public.rag_name_key(case
    when p_value like '%:%' then p_value
    when (p_document).kind = 'entity'
      then coalesce((p_document).metadata ->> 'entity_type', 'entity') || ':' || p_value
    when p_value ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then 'document:' || lower(p_value)
    else 'external:' || (p_document).collection || ':' || p_value end)
$$;

-- A title or heading as a name.
create or replace function public.rag_title_name(p_collection text, p_title text) returns text
language sql immutable set search_path = '' as $$
  select public.rag_name_key('title:' || p_collection || ':' || lower(regexp_replace(btrim(p_title), '\s+', ' ', 'g')))
$$;

-- Path without file ending, and the folder that it is the document of: guide.md is that of guide/, and so are
-- guide/index.md and guide/readme.md. null where there is no folder.
create or replace function public.rag_folder_of(p_uri text) returns text
language sql immutable set search_path = '' as $$
  select case when lower(s.stem) ~ '(^|/)(index|_index|readme)$' then nullif(regexp_replace(s.stem, '/?[^/]*$', ''), s.stem)
    else s.stem end
  from (select regexp_replace(p_uri, '\.[^./]*$', '') as stem) s
  where p_uri ~ '^(file|storage)://'
$$;

-- What a document answers to.
create or replace function public.rag_names_of(p_document public.rag_documents) returns table (name text)
language sql stable set search_path = '' as $$
  select distinct public.rag_name_key(n.name) from (
    select 'document:' || (p_document).id
    union all
    select case
      when (p_document).kind = 'entity' and (p_document).collection = 'cross_references' then (p_document).external_id
      when (p_document).kind = 'entity' then coalesce((p_document).metadata ->> 'entity_type', 'entity') || ':'
        || (p_document).external_id
      else 'external:' || (p_document).collection || ':' || (p_document).external_id end
    union all
    select (p_document).source_uri where (p_document).source_uri not like 'inline:%'
    union all
    select 'folder:' || (p_document).collection || ':' || public.rag_folder_of((p_document).source_uri)
    union all
    select public.rag_title_name((p_document).collection, (p_document).title)
    where length(btrim((p_document).title)) between 4 and 200
  ) n (name) where n.name is not null
$$;

-- Whom a document mentions. p_patterns: regular expressions with two groups, type and id. At most 1,000 different
-- names in its text, 100 headings, and eight folders up.
create or replace function public.rag_mentions_in(p_document public.rag_documents, p_patterns text[])
returns table (relation text, name text, amount integer)
language sql stable set search_path = '' as $$
  (select 'text', public.rag_name_key(m[1] || ':' || m[2]), least(count(*), 1000000)::integer
    from public.rag_segments s
    cross join unnest(p_patterns) p (pattern)
    cross join lateral regexp_matches(s.content, p.pattern, 'g') m
    where s.document_id = (p_document).id and s.generation = (p_document).live_generation
      and s.content ~ p.pattern and m[1] is not null and m[2] is not null
    group by 2 order by count(*) desc, 2 limit 1000)
  union all
  select f.key, public.rag_named_by(p_document, v.value), 1
  from (select e.key, case when jsonb_typeof(e.value) = 'array' then e.value else jsonb_build_array(e.value) end as list
    from jsonb_each((p_document).metadata) e where e.key in ('after', 'depends_on', 'parent')) f
  cross join lateral (select distinct t.value from jsonb_array_elements_text(f.list) t (value)
    where t.value ~ '\S' limit 100) v
  union all
  -- The document of the folder that this one lies in, or of one above it.
  select 'path', public.rag_name_key('folder:' || (p_document).collection || ':' || a.folder), a.level
  from (
    with recursive above as (
      select regexp_replace(public.rag_folder_of((p_document).source_uri), '/[^/]*$', '') as folder, 1 as level
      union all
      select regexp_replace(a.folder, '/[^/]*$', ''), a.level + 1 from above a where a.level < 8 and a.folder ~ '[^/:]/')
    select a.folder, min(a.level) as level from above a group by a.folder) a
  where a.folder is not null
  union all
  (select distinct 'heading', public.rag_title_name((p_document).collection, h.heading), 1
    from public.rag_segments s
    cross join lateral (select regexp_replace(s.section, '^.* > ', '') as heading) h
    where s.document_id = (p_document).id and s.generation = (p_document).live_generation
      and length(btrim(h.heading)) between 4 and 200
      and public.rag_title_name((p_document).collection, h.heading)
        is distinct from public.rag_title_name((p_document).collection, (p_document).title)
    limit 100)
$$;

-- The next older version: of the same tenant, collection, kind and title.
create or replace function public.rag_predecessor(p_document public.rag_documents) returns uuid
language sql stable set search_path = '' as $$
  select d.id from public.rag_documents d
  where d.tenant_id = (p_document).tenant_id and d.collection = (p_document).collection
    and md5(d.title) = md5((p_document).title) and d.version is not null
    and d.title = (p_document).title and d.kind = (p_document).kind and d.id <> (p_document).id
    and public.rag_version_key(d.version) collate "C" < public.rag_version_key((p_document).version) collate "C"
  order by public.rag_version_key(d.version) collate "C" desc, d.created_at desc limit 1
$$;

-- The next newer one.
create or replace function public.rag_successor(p_document public.rag_documents) returns uuid
language sql stable set search_path = '' as $$
  select d.id from public.rag_documents d
  where d.tenant_id = (p_document).tenant_id and d.collection = (p_document).collection
    and md5(d.title) = md5((p_document).title) and d.version is not null
    and d.title = (p_document).title and d.kind = (p_document).kind and d.id <> (p_document).id
    and public.rag_version_key(d.version) collate "C" > public.rag_version_key((p_document).version) collate "C"
  order by public.rag_version_key(d.version) collate "C", d.created_at limit 1
$$;

-- Every mention that a document answers to, as the relationship it states. Of the folders above a document the nearest
-- one that has a document is its parent. A heading that more than three documents have is nobody's parent: Introduction.
create or replace view public.rag_stated_links with (security_invoker = true) as
select m.tenant_id, m.document_id as mentioning_id, n.document_id as named_id,
  case m.relation when 'heading' then n.document_id else m.document_id end as source_id,
  case m.relation when 'heading' then m.document_id else n.document_id end as target_id,
  case when m.relation = 'text' then 'cross_reference'
    when m.relation in ('after', 'depends_on') then 'sequential_dependency'
    else 'conceptual_hierarchy' end as relationship_type,
  case m.relation when 'path' then power(0.9, m.amount) when 'heading' then 0.6 else 1 end::real as strength,
  jsonb_build_object('by', m.relation, 'name', m.name)
    || case when m.relation = 'text' then jsonb_build_object('mentions', m.amount)
      when m.relation = 'path' then jsonb_build_object('levels', m.amount) else '{}' end as evidence
from public.rag_mentions m
join public.rag_document_names n on n.tenant_id = m.tenant_id and n.name = m.name and n.document_id <> m.document_id
where (m.relation <> 'path' or not exists (
    select 1 from public.rag_mentions c join public.rag_document_names o
      on o.tenant_id = c.tenant_id and o.name = c.name and o.document_id <> c.document_id
    where c.document_id = m.document_id and c.relation = 'path' and c.amount < m.amount))
  and (m.relation <> 'heading' or (select count(*) from (select 1 from public.rag_mentions o
    where o.tenant_id = m.tenant_id and o.name = m.name and o.relation = 'heading' limit 4) h) <= 3);

-- Writes what these documents' mentions, names and versions state, and removes what they state no more; relationships
-- between two other documents stay as they are.
create or replace function public.rag_settle_stated(p_tenant text, p_documents uuid[]) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_stated jsonb;
  v_written integer;
  v_removed integer;
begin
  with given as materialized (
    select d as record, d.id from public.rag_documents d where d.id = any (p_documents) and d.tenant_id = p_tenant
  ), stated as (
    select l.source_id, l.target_id, l.relationship_type, l.strength, l.evidence from public.rag_stated_links l
    where l.tenant_id = p_tenant and l.mentioning_id = any (p_documents)
    union all
    select l.source_id, l.target_id, l.relationship_type, l.strength, l.evidence from public.rag_stated_links l
    where l.tenant_id = p_tenant and l.named_id = any (p_documents) and l.mentioning_id <> all (p_documents)
    union all
    select distinct v.newer, v.older, 'sequential_dependency', 0.9::real, '{"by": "version"}'::jsonb
    from (
      select g.id as newer, public.rag_predecessor(g.record) as older from given g
        where (g.record).version is not null
      union all
      select public.rag_successor(g.record), g.id from given g where (g.record).version is not null) v
    where v.newer is not null and v.older is not null)
  select coalesce(jsonb_agg(to_jsonb(e)), '[]') into v_stated from (
    select s.source_id, s.target_id, s.relationship_type, max(s.strength) as strength,
      jsonb_build_object('evidence', jsonb_agg(s.evidence order by s.strength desc, s.evidence::text)) as metadata
    from stated s group by 1, 2, 3) e;

  with stated as materialized (
    select * from jsonb_to_recordset(v_stated) as s(source_id uuid, target_id uuid, relationship_type text)
  ), gone as (
    delete from public.rag_relationships r
    where (r.source_id = any (p_documents) or r.target_id = any (p_documents))
      and r.relationship_type in ('cross_reference', 'sequential_dependency', 'conceptual_hierarchy')
      and not exists (select 1 from stated s where s.source_id = r.source_id and s.target_id = r.target_id
        and s.relationship_type = r.relationship_type)
    returning 1)
  select count(*) into v_removed from gone;
  with there as materialized (
    -- Who is being deleted this moment is not waited for.
    select d.id from public.rag_documents d
    where d.id in (select unnest(array[s.source_id, s.target_id])
      from jsonb_to_recordset(v_stated) as s(source_id uuid, target_id uuid))
    order by d.id for key share skip locked
  ), written as (
    insert into public.rag_relationships as r (tenant_id, source_id, target_id, relationship_type, strength, metadata)
    select p_tenant, s.source_id, s.target_id, s.relationship_type, s.strength, s.metadata
    from jsonb_to_recordset(v_stated) as s(source_id uuid, target_id uuid, relationship_type text, strength real,
      metadata jsonb)
    where s.source_id in (select t.id from there t) and s.target_id in (select t.id from there t)
    on conflict (source_id, target_id, relationship_type) do update
    set strength = excluded.strength, metadata = excluded.metadata, updated_at = now()
    where (r.strength, r.metadata) is distinct from (excluded.strength, excluded.metadata)
    returning 1)
  select count(*) into v_written from written;
  return jsonb_build_object('written', v_written, 'removed', v_removed);
end $$;

-- Whose stated relationships a document has a part in without being one of the two: who would have it for a parent by
-- its path, who is named by a heading as one of its own, and the next newer version.
create or replace function public.rag_stated_around(p_document public.rag_documents) returns uuid[]
language sql stable set search_path = '' as $$
  select coalesce(array_agg(distinct a.id), '{}') from (
    (select m.document_id as id from public.rag_document_names n
      join public.rag_mentions m on m.tenant_id = n.tenant_id and m.name = n.name and m.relation = 'path'
      where n.document_id = (p_document).id limit 5000)
    union all
    (select n.document_id from public.rag_mentions m
      join public.rag_document_names n on n.tenant_id = m.tenant_id and n.name = m.name
      where m.document_id = (p_document).id and m.relation = 'heading' limit 1000)
    union all
    select r.source_id from public.rag_relationships r
    where r.target_id = (p_document).id and r.relationship_type = 'sequential_dependency'
    union all
    select public.rag_successor(p_document) where (p_document).version is not null) a
  where a.id is not null and a.id <> (p_document).id
$$;

-- Called before a document is deleted: whom to settle when it is gone (rag_settle_stated).
create or replace function public.rag_related_through(p_document_id uuid) returns uuid[]
language sql stable set search_path = '' as $$
  select public.rag_stated_around(d) from public.rag_documents d where d.id = p_document_id
$$;

-- Called by applications. How a document relates to others of its tenant, the strongest first, at most p_limit (1,000).
-- direction: 'both' for the symmetric types, else 'out' (it refers, follows, lies below) or 'in'. With p_unresolved also
-- what it mentions and nobody answers to yet: document_id is null there, and reference the name. For those who may not
-- see all of a tenant, filter by what the documents say.
create or replace function public.rag_related(
  p_document_id uuid, p_types text[] default null, p_limit integer default 50, p_unresolved boolean default false)
returns table (relationship_type text, direction text, strength real, document_id uuid, title text, collection text,
  external_id text, source_uri text, reference text, metadata jsonb)
language plpgsql stable set search_path = '' set statement_timeout = '20s' as $$
begin
  return query
  select * from (
    select r.relationship_type, case when r.relationship_type in ('semantic_similarity', 'topical_relevance')
        then 'both' else 'out' end, r.strength, d.id, d.title, d.collection, d.external_id, d.source_uri,
      null::text, r.metadata
    from public.rag_relationships r join public.rag_documents d on d.id = r.target_id
    where r.source_id = p_document_id and (p_types is null or r.relationship_type = any (p_types))
    union all
    select r.relationship_type, 'in', r.strength, d.id, d.title, d.collection, d.external_id, d.source_uri,
      null::text, r.metadata
    from public.rag_relationships r join public.rag_documents d on d.id = r.source_id
    where r.target_id = p_document_id and (p_types is null or r.relationship_type = any (p_types))
      and r.relationship_type not in ('semantic_similarity', 'topical_relevance')
    union all
    select u.relationship_type, 'out', 0::real, null::uuid, null::text, null::text, null::text, null::text, u.name,
      jsonb_build_object('evidence', jsonb_build_array(jsonb_build_object('by', u.relation)))
    from (
      select m.name, m.relation, case when m.relation = 'text' then 'cross_reference' when m.relation = 'parent'
        then 'conceptual_hierarchy' else 'sequential_dependency' end as relationship_type
      from public.rag_mentions m
      where p_unresolved and m.document_id = p_document_id and m.relation in ('text', 'after', 'depends_on', 'parent')
        and not exists (select 1 from public.rag_document_names n
          where n.tenant_id = m.tenant_id and n.name = m.name)) u
    where p_types is null or u.relationship_type = any (p_types)) e (kind, way, how, id)
  order by e.how desc, e.kind, e.way, e.id
  limit greatest(0, least(p_limit, 1000));
end $$;

reset search_path;
