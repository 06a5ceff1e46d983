-- The way of a document from bytes to live chunks. Every function names job and token; a stale worker is told
-- lease_lost and changes nothing.
set search_path = public, extensions;

-- Called by the worker that holds the lease, when it knows the content.
-- p_plan: {content_sha256, byte_size, media_type, embedding_model, dimensions, strategy, chunk_size,
-- chunk_overlap, plan}; content_sha256 null for a transcript: its segments are hashed and copied here.
-- Answers {state, generation, segments, segments_complete, staged}; state is
--   'begun', 'resumed' (an unfinished generation of the same content and plan goes on),
--   'unchanged' (the live generation is of the same content and plan: only completing is left),
--   'lease_lost', 'model_mismatch' (with model and dimensions of the live one),
--   'no_segments', 'empty_segment' (with seq).
create or replace function public.rag_begin_generation(p_job_id uuid, p_lease_token bigint, p_plan jsonb)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_document public.rag_documents;
  v_generation public.rag_generations;
  v_model public.rag_models;
  v_sha text := p_plan ->> 'content_sha256';
  v_seq integer;
  v_staged integer;
begin
  perform 1 from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  select d.* into v_document from public.rag_documents d
  join public.rag_ingestion_queue q on q.document_id = d.id where q.id = p_job_id
  -- Not a full lock: an application's open transaction that added a row for this document must not stop us.
  for no key update of d;

  -- A model is what the stored vectors are of: one that was named but never stored a vector binds nobody.
  delete from public.rag_models m
  where m.state = 'live'
    and (m.model, m.dimensions) <> (p_plan ->> 'embedding_model', (p_plan ->> 'dimensions')::integer)
    and not exists (select 1 from public.rag_document_chunks c where c.embedding_model = m.model);
  insert into public.rag_models (model, dimensions)
  select p_plan ->> 'embedding_model', (p_plan ->> 'dimensions')::integer
  where not exists (select 1 from public.rag_models m where m.state = 'live')
  on conflict do nothing;
  select * into v_model from public.rag_models m where m.state = 'live';
  if v_model.model <> p_plan ->> 'embedding_model'
    or v_model.dimensions <> (p_plan ->> 'dimensions')::integer then
    return jsonb_build_object('state', 'model_mismatch', 'model', v_model.model, 'dimensions', v_model.dimensions);
  end if;

  if v_sha is null then
    select s.seq into v_seq from public.rag_segments s
    where s.document_id = v_document.id and s.generation = 0 and s.content !~ '\S'
    order by s.seq limit 1;
    if v_seq is not null then
      return jsonb_build_object('state', 'empty_segment', 'seq', v_seq);
    end if;
    select encode(sha256(convert_to(coalesce(string_agg(concat_ws(chr(31), s.seq, s.speaker, s.started_ms,
      s.ended_ms, s.section, s.page_number, s.content), chr(30) order by s.seq), ''), 'UTF8')), 'hex'), count(*)
    into v_sha, v_seq
    from public.rag_segments s where s.document_id = v_document.id and s.generation = 0;
    if v_seq = 0 then
      return jsonb_build_object('state', 'no_segments');
    end if;
  end if;

  select * into v_generation from public.rag_generations g
  where g.document_id = v_document.id and g.generation = v_document.live_generation
    and g.content_sha256 = v_sha and g.embedding_model = v_model.model and g.plan = p_plan ->> 'plan';
  if found then
    update public.rag_ingestion_queue q
    set generation = v_generation.generation, stage = 'completing',
        total_segments = v_generation.segment_count, processed_segments = v_generation.segment_count,
        total_chunks = v_generation.chunk_count, processed_chunks = v_generation.chunk_count,
        reused_chunks = v_generation.chunk_count, updated_at = now()
    where q.id = p_job_id;
    return jsonb_build_object('state', 'unchanged', 'generation', v_generation.generation,
      'segments', v_generation.segment_count, 'segments_complete', true, 'staged', v_generation.chunk_count);
  end if;

  select * into v_generation from public.rag_generations g
  where g.document_id = v_document.id and g.state = 'staging'
    and g.generation > coalesce(v_document.live_generation, 0)
    and g.content_sha256 = v_sha and g.embedding_model = v_model.model and g.plan = p_plan ->> 'plan'
  order by g.generation desc limit 1;
  if not found then
    insert into public.rag_generations (document_id, generation, content_sha256, embedding_model, dimensions,
      strategy, chunk_size, chunk_overlap, plan)
    select v_document.id,
      coalesce((select max(g.generation) from public.rag_generations g where g.document_id = v_document.id), 0) + 1,
      v_sha, v_model.model, v_model.dimensions, p_plan ->> 'strategy', (p_plan ->> 'chunk_size')::integer,
      (p_plan ->> 'chunk_overlap')::integer, p_plan ->> 'plan'
    returning * into v_generation;
    if p_plan ->> 'content_sha256' is null then
      insert into public.rag_segments
      select s.document_id, v_generation.generation, s.seq, s.content, s.page_number, s.section, s.speaker,
        s.started_ms, s.ended_ms
      from public.rag_segments s where s.document_id = v_document.id and s.generation = 0;
      update public.rag_generations g set segments_complete = true, segment_count = v_seq
      where g.document_id = v_document.id and g.generation = v_generation.generation
      returning * into v_generation;
    end if;
    v_staged := 0;
  else
    select count(*) into v_staged from public.rag_document_chunks c
    where c.document_id = v_document.id and c.generation = v_generation.generation;
  end if;

  update public.rag_documents d
  set status = case when v_generation.segments_complete then 'parsed' else 'pending' end, updated_at = now(),
      byte_size = coalesce((p_plan ->> 'byte_size')::bigint, d.byte_size),
      media_type = coalesce(p_plan ->> 'media_type', d.media_type)
  where d.id = v_document.id;
  update public.rag_ingestion_queue q
  set generation = v_generation.generation, stage = 'parsing', processed_chunks = v_staged, total_chunks = null,
      reused_chunks = 0, processed_segments = 0,
      total_segments = case when v_generation.segments_complete then v_generation.segment_count end,
      updated_at = now()
  where q.id = p_job_id;
  return jsonb_build_object(
    'state', case when v_staged > 0 or v_generation.segment_count > 0 and p_plan ->> 'content_sha256' is not null
      then 'resumed' else 'begun' end,
    'generation', v_generation.generation, 'segments', v_generation.segment_count,
    'segments_complete', v_generation.segments_complete, 'staged', v_staged);
