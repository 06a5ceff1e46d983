-- Questions about documents on their way through batches at the provider (000630 has the batches themselves, and whose
-- turn it is). A question names its document and its prompt by hash, so that the document's text is kept once for all of
-- them, and goes with the document.

create table if not exists public.rag_analysis_prompts (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  prefix_sha256 text not null,
  content text not null,
  created_at timestamptz not null default now(),
  primary key (document_id, prefix_sha256)
);

create table if not exists public.rag_analysis_requests (
  -- What the provider calls it by.
  id uuid primary key default gen_random_uuid(),
  document_id uuid not null,
  prefix_sha256 text not null,
  plan text not null,
  -- group_sha256, or 'document'.
  name text not null,
  tenant_id text not null,
  model text not null,
  -- The rest of the question: {of, suffix, chunks, shared, maxTokens}.
  question jsonb not null,
  -- waiting for a batch, in one, or answered.
  state text not null default 'waiting' check (state in ('waiting', 'submitted', 'done')),
  batch_id uuid references public.rag_llm_batches (id) on delete set null,
  tries integer not null default 0,
  -- What was said, checked; null with the code of why not.
  said jsonb,
  code text,
  input_tokens bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  cache_read_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cost_usd numeric(14, 8) not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (document_id, prefix_sha256, plan, name),
  foreign key (document_id, prefix_sha256)
    references public.rag_analysis_prompts (document_id, prefix_sha256) on delete cascade
);
create index if not exists rag_analysis_requests_batch on public.rag_analysis_requests (batch_id)
  where state = 'submitted';
create index if not exists rag_analysis_requests_waiting on public.rag_analysis_requests (model, document_id)
  where state = 'waiting';

-- Called by the worker that holds the lease. p_questions: [{name, question}] about one prompt; p_prefix its text, null to
-- ask only. Questions that are not known are taken in where the text is given.
-- Answers {state, done: [{name, said, code, tokens by kind, cost_usd}], pending, unknown}: counts, and what was said.
-- State is 'answered' or 'lease_lost'.
create or replace function public.rag_want_analyses(p_job_id uuid, p_lease_token bigint, p_plan text, p_model text,
  p_prefix_hash text, p_prefix text, p_questions jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_job public.rag_ingestion_queue;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  update public.rag_ingestion_queue q set stage = 'analysing', updated_at = now() where q.id = p_job_id;
  if p_prefix is not null then
    insert into public.rag_analysis_prompts (document_id, prefix_sha256, content)
    values (v_job.document_id, p_prefix_hash, p_prefix)
    on conflict do nothing;
    insert into public.rag_analysis_requests (document_id, prefix_sha256, plan, name, tenant_id, model, question)
    select v_job.document_id, p_prefix_hash, p_plan, g.name, v_job.tenant_id, p_model, g.question
    from jsonb_to_recordset(p_questions) as g(name text, question jsonb)
    on conflict do nothing;
  end if;
  return (
    select jsonb_build_object('state', 'answered',
      'done', coalesce(jsonb_agg(jsonb_build_object('name', r.name, 'said', r.said, 'code', r.code,
        'input_tokens', r.input_tokens, 'cache_write_tokens', r.cache_write_tokens,
        'cache_read_tokens', r.cache_read_tokens, 'output_tokens', r.output_tokens, 'cost_usd', r.cost_usd))
        filter (where r.state = 'done'), '[]'),
      'pending', count(*) filter (where r.state in ('waiting', 'submitted')),
      'unknown', count(*) filter (where r.id is null))
    from jsonb_to_recordset(p_questions) as g(name text)
    left join public.rag_analysis_requests r on r.document_id = v_job.document_id
      and r.prefix_sha256 = p_prefix_hash and r.plan = p_plan and r.name = g.name);
end $$;

-- Called by every replica that analyses in batches, now and then, as rag_take_llm_turn for texts: gives the turn to one
-- of them for p_seconds; tidies up what nobody waits for.
-- Answers {mine, batches: [{id, state, model, provider_batch_id, inputs, age_seconds, wanted}], waiting, oldest_seconds,
-- failed_seconds}.
create or replace function public.rag_take_analysis_turn(p_worker text, p_provider text, p_seconds integer)
returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
begin
  if not public.rag_hold_llm_turn(p_worker, p_provider, 'analyses', p_seconds) then
    return jsonb_build_object('mine', false);
  end if;
  delete from public.rag_analysis_prompts p
  where (p.document_id, p.prefix_sha256) in (
    select o.document_id, o.prefix_sha256 from public.rag_analysis_prompts o
    where o.created_at < now() - interval '1 minute'
      and not exists (select 1 from public.rag_analysis_requests r where r.document_id = o.document_id
        and r.prefix_sha256 = o.prefix_sha256 and r.state = 'submitted')
      and not exists (select 1 from public.rag_ingestion_queue q
        where q.document_id = o.document_id and q.status in ('queued', 'processing'))
    limit 1000);
  return jsonb_build_object('mine', true,
    'batches', (select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'state', b.state, 'model', b.model,
        'provider_batch_id', b.provider_batch_id, 'inputs', b.inputs,
        'age_seconds', extract(epoch from now() - b.created_at),
        'wanted', exists (select 1 from public.rag_analysis_requests r
          join public.rag_ingestion_queue q on q.document_id = r.document_id and q.status in ('queued', 'processing')
          where r.batch_id = b.id and r.state = 'submitted')) order by b.created_at), '[]')
      from (select * from public.rag_llm_batches
        where provider = p_provider and kind = 'analyses' and state <> 'ended' order by created_at limit 100) b),
    'waiting', (select count(*) from (
      select 1 from public.rag_analysis_requests where state = 'waiting' limit 50000) w),
    'oldest_seconds', (select extract(epoch from now() - min(r.updated_at)) from (
      select updated_at from public.rag_analysis_requests where state = 'waiting' limit 50000) r),
    'failed_seconds', (select extract(epoch from now() - max(b.ended_at)) from public.rag_llm_batches b
      where b.provider = p_provider and b.kind = 'analyses' and b.state = 'ended' and b.outcome = 'failed'
        and b.ended_at > now() - interval '1 day'));
