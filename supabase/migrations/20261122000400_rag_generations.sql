-- The way of a document from bytes to live chunks. Every function names job and token; a stale worker is told
-- lease_lost and changes nothing.
set search_path = public, extensions;

-- The model of a plan {embedding_model, dimensions, quantisation}, as workers name theirs when they claim.
create or replace function public.rag_identity_of(p_plan jsonb) returns text
language sql immutable set search_path = '' as $$
  select concat_ws('/', p_plan ->> 'embedding_model', (p_plan ->> 'dimensions')::integer,
    coalesce(p_plan ->> 'quantisation', 'none'))
$$;

-- The model under which a job may store vectors: the live one, which a first document decides; for a job that embeds
-- again also the next one. null when the plan's is another.
create or replace function public.rag_bind_model(p_plan jsonb, p_kind text) returns public.rag_models
language plpgsql set search_path = '' as $$
declare
  v_identity text := public.rag_identity_of(p_plan);
  v_model public.rag_models;
begin
  if p_kind = 'reembed' then
    select * into v_model from public.rag_models m where m.identity = v_identity and m.state in ('next', 'live');
    return v_model;
  end if;
  select * into v_model from public.rag_models m where m.state = 'live';
  if v_model.identity = v_identity then
    return v_model;
  end if;
  -- A model is what the stored vectors are of: one that was named but never stored a vector binds nobody.
  delete from public.rag_models m
  where m.state = 'live' and m.identity <> v_identity
    and not exists (select 1 from public.rag_document_chunks c where c.embedding_model = m.name);
  update public.rag_models m
  set state = 'live', swept = true, serves_until = null
  where m.identity = v_identity and not exists (select 1 from public.rag_models l where l.state = 'live');
  insert into public.rag_models (model, dimensions, quantisation)
  select p_plan ->> 'embedding_model', (p_plan ->> 'dimensions')::integer, coalesce(p_plan ->> 'quantisation', 'none')
  where not exists (select 1 from public.rag_models l where l.state = 'live')
  on conflict do nothing;
  select * into v_model from public.rag_models m where m.identity = v_identity and m.state = 'live';
  return v_model;
end $$;

-- Called by the worker that holds the lease, when it knows the content.
-- p_plan: {content_sha256, byte_size, media_type, embedding_model, dimensions, quantisation, strategy, chunk_size,
-- chunk_overlap, plan}; content_sha256 null for a transcript, whose segments are hashed and copied here, and for a
-- job that embeds again, which copies those of the live generation.
-- Answers {state, generation, model, segments, segments_complete, staged, former}, model being what its chunks call it,
-- former the {generation, chunks} of the same plan that serves now (null for none: rag_read_seams); state is
--   'begun', 'resumed' (an unfinished generation of the same content and plan goes on),
--   'unchanged' (a generation of the same content and plan serves already: only completing is left),
--   'lease_lost', 'model_mismatch' (with model, dimensions and quantisation of the live one),
--   'model_closing' (for a few seconds nothing is begun, so that a change of models can end),
--   'twin' (another worker embeds the same content for another document: its vectors will be there in a moment),
--   'no_segments', 'empty_segment' (with seq).
create or replace function public.rag_begin_generation(p_job_id uuid, p_lease_token bigint, p_plan jsonb)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_kind text;
  v_document public.rag_documents;
  v_generation public.rag_generations;
  v_model public.rag_models;
  -- The generation that this one may turn out to be equal to, and whose segments are read.
  v_serving integer;
  v_segments_of integer := 0;
  v_copies boolean := p_plan ->> 'content_sha256' is null;
  v_sha text := p_plan ->> 'content_sha256';
  v_seq integer;
  v_staged integer;
  v_former jsonb;