end $$;

-- Called by the worker that holds the lease, a batch at a time. p_segments: [{seq, content, page_number,
-- section, speaker, started_ms, ended_ms}]; p_complete with the last batch: the document counts as parsed.
-- Sent twice, it changes nothing. Answers 'staged' or 'lease_lost'.
create or replace function public.rag_stage_segments(
  p_job_id uuid, p_lease_token bigint, p_segments jsonb, p_complete boolean, p_media_type text) returns text
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_job public.rag_ingestion_queue;
  v_count integer;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return 'lease_lost';
  end if;
  insert into public.rag_segments (document_id, generation, seq, content, page_number, section, speaker,
    started_ms, ended_ms)
  select v_job.document_id, v_job.generation, s.seq, s.content, s.page_number, s.section, s.speaker,
    s.started_ms, s.ended_ms
  from jsonb_to_recordset(p_segments) as s(seq integer, content text, page_number integer, section text,
    speaker text, started_ms bigint, ended_ms bigint)
  -- A resumed generation is read again; where it reads differently, the later reading counts.
  on conflict (document_id, generation, seq) do update
  set content = excluded.content, page_number = excluded.page_number, section = excluded.section,
      speaker = excluded.speaker, started_ms = excluded.started_ms, ended_ms = excluded.ended_ms
  where (public.rag_segments.content, public.rag_segments.page_number, public.rag_segments.section)
    is distinct from (excluded.content, excluded.page_number, excluded.section);
  if p_complete and jsonb_array_length(p_segments) > 0 then
    delete from public.rag_segments s
    where s.document_id = v_job.document_id and s.generation = v_job.generation
      and s.seq > (select max((e.value ->> 'seq')::integer) from jsonb_array_elements(p_segments) e);
  end if;
  select count(*) into v_count from public.rag_segments s
  where s.document_id = v_job.document_id and s.generation = v_job.generation;
  update public.rag_generations g
  set segment_count = v_count, segments_complete = g.segments_complete or p_complete
  where g.document_id = v_job.document_id and g.generation = v_job.generation
  returning g.segment_count into v_count;
  update public.rag_ingestion_queue q
  set total_segments = v_count, updated_at = now()
  where q.id = p_job_id;
  if p_complete then
    update public.rag_documents d
    -- What was declared stays: it is a hint for the next version too.
    set status = 'parsed', media_type = coalesce(d.media_type, p_media_type), updated_at = now()
    where d.id = v_job.document_id;
  end if;
  return 'staged';
end $$;

-- Called by the pipeline when a generation's segments are in the database already.
-- Answers an array of segments in order of seq, at most p_limit (1,000).
create or replace function public.rag_read_segments(
  p_document_id uuid, p_generation integer, p_after_seq integer, p_limit integer) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select coalesce(jsonb_agg(to_jsonb(s) - array['document_id', 'generation'] order by s.seq), '[]')
  from (
    select * from public.rag_segments s
    where s.document_id = p_document_id and s.generation = p_generation and s.seq > p_after_seq
    order by s.seq limit least(p_limit, 1000)) s
