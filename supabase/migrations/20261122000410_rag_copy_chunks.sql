-- The way of rows with vectors on a connection of one's own: open, COPY in binary form, close with the commit. Fifteen
-- times as fast as vectors in text. No lock is held while rows are on their way: no time limit of the server looks at
-- a COPY that waits for its client, so a worker that froze there would keep everybody from the job's row.
set search_path = public, extensions;

-- Called by the worker that holds the lease, as the first statement of a transaction that goes on with COPY into
-- rag_document_chunks and ends with rag_close_copy.
-- p_indexes: chunk_index of each row that is to be copied.
-- Answers {state, present: [chunk_index], dimensions, document_id, generation, tenant_id, tags, embedding_model,
-- transaction}: present are there already (sent twice, or a resumed generation) and must go through rag_close_copy, as
-- must rows whose vector has another length; nothing may be copied when pg_current_xact_id() is not `transaction`.
-- State is 'open' or 'lease_lost'.
create or replace function public.rag_open_copy(p_job_id uuid, p_lease_token bigint, p_indexes integer[])
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
  v_generation public.rag_generations;
  v_document public.rag_documents;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing';
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  -- Between COPY and close the rows are in the table, and the same rows of another worker wait for them.
  perform set_config('idle_in_transaction_session_timeout', '5s', true),
    set_config('application_name', 'rag copy', true);
  select * into v_generation from public.rag_generations g
  where g.document_id = v_job.document_id and g.generation = v_job.generation;
  select * into v_document from public.rag_documents d where d.id = v_job.document_id;
  return jsonb_build_object('state', 'open',
    'present', (
      select coalesce(jsonb_agg(c.chunk_index), '[]') from public.rag_document_chunks c
      where c.document_id = v_job.document_id and c.generation = v_job.generation and c.chunk_index = any(p_indexes)),
    'dimensions', v_generation.dimensions, 'document_id', v_job.document_id, 'generation', v_job.generation,
    'tenant_id', v_document.tenant_id, 'tags', v_document.tags, 'embedding_model', v_generation.embedding_model,
    'transaction', pg_current_xact_id()::text);
end $$;

-- Called by the worker that holds the lease, behind the COPY and in one message with the commit: locks and fences the
-- job's row, stores what did not go by COPY, and counts. A lost lease is raised (RG001), for what was copied must not be
-- committed; so is another transaction than the one that was opened.
-- p_chunks, p_progress: as for rag_stage_chunks. p_copied: how many rows went by COPY.
-- Answers as rag_stage_chunks does.
create or replace function public.rag_close_copy(p_job_id uuid, p_lease_token bigint, p_transaction text,
  p_chunks jsonb, p_copied integer, p_progress jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_answer jsonb := jsonb_build_object('stored', 0, 'reused', 0, 'missing', '[]'::jsonb);
  v_is_new boolean;
  v_processed integer;
begin
  perform 1 from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    raise exception 'The lease is lost.' using errcode = 'RG001';
  end if;
  if pg_current_xact_id_if_assigned()::text is distinct from p_transaction then
    raise exception 'The connection broke in the middle of a transaction.' using errcode = 'connection_failure';
  end if;
  if jsonb_array_length(p_chunks) > 0 then
    v_answer := public.rag_stage_chunks(p_job_id, p_lease_token, p_chunks, p_progress - 'tokens' - 'cost_usd');
  end if;
  v_is_new := p_copied > 0 or (v_answer ->> 'stored')::integer > 0;

  update public.rag_ingestion_queue q
  set stage = 'embedding',
      processed_chunks = q.processed_chunks + p_copied,
      processed_segments = greatest(q.processed_segments, (p_progress ->> 'processed_segments')::integer),
      -- A batch that is sent twice stores nothing the second time, and costs nothing.
      tokens = q.tokens + case when v_is_new then coalesce((p_progress ->> 'tokens')::bigint, 0) else 0 end,
      cost_usd = q.cost_usd
        + case when v_is_new then coalesce((p_progress ->> 'cost_usd')::numeric, 0) else 0 end,
      updated_at = now()
  where q.id = p_job_id
  returning q.processed_chunks into v_processed;
  return jsonb_build_object('state', 'staged', 'stored', (v_answer ->> 'stored')::integer + p_copied,
    'reused', v_answer -> 'reused', 'missing', v_answer -> 'missing', 'processed_chunks', v_processed);
end $$;

-- Called by the reaper. Ends sessions in the middle of a COPY whose worker has been frozen or out of reach for long (it
-- gives up itself after 20 s): they would hold back vacuum until somebody cuts their connection, for no time limit of
-- the server looks at a COPY that waits. Between COPY and close one does, the one that rag_open_copy sets; but a client
-- that says "the copy failed" after its end makes the server forget it, so that is looked at here too, and sooner, for
-- others wait for its rows. Answers how many were ended. Other roles' sessions are not ours to end.
create or replace function public.rag_end_abandoned_copies(p_older_than interval default '1 minute',
  p_idle_for interval default '5 seconds') returns integer
language sql volatile set search_path = '' as $$
  select coalesce(sum(pg_catalog.pg_terminate_backend(a.pid)::integer), 0)::integer
  from pg_catalog.pg_stat_activity a
  where a.application_name = 'rag copy' and a.datname = current_database() and a.usename = current_user
    and (a.xact_start < clock_timestamp() - p_older_than
      or a.state = 'idle in transaction' and a.state_change < clock_timestamp() - p_idle_for)
$$;

reset search_path;
