-- Stands for any migration to come, with everything that one may do: add to the busiest table, index it, let columns
-- hold more than before, and give a function one more argument. For that it is dropped and made again, for two of a
-- name would be ambiguous; every worker calls this one several times a second.
-- All tables first and at once: workers that hold one and want another are met for a moment only.
lock table public.rag_documents, public.rag_ingestion_queue in access exclusive mode;
alter table public.rag_ingestion_queue add column next_note text default 'next';
create index rag_queue_next_note on public.rag_ingestion_queue (next_note, submitted_at);

do $$
declare
  v_was regprocedure := 'public.rag_settle_and_claim'::regproc::oid::regprocedure;
  v_text text := pg_get_functiondef(v_was);
begin
  execute format('drop function %s', v_was);
  execute regexp_replace(v_text, '\)\s+RETURNS ', ', p_next text default null) RETURNS ');
end $$;

-- Kinds of jobs and of documents that no released worker knows.
do $$
declare
  v_check record;
begin
  for v_check in
    select conname, contypid::regtype as of_type from pg_constraint where contypid = 'public.rag_job_kind'::regtype
  loop
    execute format('alter domain %s drop constraint %I', v_check.of_type, v_check.conname);
  end loop;
  for v_check in
    select conname from pg_constraint
    where conrelid = 'public.rag_documents'::regclass and contype = 'c' and pg_get_constraintdef(oid) like '%kind%'
  loop
    execute format('alter table public.rag_documents drop constraint %I', v_check.conname);
  end loop;
end $$;
