-- What searches by vector read. A live HNSW index costs every insert 2 to 5 ms of server time (200 to 470 rows a
-- second, whoever writes), so the chunks carry none. Their vectors are copied, outside the stage transaction, into
-- parts: tables of one model, half precision, two bytes a dimension, in the row and not beside it. A part is scanned
-- exactly (2 ms for 1,000 rows of 1,536 dimensions) until an index on a copy of it is ready, which then takes its
-- place: nothing that readers or writers use is ever locked for the time of a build. Many small parts become one.
--
-- At every moment each live chunk is in exactly one place that a search looks at: in one part that is not
-- retired, or in the tail (chunks of live generations from folded_below on).
set search_path = public, extensions;

create table if not exists public.rag_vector_parts (
  -- The rows are in rag_vectors_<part>.
  part bigint generated always as identity primary key,
  model text not null,
  dimensions integer not null check (dimensions between 1 and 4000),
  -- open: rows are added; full: none are, and its index is to be built; indexed; retired: its rows are elsewhere, and
  -- the table goes when no search can still be reading it.
  state text not null check (state in ('open', 'full', 'indexed', 'retired')),
  rows integer not null default 0,
  changed_at timestamptz not null default now()
);
create unique index if not exists rag_vector_parts_open on public.rag_vector_parts (model, dimensions)
  where state = 'open';

-- Only who may create tables in this schema can add a part, so the functions that make and drop them run with
-- their owner's rights; they can do nothing else, and service_role alone may call them.
create or replace function public.rag_add_part(p_model text, p_dimensions integer, p_state text) returns bigint
language plpgsql security definer set search_path = public, extensions, pg_temp as $$
declare
  v_part bigint;
  v_table text;
  v_role text;
begin
  insert into public.rag_vector_parts (model, dimensions, state) values (p_model, p_dimensions, p_state)
  returning part into v_part;
  v_table := format('public.rag_vectors_%s', v_part);
  execute format('create table %s (document_id uuid not null, generation integer not null, chunk_index integer not null,
    embedding halfvec(%s) not null, primary key (document_id, generation, chunk_index))', v_table, p_dimensions);
  -- In the row: fetched from beside it, a vector costs six times as long as its distance.
  execute format('alter table %s alter column embedding set storage plain', v_table);
  execute format('alter table %s enable row level security', v_table);
  execute format('revoke all on table %s from public', v_table);
  for v_role in select r.rolname from pg_catalog.pg_roles r where r.rolname in ('anon', 'authenticated')
  loop
    execute format('revoke all on table %s from %I', v_table, v_role);
  end loop;
  if exists (select 1 from pg_catalog.pg_roles r where r.rolname = 'service_role') then
    execute format('grant select, insert, delete on table %s to service_role', v_table);
  end if;
  return v_part;
end $$;

-- How many rows of a part are scanned exactly before an index pays: 20 ms of scanning at 1,536 dimensions.
create or replace function public.rag_rows_to_seal(p_dimensions integer) returns integer
language sql immutable set search_path = '' as $$ select greatest(10000, 15360000 / p_dimensions) $$;

-- How many rows an index build holds in so much memory: the vector, 32 neighbours of 16 bytes, and what stands around
-- them (pgvector, hnsw.h; m = 16). Beyond its memory a build slows down to the speed of single inserts. At most as many
-- as one search may look at (hnsw.max_scan_tuples), so that a filter always finds all it accepts.
create or replace function public.rag_rows_to_index(p_dimensions integer, p_memory_mb integer) returns integer
language sql immutable set search_path = '' as $$
  select greatest(1000, least(200000, p_memory_mb::bigint * 1048576 * 9 / 10 / (p_dimensions * 2 + 900)))::integer
$$;