end $$;

-- Called by the replica whose turn it is. Puts waiting questions into a new batch, those about one document together:
-- at most p_limit, and prompts of at most p_bytes. waiting -> submitted. Answers {id, inputs}; id null when none waits.
create or replace function public.rag_fill_analysis_batch(
  p_worker text, p_provider text, p_model text, p_limit integer, p_bytes bigint) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_id uuid := gen_random_uuid();
  v_count integer;
begin
  perform 1 from public.rag_llm_turns u
  where u.provider = p_provider and u.kind = 'analyses' and u.worker_id = p_worker and u.until >= now()
  for update;
  if not found then
    return jsonb_build_object('id', null, 'inputs', 0);
  end if;
  insert into public.rag_llm_batches (id, provider, kind, model) values (v_id, p_provider, 'analyses', p_model);
  update public.rag_analysis_requests r
  set state = 'submitted', batch_id = v_id, tries = r.tries + 1, updated_at = now()
  where r.id in (
    select w.id from (
      select o.id, row_number() over s as place, sum(octet_length(p.content) + octet_length(o.question::text)) over s
        as bytes
      from (select * from public.rag_analysis_requests where state = 'waiting' and model = p_model
        order by document_id, prefix_sha256, created_at limit least(p_limit, 10000)) o
      join public.rag_analysis_prompts p on p.document_id = o.document_id and p.prefix_sha256 = o.prefix_sha256
      window s as (order by o.document_id, o.prefix_sha256, o.created_at, o.id)) w
    where w.place = 1 or w.bytes <= p_bytes);
  get diagnostics v_count = row_count;
  if v_count = 0 then
    delete from public.rag_llm_batches where id = v_id;
    return jsonb_build_object('id', null, 'inputs', 0);
  end if;
  update public.rag_llm_batches set inputs = v_count where id = v_id;
  return jsonb_build_object('id', v_id, 'inputs', v_count);
end $$;

-- Called by the replica whose turn it is. Answers {requests: [{id, prefix_sha256, question}], prompts: {sha256: text}} of
-- a batch behind p_after, at most p_limit (100) in order of id.
create or replace function public.rag_read_analysis_batch(p_batch uuid, p_after uuid, p_limit integer) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  with page as (
    select r.* from public.rag_analysis_requests r
    where r.batch_id = p_batch and r.state = 'submitted' and (p_after is null or r.id > p_after)
    order by r.id limit least(p_limit, 100))
  select jsonb_build_object(
    'requests', (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'prefix_sha256', r.prefix_sha256,
      'question', r.question) order by r.id), '[]') from page r),
    'prompts', (select coalesce(jsonb_object_agg(p.prefix_sha256, p.content), '{}')
      from public.rag_analysis_prompts p
      where (p.document_id, p.prefix_sha256) in (select r.document_id, r.prefix_sha256 from page r)))