$$;

-- Called by the worker that holds the lease, before it pays for a batch. p_chunks: [{chunk_index, embed_sha256}].
-- Answers {state, staged: [chunk_index], known: [embed_sha256]}: staged are in this generation already, known
-- have a vector of this model somewhere, which rag_stage_chunks copies. State is 'answered' or 'lease_lost'.
create or replace function public.rag_reuse_vectors(p_job_id uuid, p_lease_token bigint, p_chunks jsonb)
returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
  v_model text;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing';
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  select g.embedding_model into v_model from public.rag_generations g
  where g.document_id = v_job.document_id and g.generation = v_job.generation;
  return jsonb_build_object(
    'state', 'answered',
    'staged', (
      select coalesce(jsonb_agg(a.chunk_index), '[]')
      from jsonb_to_recordset(p_chunks) as a(chunk_index integer, embed_sha256 text)
      join public.rag_document_chunks c on c.document_id = v_job.document_id
        and c.generation = v_job.generation and c.chunk_index = a.chunk_index
        and c.embed_sha256 = a.embed_sha256),
    'known', (
      select coalesce(jsonb_agg(distinct a.embed_sha256), '[]')
      from jsonb_to_recordset(p_chunks) as a(chunk_index integer, embed_sha256 text)
      where exists (
        select 1 from public.rag_document_chunks c
        where c.embed_sha256 = a.embed_sha256 and c.embedding_model = v_model)));
end $$;

-- Called by the worker that holds the lease, a batch at a time: lock, fence, rows and progress in one go.
-- p_chunks: rows of rag_document_chunks with embedding as a string; without one, the vector that the model has
-- for the same embed_sha256 is copied. p_progress: {processed_segments, tokens, cost_usd, total_chunks}.
-- Sent twice, it changes nothing. Answers {state, stored, reused, missing: [chunk_index], processed_chunks}:
-- missing had no vector to copy after all. State is 'staged' or 'lease_lost'.
create or replace function public.rag_stage_chunks(
  p_job_id uuid, p_lease_token bigint, p_chunks jsonb, p_progress jsonb) returns jsonb
language plpgsql set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_job public.rag_ingestion_queue;
  v_generation public.rag_generations;
  v_stored integer;
  v_reused integer;
  v_missing jsonb;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  select * into v_generation from public.rag_generations g
  where g.document_id = v_job.document_id and g.generation = v_job.generation;

  with given as materialized (
    select c.*, coalesce(c.embedding::vector, k.embedding) as vector_to_store, c.embedding is null as is_copy
    from jsonb_to_recordset(p_chunks) as c(chunk_index integer, content text, content_sha256 text,
      embed_sha256 text, char_start integer, char_end integer, token_count integer, page_number integer,
      section text, speaker text, started_ms bigint, ended_ms bigint, segment_from integer,
      segment_to integer, embed_prefix text, embedding text)
    left join lateral (
      select o.embedding from public.rag_document_chunks o
      where c.embedding is null and o.embed_sha256 = c.embed_sha256
        and o.embedding_model = v_generation.embedding_model
      limit 1) k on true
  ), stored as (
    insert into public.rag_document_chunks (document_id, generation, chunk_index, tenant_id, content,
      content_sha256, embed_sha256, char_start, char_end, char_count, token_count, page_number, section, speaker,
      started_ms, ended_ms, segment_from, segment_to, tags, embed_prefix, embedding, embedding_model)
    select v_job.document_id, v_job.generation, g.chunk_index, d.tenant_id, g.content, g.content_sha256,
      g.embed_sha256, g.char_start, g.char_end, g.char_end - g.char_start, g.token_count, g.page_number,
      g.section, g.speaker, g.started_ms, g.ended_ms, g.segment_from, g.segment_to, d.tags,
      coalesce(g.embed_prefix, ''), g.vector_to_store, v_generation.embedding_model
    from given g, public.rag_documents d
    where d.id = v_job.document_id and g.vector_to_store is not null
      and vector_dims(g.vector_to_store) = v_generation.dimensions
    -- Sent twice it changes nothing; a resumed generation that was cut differently is corrected.
    on conflict (document_id, generation, chunk_index) do update
    set content = excluded.content, content_sha256 = excluded.content_sha256,
        embed_sha256 = excluded.embed_sha256, char_start = excluded.char_start, char_end = excluded.char_end,
        char_count = excluded.char_count, token_count = excluded.token_count,
        page_number = excluded.page_number, section = excluded.section, speaker = excluded.speaker,
        started_ms = excluded.started_ms, ended_ms = excluded.ended_ms, segment_from = excluded.segment_from,
        segment_to = excluded.segment_to, embed_prefix = excluded.embed_prefix, embedding = excluded.embedding
    where (public.rag_document_chunks.embed_sha256, public.rag_document_chunks.char_start,
        public.rag_document_chunks.section)
      is distinct from (excluded.embed_sha256, excluded.char_start, excluded.section)
    returning chunk_index
  )
  select count(s.chunk_index), count(s.chunk_index) filter (where g.is_copy),
    coalesce(jsonb_agg(g.chunk_index) filter (where g.vector_to_store is null
      or vector_dims(g.vector_to_store) <> v_generation.dimensions), '[]')
  into v_stored, v_reused, v_missing
  from given g left join stored s on s.chunk_index = g.chunk_index;

  update public.rag_ingestion_queue q
  set stage = 'embedding',
      processed_chunks = q.processed_chunks + v_stored,
      reused_chunks = q.reused_chunks + v_reused,
      processed_segments = greatest(q.processed_segments, (p_progress ->> 'processed_segments')::integer),
      total_chunks = coalesce((p_progress ->> 'total_chunks')::integer, q.total_chunks),
      -- A batch that is sent twice stores nothing the second time, and costs nothing.
      tokens = q.tokens + case when v_stored > 0 then coalesce((p_progress ->> 'tokens')::bigint, 0) else 0 end,
      cost_usd = q.cost_usd
        + case when v_stored > 0 then coalesce((p_progress ->> 'cost_usd')::numeric, 0) else 0 end,
      updated_at = now()
  where q.id = p_job_id
  returning q.processed_chunks into v_job.processed_chunks;
  return jsonb_build_object('state', 'staged', 'stored', v_stored, 'reused', v_reused, 'missing', v_missing,
    'processed_chunks', v_job.processed_chunks);