-- Called by every replica when it has time. Copies vectors of live generations, oldest first, about p_limit chunks a
-- call, into the open part of their model; one replica at a time. Nothing is done below two thousand chunks, which
-- searches scan where they are. Drops what was retired. Answers {chunks, tail, build}: tail is whether more is
-- left, build whether an index should be built.
create or replace function public.rag_fold_vectors(p_limit integer, p_memory_mb integer) returns jsonb
language plpgsql set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_batch record;
  v_part public.rag_vector_parts;
  v_new bigint;
  v_chunks integer := 0;
  v_count integer;
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
        select g.document_id, g.generation, g.embedding_model, g.dimensions, g.chunk_count, g.created_at
        from public.rag_generations g
        where g.state = 'live' and not g.vectors_folded and g.dimensions <= 4000
        order by g.created_at limit least(p_limit, 500)
        -- Who deletes the generation waits until its copies can be seen, and deletes them too.
        for no key update skip locked
      ), summed as (
        select o.*, sum(o.chunk_count) over (order by o.created_at, o.document_id, o.generation) as so_far from oldest o)
      select s.embedding_model, s.dimensions, s.so_far <= p_limit as is_whole,
        array_agg(s.document_id) as documents, array_agg(s.generation) as generations
      from summed s where s.so_far - s.chunk_count < p_limit
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
    'tail', v_chunks >= p_limit,
    'build', public.rag_parts_to_build(p_memory_mb) is not null);
end $$;

-- The parts that should become one with an index, or null: the oldest full ones of a model; else four or more of its
-- small indexed ones; else one that has lost half of its rows. As many as one build holds in its memory.
create or replace function public.rag_parts_to_build(p_memory_mb integer) returns bigint[]
language sql stable set search_path = '' as $$
  with standing as (
    select p.part, p.model, p.dimensions, p.state, p.rows,
      greatest(0, p.rows - pg_catalog.pg_stat_get_tuples_deleted(to_regclass(format('public.rag_vectors_%s', p.part)))) as left_over,
      public.rag_rows_to_index(p.dimensions, p_memory_mb) as most
    from public.rag_vector_parts p where p.state in ('full', 'indexed')
  ), summed as (
    select s.*, sum(s.left_over) over (partition by s.model, s.dimensions, s.state order by s.left_over, s.part) as so_far,
      row_number() over (partition by s.model, s.dimensions, s.state order by s.left_over, s.part) as place
    from standing s
    -- An index of half of what a build can hold stays as it is.
    where s.state = 'full' or s.left_over < s.most / 2
  ), sets as (
    select array_agg(s.part) as parts, s.state, min(s.part) as first, count(*) as parts_count
    from summed s where s.so_far <= s.most or s.place = 1
    group by s.model, s.dimensions, s.state
    union all
    select array[s.part], 'shrunk', s.part, 1 from standing s
    where s.state = 'indexed' and s.left_over < s.rows / 2
  )
  select s.parts from sets s
  where s.state in ('full', 'shrunk') or s.parts_count >= 4
  order by s.state = 'full' desc, s.first limit 1
$$;