begin
  select q.kind into v_kind from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  select d.* into v_document from public.rag_documents d
  join public.rag_ingestion_queue q on q.document_id = d.id where q.id = p_job_id
  -- Not a full lock: an application's open transaction that added a row for this document must not stop us.
  for no key update of d;

  v_model := public.rag_bind_model(p_plan, v_kind);
  if v_model.name is null then
    select * into v_model from public.rag_models m where m.state = 'live';
    return jsonb_build_object('state', 'model_mismatch', 'model', v_model.model, 'dimensions', v_model.dimensions,
      'quantisation', v_model.quantisation);
  end if;
  if v_kind = 'document' and exists (select 1 from public.rag_models m
    where m.state = 'next' and m.closing_since > now() - interval '2 minutes') then
    return jsonb_build_object('state', 'model_closing');
  end if;
  if v_model.state = 'live' and v_document.other_model = v_model.name then
    -- The walk after a switch has not come to this document yet.
    perform public.rag_adopt_documents(array[v_document.id], v_model.name);
    select * into v_document from public.rag_documents d where d.id = v_document.id;
  end if;

  v_serving := v_document.live_generation;
  if v_kind = 'reembed' then
    select * into v_generation from public.rag_generations g
    where g.document_id = v_document.id and g.generation = v_document.live_generation;
    if not found or v_generation.embedding_model = v_model.name then
      -- Nothing is live, or it is of this model already.
      return jsonb_build_object('state', 'unchanged', 'generation', 0, 'model', v_model.name, 'segments', 0,
        'segments_complete', true, 'staged', 0);
    end if;
    v_copies := true;
    v_sha := v_generation.content_sha256;
    v_segments_of := v_generation.generation;
    v_serving := case when v_document.other_model = v_model.name then v_document.other_generation end;
  elsif v_copies then
    select s.seq into v_seq from public.rag_segments s
    where s.document_id = v_document.id and s.generation = 0 and s.content !~ '\S'
    order by s.seq limit 1;
    if v_seq is not null then
      return jsonb_build_object('state', 'empty_segment', 'seq', v_seq);
    end if;
    select encode(sha256(convert_to(coalesce(string_agg(concat_ws(chr(31), s.seq, s.speaker, s.started_ms,
      s.ended_ms, s.section, s.page_number, s.content), chr(30) order by s.seq), ''), 'UTF8')), 'hex')
    into v_sha
    from public.rag_segments s where s.document_id = v_document.id and s.generation = 0;
  end if;
  if v_copies and not exists (select 1 from public.rag_segments s
    where s.document_id = v_document.id and s.generation = v_segments_of) then
    return jsonb_build_object('state', 'no_segments');
  end if;

  select * into v_generation from public.rag_generations g
  where g.document_id = v_document.id and g.generation = v_serving
    and g.content_sha256 = v_sha and g.embedding_model = v_model.name and g.plan = p_plan ->> 'plan';
  if found then
    update public.rag_generations g set source_generation = v_segments_of
    where v_kind = 'reembed' and g.document_id = v_document.id and g.generation = v_serving;
    update public.rag_ingestion_queue q
    set generation = v_generation.generation, stage = 'completing',
        total_segments = v_generation.segment_count, processed_segments = v_generation.segment_count,
        total_chunks = v_generation.chunk_count, processed_chunks = v_generation.chunk_count,
        reused_chunks = v_generation.chunk_count, updated_at = now()
    where q.id = p_job_id;
    return jsonb_build_object('state', 'unchanged', 'generation', v_generation.generation, 'model', v_model.name,
      'segments', v_generation.segment_count, 'segments_complete', true, 'staged', v_generation.chunk_count);
  end if;

  -- Within a process equal texts are sent once; two replicas would pay for each of them twice. Who claimed first goes on.
  if exists (
    select 1 from public.rag_generations g
    join public.rag_ingestion_queue o on o.document_id = g.document_id and o.generation = g.generation
    join public.rag_ingestion_queue q on q.id = p_job_id
    where g.state = 'staging' and g.content_sha256 = v_sha and g.document_id <> v_document.id
      and g.embedding_model = v_model.name and g.plan = p_plan ->> 'plan'
      and o.status = 'processing' and o.lease_token < q.lease_token and o.worker_id <> q.worker_id) then
    return jsonb_build_object('state', 'twin');
  end if;

  select jsonb_build_object('generation', g.generation, 'chunks', g.chunk_count) into v_former
  from public.rag_generations g
  where g.document_id = v_document.id and g.generation = v_serving and g.embedding_model = v_model.name
    and g.plan = p_plan ->> 'plan';

  select * into v_generation from public.rag_generations g
  where g.document_id = v_document.id and g.state = 'staging'
    and g.generation > coalesce(v_serving, 0)
    and g.content_sha256 = v_sha and g.embedding_model = v_model.name and g.plan = p_plan ->> 'plan'
    and (g.source_generation is null) = (v_kind = 'document')
  order by g.generation desc limit 1;
  if not found then
    insert into public.rag_generations (document_id, generation, content_sha256, embedding_model, dimensions,
      strategy, chunk_size, chunk_overlap, plan)
    select v_document.id,
      coalesce((select max(g.generation) from public.rag_generations g where g.document_id = v_document.id), 0) + 1,
      v_sha, v_model.name, v_model.dimensions, p_plan ->> 'strategy', (p_plan ->> 'chunk_size')::integer,
      (p_plan ->> 'chunk_overlap')::integer, p_plan ->> 'plan'
    returning * into v_generation;
    if v_copies then
      insert into public.rag_segments
      select s.document_id, v_generation.generation, s.seq, s.content, s.page_number, s.section, s.speaker,
        s.started_ms, s.ended_ms
      from public.rag_segments s where s.document_id = v_document.id and s.generation = v_segments_of;
      get diagnostics v_seq = row_count;
      update public.rag_generations g set segments_complete = true, segment_count = v_seq
      where g.document_id = v_document.id and g.generation = v_generation.generation
      returning * into v_generation;
    end if;
    v_staged := 0;
  else
    select count(*) into v_staged from public.rag_document_chunks c
    where c.document_id = v_document.id and c.generation = v_generation.generation;
  end if;

  if v_kind = 'reembed' then
    -- The document goes on serving as it is; what changes it meanwhile is told by the generation that is live then.
    update public.rag_generations g set source_generation = v_segments_of
    where g.document_id = v_document.id and g.generation = v_generation.generation;
  else
    update public.rag_documents d
    set status = case when v_generation.segments_complete then 'parsed' else 'pending' end, updated_at = now(),
        byte_size = coalesce((p_plan ->> 'byte_size')::bigint, d.byte_size),
        media_type = coalesce(p_plan ->> 'media_type', d.media_type)
    where d.id = v_document.id;
  end if;
  update public.rag_ingestion_queue q
  set generation = v_generation.generation, stage = 'parsing', processed_chunks = v_staged, total_chunks = null,
      reused_chunks = 0, rejected_chunks = 0, processed_segments = 0,
      total_segments = case when v_generation.segments_complete then v_generation.segment_count end,
      updated_at = now()
  where q.id = p_job_id;
  return jsonb_build_object(
    'state', case when v_staged > 0 or v_generation.segment_count > 0 and not v_copies
      then 'resumed' else 'begun' end,
    'generation', v_generation.generation, 'model', v_model.name, 'segments', v_generation.segment_count,
    'segments_complete', v_generation.segments_complete, 'staged', v_staged, 'former', v_former);
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