$$;

-- Called by the replica whose turn it is. The questions of a batch by id, for what came back: [{id, question}].
create or replace function public.rag_find_analysis_requests(p_batch uuid, p_ids uuid[]) returns jsonb
language sql stable set search_path = '' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'question', r.question)), '[]')
  from public.rag_analysis_requests r where r.batch_id = p_batch and r.id = any (p_ids)
$$;

-- Called by the replica whose turn it is, with a part of what came back. p_results: [{id, said, code, tokens by kind,
-- cost_usd, again}]: submitted -> done; with again (a question with other limits) -> waiting, if it was in fewer than two
-- batches. What it cost is booked in the same moment. Sent twice, it changes nothing. Answers {stored, tokens, cost_usd}.
create or replace function public.rag_store_analysis_results(p_batch uuid, p_worker text, p_results jsonb)
returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_answer jsonb;
begin
  with stored as (
    update public.rag_analysis_requests r
    set state = case when g.again is not null and r.tries < 2 then 'waiting' else 'done' end,
        question = case when r.tries < 2 then coalesce(g.again, r.question) else r.question end,
        said = g.said, code = g.code, input_tokens = r.input_tokens + g.input_tokens,
        cache_write_tokens = r.cache_write_tokens + g.cache_write_tokens,
        cache_read_tokens = r.cache_read_tokens + g.cache_read_tokens,
        output_tokens = r.output_tokens + g.output_tokens, cost_usd = r.cost_usd + g.cost_usd, updated_at = now()
    from jsonb_to_recordset(p_results) as g(id uuid, said jsonb, code text, input_tokens bigint,
      cache_write_tokens bigint, cache_read_tokens bigint, output_tokens bigint, cost_usd numeric, again jsonb)
    where r.id = g.id and r.batch_id = p_batch and r.state = 'submitted'
    returning r.tenant_id, r.model,
      g.input_tokens + g.cache_write_tokens + g.cache_read_tokens + g.output_tokens as tokens, g.cost_usd
  ), booked as (
    select s.*, public.rag_book_cost(p_worker, s.tenant_id, s.model, s.tokens, s.cost_usd)
    from (select tenant_id, model, sum(tokens)::bigint as tokens, sum(cost_usd) as cost_usd, count(*) as answers
      from stored group by 1, 2) s)
  select jsonb_build_object('stored', coalesce(sum(b.answers), 0), 'tokens', coalesce(sum(b.tokens), 0),
    'cost_usd', coalesce(sum(b.cost_usd), 0)) into v_answer from booked b;
  return v_answer;
end $$;

-- Called by the replica whose turn it is, when all that came back is stored. -> ended. Questions without an answer wait
-- for the next batch, or are done without one after three; jobs that wait for any of them are due now.
-- Sent twice, it changes nothing. Answers {again, failed, jobs}.
create or replace function public.rag_end_analysis_batch(
  p_batch uuid, p_outcome text, p_detail text, p_tokens bigint, p_cost_usd numeric) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_again integer;
  v_failed integer;
  v_jobs integer;
begin
  if not public.rag_close_llm_batch(p_batch, p_outcome, p_detail, p_tokens, p_cost_usd) then
    return jsonb_build_object('again', 0, 'failed', 0, 'jobs', 0);
  end if;
  with left_over as (
    update public.rag_analysis_requests r
    set state = case when r.tries >= 3 and p_outcome <> 'cancelled' then 'done' else 'waiting' end,
        code = case when r.tries >= 3 and p_outcome <> 'cancelled' then 'analyse.bad-answer' end, updated_at = now()
    where r.batch_id = p_batch and r.state = 'submitted'
    returning r.state)
  select count(*) filter (where l.state = 'waiting'), count(*) filter (where l.state = 'done')
  into v_again, v_failed from left_over l;
  update public.rag_ingestion_queue q set run_at = now()
  where q.id in (
    select o.id from public.rag_ingestion_queue o
    where o.status = 'queued' and o.position is null and o.run_at > now() and o.error_code = 'analyse.batch-pending'
      and exists (select 1 from public.rag_analysis_requests r
        where r.document_id = o.document_id and r.batch_id = p_batch)
    for update skip locked);
  get diagnostics v_jobs = row_count;
  return jsonb_build_object('again', v_again, 'failed', v_failed, 'jobs', v_jobs);
end $$;
