-- Chunks that the embedding provider refused: one bad text costs only itself, and is recorded, never dropped in
-- silence. Readers of a document that went live without them find here what is missing, and where it stands.

create table if not exists public.rag_rejected_chunks (
  document_id uuid not null,
  generation integer not null,
  chunk_index integer not null check (chunk_index >= 0),
  -- The job that met it last.
  job_id uuid not null,
  code text not null,
  -- The provider's reason, without any of the document's text.
  detail text not null,
  page_number integer,
  section text,
  char_start integer not null,
  char_end integer not null,
  embed_sha256 text not null,
  rejected_at timestamptz not null default now(),
  primary key (document_id, generation, chunk_index),
  foreign key (document_id, generation)
    references public.rag_generations (document_id, generation) on delete cascade
);

-- Called by the worker that holds the lease, as soon as it knows. p_chunks: [{chunk_index, code, detail, page_number,
-- section, char_start, char_end, embed_sha256}]. Sent twice, it changes nothing.
-- Answers {state, rejected}: how many of this generation are recorded; state is 'recorded' or 'lease_lost'.
create or replace function public.rag_reject_chunks(p_job_id uuid, p_lease_token bigint, p_chunks jsonb)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
  v_rejected integer;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  insert into public.rag_rejected_chunks as r (document_id, generation, chunk_index, job_id, code, detail, page_number,
    section, char_start, char_end, embed_sha256)
  select v_job.document_id, v_job.generation, g.chunk_index, v_job.id, g.code, left(g.detail, 1000), g.page_number,
    g.section, g.char_start, g.char_end, g.embed_sha256
  from jsonb_to_recordset(p_chunks) as g(chunk_index integer, code text, detail text, page_number integer,
    section text, char_start integer, char_end integer, embed_sha256 text)
  on conflict (document_id, generation, chunk_index) do update
  set job_id = excluded.job_id, code = excluded.code, detail = excluded.detail, page_number = excluded.page_number,
      section = excluded.section, char_start = excluded.char_start, char_end = excluded.char_end,
      embed_sha256 = excluded.embed_sha256, rejected_at = now();
  select count(*) into v_rejected from public.rag_rejected_chunks r
  where r.document_id = v_job.document_id and r.generation = v_job.generation and r.job_id = v_job.id;
  update public.rag_ingestion_queue q set rejected_chunks = v_rejected, updated_at = now() where q.id = p_job_id;
  return jsonb_build_object('state', 'recorded', 'rejected', v_rejected);
end $$;