-- Called by the pipeline when a document's text has changed. How p_limit chunks of a generation begin from p_first on
-- (at most 1,000), each by 40 characters behind what it repeats of the one before, so that the new text can be cut
-- in the same places. Shorter ones are left out. Answers an array of texts.
create or replace function public.rag_read_seams(
  p_document_id uuid, p_generation integer, p_first integer, p_limit integer) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select coalesce(jsonb_agg(t.seam), '[]')
  from (
    select c.chunk_index, left(ltrim(substr(c.content,
      greatest(lag(c.char_end) over (order by c.chunk_index) - c.char_start, 0) + 1), E' \t\r\n'), 40) as seam
    from public.rag_document_chunks c
    where c.document_id = p_document_id and c.generation = p_generation
      and c.chunk_index >= p_first - 1 and c.chunk_index < p_first + least(p_limit, 1000)) t
  where t.chunk_index >= p_first and length(t.seam) = 40
$$;

-- Called by the worker that holds the lease, before it pays for a batch. p_chunks: [{chunk_index, embed_sha256}].
-- Answers {state, staged: [chunk_index], known: [embed_sha256]}: staged are in this generation already, known
-- have a vector of this model somewhere, which rag_stage_chunks copies. State is 'answered' or 'lease_lost'.
create or replace function public.rag_reuse_vectors(p_job_id uuid, p_lease_token bigint, p_chunks jsonb)
returns jsonb
-- A session that met the table while it was small would scan it for every batch ever after, hence enable_seqscan; and
-- each text is looked up by itself, for a plan made then would also join with all of a table that has grown since.
language plpgsql stable set search_path = '' set enable_seqscan = off set jit = off as $$
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
      where a.embed_sha256 = (
        select c.embed_sha256 from public.rag_document_chunks c
        where c.document_id = v_job.document_id and c.generation = v_job.generation
          and c.chunk_index = a.chunk_index)),
    'known', (
      select coalesce(jsonb_agg(distinct a.embed_sha256), '[]')
      from jsonb_to_recordset(p_chunks) as a(chunk_index integer, embed_sha256 text)
      where (
        select true from public.rag_document_chunks c
        where c.embed_sha256 = a.embed_sha256 and c.embedding_model = v_model limit 1)));
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

-- What stands behind a document's generations is settled when one of them serves: others that can no longer go live
-- are dead. p_next is the model that is being changed to, null for none: what of it is under way goes on.
create or replace function public.rag_bury_older(p_document public.rag_documents, p_generation integer, p_next text)
returns void
language plpgsql volatile set search_path = '' as $$
begin
  update public.rag_generations g set state = 'dead'
  where g.document_id = p_document.id and g.generation < p_generation and g.state <> 'dead'
    and g.generation is distinct from p_document.other_generation
    and not (g.state = 'staging' and g.embedding_model is not distinct from p_next);
end $$;