-- Called by one replica at a time while rag_fold_vectors says that there is something to build. Copies the rows of
-- some parts into one, indexes the copy, and puts it in their place: seconds to a minute, in which the parts serve as
-- before. A crash leaves everything as it was. Answers {state, rows, parts}; state is 'built', 'idle' or 'busy'.
create or replace function public.rag_build_vectors(p_memory_mb integer) returns jsonb
language plpgsql security definer set search_path = public, extensions, pg_temp set statement_timeout = '30min' as $$
declare
  v_sources bigint[];
  v_source bigint;
  v_part bigint;
  v_rows integer;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('rag_build_vectors', 0)) then
    return jsonb_build_object('state', 'busy', 'rows', 0, 'parts', 0);
  end if;
  v_sources := public.rag_parts_to_build(p_memory_mb);
  if v_sources is null then
    return jsonb_build_object('state', 'idle', 'rows', 0, 'parts', 0);
  end if;
  select public.rag_add_part(p.model, p.dimensions, 'indexed') into v_part
  from public.rag_vector_parts p where p.part = v_sources[1];
  foreach v_source in array v_sources
  loop
    execute format('insert into public.rag_vectors_%s select v.* from public.rag_vectors_%s v
      where exists (select 1 from public.rag_generations g where g.document_id = v.document_id
        and g.generation = v.generation and g.state <> ''dead'')', v_part, v_source);
  end loop;
  perform set_config('maintenance_work_mem', p_memory_mb || 'MB', true);
  -- One core is enough: the others belong to those who wait. Parallel builds also need shared memory, of which a
  -- container has 64 MB.
  perform set_config('max_parallel_maintenance_workers', '0', true);
  execute format('create index rag_vectors_%1$s_hnsw on public.rag_vectors_%1$s using hnsw (embedding halfvec_cosine_ops)',
    v_part);
  -- From here on nobody deletes, for some milliseconds: what was deleted since we copied goes from the copy too.
  perform pg_advisory_xact_lock(hashtextextended('rag_vector_parts', 0));
  execute format('delete from public.rag_vectors_%s v where not exists (select 1 from public.rag_generations g
    where g.document_id = v.document_id and g.generation = v.generation)', v_part);
  execute format('select count(*) from public.rag_vectors_%s', v_part) into v_rows;
  update public.rag_vector_parts p set state = 'retired', changed_at = clock_timestamp() where p.part = any(v_sources);
  update public.rag_vector_parts p
  set rows = v_rows, changed_at = clock_timestamp(), state = case when v_rows = 0 then 'retired' else 'indexed' end
  where p.part = v_part;
  return jsonb_build_object('state', 'built', 'rows', v_rows, 'parts', cardinality(v_sources));
end $$;

-- Called by an operator who does not want to wait: everything of a model that is live now is folded and indexed when it
-- returns, however little it is. Workers do the same by themselves, bit by bit. Answers how many rows have an index.
create or replace function public.rag_ensure_vector_index(
  p_model text, p_dimensions integer, p_memory_mb integer default 256) returns integer
language plpgsql security definer set search_path = public, extensions, pg_temp set statement_timeout = '30min' as $$
begin
  if p_dimensions > 4000 then
    raise exception 'pgvector indexes at most 4000 dimensions; searches of this model scan exactly.'
      using errcode = '22023';
  end if;
  perform pg_advisory_xact_lock(hashtextextended('rag_fold_vectors', 0));
  if not exists (select 1 from public.rag_vector_parts p
    where p.model = p_model and p.dimensions = p_dimensions and p.state = 'open') then
    perform public.rag_add_part(p_model, p_dimensions, 'open');
  end if;
  while (public.rag_fold_vectors(10000, p_memory_mb) ->> 'tail')::boolean loop
  end loop;
  update public.rag_vector_parts p set state = case when p.rows > 0 then 'full' else 'retired' end
  where p.model = p_model and p.dimensions = p_dimensions and p.state = 'open';
  while public.rag_build_vectors(p_memory_mb) ->> 'state' = 'built' loop
  end loop;
  return (select coalesce(sum(p.rows), 0) from public.rag_vector_parts p
    where p.model = p_model and p.dimensions = p_dimensions and p.state = 'indexed');
end $$;

-- A search that began before its part was retired has long ended after a minute.
create or replace function public.rag_drop_retired_parts() returns void
language plpgsql security definer set search_path = public, extensions, pg_temp set lock_timeout = '50ms' as $$
declare
  v_part bigint;
begin
  for v_part in
    select p.part from public.rag_vector_parts p
    where p.state = 'retired' and p.changed_at < now() - interval '1 minute'
  loop
    begin
      execute format('drop table if exists public.rag_vectors_%s', v_part);
      delete from public.rag_vector_parts p where p.part = v_part;
    exception when lock_not_available then
      null; -- Somebody still reads it; next time.
    end;
  end loop;
end $$;

-- The vectors of a generation go with it.
create or replace function public.rag_generations_after_delete() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_part bigint;
begin
  if not exists (select 1 from gone) then
    return null;
  end if;
  -- Not while a build puts its copy in place: it would keep what is deleted here.
  perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('rag_vector_parts', 0));
  for v_part in select p.part from public.rag_vector_parts p
  loop
    execute format('delete from public.rag_vectors_%s v using gone g
      where v.document_id = g.document_id and v.generation = g.generation', v_part);
  end loop;
  return null;
end $$;
create or replace trigger rag_generations_after_delete after delete on public.rag_generations
  referencing old table as gone for each statement execute function public.rag_generations_after_delete();

-- Part of rag_queue_stats: how much searches by vector scan exactly, and what is indexed.
-- tail_chunks counts at most 2,000 documents.
create or replace function public.rag_vector_figures() returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object(
    'tail_chunks', (select coalesce(sum(w.chunk_count), 0) from (select g.chunk_count from public.rag_generations g
      where g.state = 'live' and not g.vectors_folded limit 2000) w),
    'unindexed_rows', coalesce(sum(p.rows) filter (where p.state in ('open', 'full')), 0),
    'indexed_rows', coalesce(sum(p.rows) filter (where p.state = 'indexed'), 0),
    'indexes', count(*) filter (where p.state = 'indexed'))
  from public.rag_vector_parts p where p.state <> 'retired'
$$;

reset search_path;
