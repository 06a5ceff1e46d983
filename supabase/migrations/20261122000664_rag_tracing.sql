-- What a worker asks that traces its jobs; nobody else pays for it, for a claim does not carry it.

-- Called by workers with OTEL_EXPORTER_OTLP_ENDPOINT, once for the jobs that came together (at most 1,000).
-- Answers {job_id: traceparent} of those that were enqueued with one.
create or replace function public.rag_trace_parents(p_job_ids uuid[]) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' set enable_seqscan = off as $$
  select coalesce(jsonb_object_agg(q.id, q.traceparent), '{}')
  from public.rag_ingestion_queue q
  where q.id = any (p_job_ids[1:1000]) and q.traceparent is not null
$$;