-- Called by the worker that holds the lease. processing -> complete, and in the same statement the generation
-- goes live: readers see the whole old document before it and the whole new one after it. While the model is being
-- changed, a document that goes live is queued to be embedded again.
-- p_chunks, p_segments: how many the worker cut; p_rejected: how many of the chunks it leaves out, each recorded in
-- rag_rejected_chunks. Other numbers in the database mean that something is missing, and nothing goes live.
-- p_relate: what went live is queued to be related to other documents.
-- Answers {state, chunks, reused, rejected, tokens, cost_usd}; state is 'complete' (also when sent twice), 'incomplete',
-- 'model_mismatch' (its model is no longer the live one, nor the next: nothing goes live) or 'lease_lost'.
create or replace function public.rag_complete_job(
  p_job_id uuid, p_lease_token bigint, p_chunks integer, p_segments integer, p_rejected integer default 0,
  p_relate boolean default false)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
  v_document public.rag_documents;
  v_generation public.rag_generations;
  v_stored integer;
  v_rejected integer := 0;
  v_serving integer;
  v_live_model text;
  v_next_model text;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status in ('processing', 'complete')
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  if v_job.status = 'processing' and (v_job.kind = 'document'
    or v_job.kind = 'reembed' and v_job.generation is not null) then
    select * into v_document from public.rag_documents d where d.id = v_job.document_id
    for no key update;
    -- Held until the end of this transaction: a switch either waits for us, or we see it.
    select m.name into v_next_model from public.rag_models m where m.state = 'next' for share;
    select m.name into v_live_model from public.rag_models m where m.state = 'live';
    select * into v_generation from public.rag_generations g
    where g.document_id = v_job.document_id and g.generation = v_job.generation;
    if v_generation.embedding_model <> v_live_model
      and (v_job.kind = 'document' or v_generation.embedding_model is distinct from v_next_model) then
      return jsonb_build_object('state', 'model_mismatch');
    end if;
    v_serving := case when v_job.kind = 'document' then v_document.live_generation
      when v_document.other_model = v_generation.embedding_model then v_document.other_generation end;
    -- What an earlier run cut beyond this one's end is not part of the document.
    delete from public.rag_document_chunks c
    where c.document_id = v_job.document_id and c.generation = v_job.generation
      and v_job.generation is distinct from v_serving and c.chunk_index >= p_chunks;
    select count(*) into v_stored from public.rag_document_chunks c
    where c.document_id = v_job.document_id and c.generation = v_job.generation;
    if v_job.generation is distinct from v_serving then
      -- What an earlier run could not embed may have a vector by now.
      delete from public.rag_rejected_chunks r
      where r.document_id = v_job.document_id and r.generation = v_job.generation
        and (r.chunk_index >= p_chunks or exists (
          select 1 from public.rag_document_chunks c where c.document_id = r.document_id
            and c.generation = r.generation and c.chunk_index = r.chunk_index));
      select count(*) into v_rejected from public.rag_rejected_chunks r
      where r.document_id = v_job.document_id and r.generation = v_job.generation;
    end if;
    if v_job.generation is null or v_rejected <> p_rejected or v_stored + v_rejected <> p_chunks
      or v_job.generation < coalesce(v_serving, 0) then
      -- The next run starts afresh: what is wrong with this generation would stay wrong.
      update public.rag_generations g set state = 'dead'
      where g.document_id = v_job.document_id and g.generation = v_job.generation and g.state = 'staging';
      return jsonb_build_object('state', 'incomplete', 'chunks', v_stored);
    end if;
    update public.rag_generations g set state = 'live', chunk_count = v_stored, segment_count = p_segments
    where g.document_id = v_job.document_id and g.generation = v_job.generation;
    if v_job.kind = 'document' then
      perform public.rag_bury_older(v_document, v_job.generation, v_next_model);
      update public.rag_documents d
      set live_generation = v_job.generation, status = 'ingested', ingested_at = now(), updated_at = now(),
          content_sha256 = v_generation.content_sha256, replaced_by = null
      where d.id = v_job.document_id;
      if v_document.other_model is distinct from v_next_model
        or v_document.other_source is distinct from v_job.generation then
        perform public.rag_enqueue_reembedding(array[v_document.id]) where v_next_model is not null;
      end if;
    else
      perform public.rag_serve_beside(v_document, v_generation, v_live_model);
    end if;
    if p_relate then
      perform public.rag_queue_relationships(v_job.document_id, v_job.priority);
    end if;
  end if;
  if v_job.status = 'processing' then
    update public.rag_ingestion_queue q
    set status = 'complete', stage = null, total_chunks = p_chunks, processed_chunks = p_chunks,
        rejected_chunks = v_rejected, total_segments = p_segments, processed_segments = p_segments,
        error_code = null, error_detail = null, updated_at = now(), completed_at = now()
    where q.id = p_job_id
    returning * into v_job;
  end if;
  return jsonb_build_object('state', 'complete', 'chunks', v_job.processed_chunks, 'reused', v_job.reused_chunks,
    'rejected', v_job.rejected_chunks, 'tokens', v_job.tokens, 'cost_usd', v_job.cost_usd);
end $$;

reset search_path;