end $$;

-- Called by the worker that holds the lease. processing -> complete, and in the same statement the generation
-- goes live: readers see the whole old document before it and the whole new one after it.
-- p_chunks, p_segments: how many the worker cut; another number in the database means that something is
-- missing, and nothing goes live.
-- Answers {state, chunks, reused, tokens, cost_usd}; state is 'complete' (also when sent twice), 'incomplete'
-- or 'lease_lost'.
create or replace function public.rag_complete_job(
  p_job_id uuid, p_lease_token bigint, p_chunks integer, p_segments integer) returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
  v_stored integer;
  v_live integer;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status in ('processing', 'complete')
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  if v_job.status = 'processing' and v_job.kind = 'document' then
    select d.live_generation into v_live from public.rag_documents d where d.id = v_job.document_id
    for no key update;
    -- What an earlier run cut beyond this one's end is not part of the document.
    delete from public.rag_document_chunks c
    where c.document_id = v_job.document_id and c.generation = v_job.generation
      and v_job.generation is distinct from v_live and c.chunk_index >= p_chunks;
    select count(*) into v_stored from public.rag_document_chunks c
    where c.document_id = v_job.document_id and c.generation = v_job.generation;
    if v_job.generation is null or v_stored <> p_chunks or v_job.generation < coalesce(v_live, 0) then
      -- The next run starts afresh: what is wrong with this generation would stay wrong.
      update public.rag_generations g set state = 'dead'
      where g.document_id = v_job.document_id and g.generation = v_job.generation and g.state = 'staging';
      return jsonb_build_object('state', 'incomplete', 'chunks', v_stored);
    end if;
    update public.rag_generations g set state = 'live', chunk_count = v_stored, segment_count = p_segments
    where g.document_id = v_job.document_id and g.generation = v_job.generation;
    update public.rag_generations g set state = 'dead'
    where g.document_id = v_job.document_id and g.generation < v_job.generation and g.state <> 'dead';
    update public.rag_documents d
    set live_generation = v_job.generation, status = 'ingested', ingested_at = now(), updated_at = now(),
        content_sha256 = (select g.content_sha256 from public.rag_generations g
          where g.document_id = v_job.document_id and g.generation = v_job.generation)
    where d.id = v_job.document_id;
  end if;
  if v_job.status = 'processing' then
    update public.rag_ingestion_queue q
    set status = 'complete', stage = null, total_chunks = p_chunks, processed_chunks = p_chunks,
        total_segments = p_segments, processed_segments = p_segments,
        error_code = null, error_detail = null, updated_at = now(), completed_at = now()
    where q.id = p_job_id
    returning * into v_job;
  end if;
  return jsonb_build_object('state', 'complete', 'chunks', v_job.processed_chunks, 'reused', v_job.reused_chunks,
    'tokens', v_job.tokens, 'cost_usd', v_job.cost_usd);
end $$;

reset search_path;
