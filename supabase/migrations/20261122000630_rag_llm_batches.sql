-- Batches at a provider that answers within a day at a lower price. Everything that must survive a restart is here:
-- which texts are wanted by which jobs, which batch they went into, and what came back. One replica has the turn to
-- submit and to look; the others only want texts and read vectors.
set search_path = public, extensions;

create table if not exists public.rag_llm_batches (
  id uuid primary key default gen_random_uuid(),
  provider text not null,
  -- What is asked for; each kind has a table of inputs of its own.
  kind text not null check (kind in ('embeddings', 'analyses')),
  model text not null,
  -- filling: its inputs are chosen, and the provider may or may not have heard of it yet.
  state text not null default 'filling' check (state in ('filling', 'submitted', 'ended')),
  -- As the provider calls how it ended: completed, failed, expired or cancelled.
  outcome text,
  provider_batch_id text,
  inputs integer not null default 0,
  tokens bigint not null default 0,
  cost_usd numeric(14, 8) not null default 0,
  error_detail text,
  created_at timestamptz not null default now(),
  submitted_at timestamptz,
  ended_at timestamptz
);
create index if not exists rag_llm_batches_open on public.rag_llm_batches (provider, kind) where state <> 'ended';
create index if not exists rag_llm_batches_ended on public.rag_llm_batches (provider, kind, ended_at)
  where state = 'ended';

-- Whose turn it is to submit and to look.
create table if not exists public.rag_llm_turns (
  provider text not null,
  kind text not null,
  worker_id text not null,
  until timestamptz not null,
  primary key (provider, kind)
);

-- A text on its way to a vector; goes when a chunk has the vector, or a week later.
create table if not exists public.rag_batch_texts (
  id bigint generated always as identity primary key,
  model text not null,
  dimensions integer not null,
  embed_sha256 text not null,
  content text not null,
  -- Who wanted it first, and pays.
  tenant_id text not null,
  -- waiting for a batch, in one, or answered.
  state text not null default 'waiting' check (state in ('waiting', 'submitted', 'done', 'failed')),
  batch_id uuid references public.rag_llm_batches (id) on delete set null,
  tries integer not null default 0,
  embedding vector,
  error_detail text,
  tokens bigint not null default 0,
  -- The job whose figures say what it cost.
  charged_job uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (model, dimensions, embed_sha256)
);
create index if not exists rag_batch_texts_batch on public.rag_batch_texts (batch_id) where state = 'submitted';
create index if not exists rag_batch_texts_waiting on public.rag_batch_texts (id) where state = 'waiting';

create table if not exists public.rag_batch_wants (
  job_id uuid not null references public.rag_ingestion_queue (id) on delete cascade,
  text_id bigint not null references public.rag_batch_texts (id) on delete cascade,
  primary key (job_id, text_id)
);
create index if not exists rag_batch_wants_text on public.rag_batch_wants (text_id);

-- Called by the worker that holds the lease, a batch of chunks at a time. p_texts: [{embed_sha256, content}], content
-- null to ask only. Texts that are not known are taken in where their content is given, and the job wants them all.
-- Answers {state, done, pending, unknown, failed: [{embed_sha256, says}]}: counts, and the hashes in unknown whose
-- content is to be sent. A failed one is told once and forgotten, so that another try sends it again. State is
-- 'answered' or 'lease_lost'.
create or replace function public.rag_want_texts(
  p_job_id uuid, p_lease_token bigint, p_model text, p_dimensions integer, p_texts jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_job public.rag_ingestion_queue;
  v_answer jsonb;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for no key update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  insert into public.rag_batch_texts (model, dimensions, embed_sha256, content, tenant_id)
  select distinct on (g.embed_sha256) p_model, p_dimensions, g.embed_sha256, g.content, v_job.tenant_id
  from jsonb_to_recordset(p_texts) as g(embed_sha256 text, content text) where g.content is not null
  -- In one order, so that two jobs that want the same texts do not wait for each other in a circle.
  order by g.embed_sha256
  on conflict do nothing;
  insert into public.rag_batch_wants (job_id, text_id)
  select p_job_id, t.id
  from (select distinct g.embed_sha256 from jsonb_to_recordset(p_texts) as g(embed_sha256 text)) g
  join public.rag_batch_texts t on t.model = p_model and t.dimensions = p_dimensions
    and t.embed_sha256 = g.embed_sha256
  on conflict do nothing;
  select jsonb_build_object('state', 'answered',
    'done', count(*) filter (where t.state = 'done'),
    'pending', count(*) filter (where t.state in ('waiting', 'submitted')),
    'unknown', coalesce(jsonb_agg(g.embed_sha256) filter (where t.id is null), '[]'),
    'failed', coalesce(jsonb_agg(jsonb_build_object('embed_sha256', g.embed_sha256, 'says', t.error_detail))
      filter (where t.state = 'failed'), '[]'))
  into v_answer
  from (select distinct g.embed_sha256 from jsonb_to_recordset(p_texts) as g(embed_sha256 text)) g
  left join public.rag_batch_texts t on t.model = p_model and t.dimensions = p_dimensions
    and t.embed_sha256 = g.embed_sha256;
  delete from public.rag_batch_texts t using jsonb_to_recordset(p_texts) as g(embed_sha256 text)
  where t.model = p_model and t.dimensions = p_dimensions and t.embed_sha256 = g.embed_sha256 and t.state = 'failed';
  return v_answer;
end $$;

-- Called by the worker that holds the lease, for texts that are all done. Answers {state, vectors: [{embed_sha256,
-- embedding, tokens}]}; tokens is 0 where another job's figures say them. State is 'answered' or 'lease_lost'.
create or replace function public.rag_take_batch_vectors(
  p_job_id uuid, p_lease_token bigint, p_model text, p_dimensions integer, p_hashes text[]) returns jsonb
language plpgsql set search_path = public, extensions set statement_timeout = '20s' as $$
begin
  perform 1 from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing';
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  update public.rag_batch_texts t set charged_job = p_job_id
  where t.model = p_model and t.dimensions = p_dimensions and t.embed_sha256 = any (p_hashes)
    and t.state = 'done' and t.charged_job is null;
  return jsonb_build_object('state', 'answered', 'vectors', (
    select coalesce(jsonb_agg(jsonb_build_object('embed_sha256', t.embed_sha256, 'embedding', t.embedding::text,
      'tokens', case when t.charged_job = p_job_id then t.tokens else 0 end)), '[]')
    from public.rag_batch_texts t
    where t.model = p_model and t.dimensions = p_dimensions and t.embed_sha256 = any (p_hashes)
      and t.state = 'done'));
end $$;

-- Whether the turn is the worker's now, for p_seconds: it was, or nobody's.
create or replace function public.rag_hold_llm_turn(p_worker text, p_provider text, p_kind text, p_seconds integer)
returns boolean
language plpgsql set search_path = '' as $$
begin
  insert into public.rag_llm_turns as u (provider, kind, worker_id, until)
  values (p_provider, p_kind, p_worker, now() + make_interval(secs => p_seconds))
  on conflict (provider, kind) do update set worker_id = excluded.worker_id, until = excluded.until
  where u.worker_id = p_worker or u.until < now();
  return found;
end $$;

-- Called by every replica that uses batches, now and then. Gives the turn to one of them for p_seconds, and tells it
-- what there is to do; tidies up: texts that nobody wants any more, and vectors that chunks have by now.
-- Answers {mine, batches: [{id, state, model, provider_batch_id, inputs, wanted}], waiting, oldest_seconds,
-- failed_seconds}: wanted is false when every job that wanted an input of it has ended; waiting texts are counted up
-- to 50,000; failed_seconds since a batch last failed as a whole, null when none did within a day.
create or replace function public.rag_take_llm_turn(
  p_worker text, p_provider text, p_kind text, p_seconds integer) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
begin
  if not public.rag_hold_llm_turn(p_worker, p_provider, p_kind, p_seconds) then
    return jsonb_build_object('mine', false);
  end if;
  delete from public.rag_batch_wants w using public.rag_ingestion_queue q
  where q.id = w.job_id and q.status in ('complete', 'failed', 'cancelled');
  delete from public.rag_batch_texts t
  where t.id in (
    select o.id from public.rag_batch_texts o
    where not exists (select 1 from public.rag_batch_wants w where w.text_id = o.id)
      and (o.state = 'waiting'
        or o.state in ('done', 'failed') and (o.updated_at < now() - interval '7 days'
          or exists (select 1 from public.rag_document_chunks c
            where c.embed_sha256 = o.embed_sha256 and c.embedding_model = o.model)))
    limit 10000);
  return jsonb_build_object('mine', true,
    'batches', (select coalesce(jsonb_agg(jsonb_build_object('id', b.id, 'state', b.state, 'model', b.model,
        'provider_batch_id', b.provider_batch_id, 'inputs', b.inputs,
        'wanted', exists (select 1 from public.rag_batch_texts t
          join public.rag_batch_wants w on w.text_id = t.id
          where t.batch_id = b.id and t.state = 'submitted')) order by b.created_at), '[]')
      from (select * from public.rag_llm_batches where provider = p_provider and kind = p_kind and state <> 'ended'
        order by created_at limit 100) b),
    'waiting', (select count(*) from (
      select 1 from public.rag_batch_texts where state = 'waiting' limit 50000) w),
    'oldest_seconds', (select extract(epoch from now() - min(t.updated_at)) from (
      select updated_at from public.rag_batch_texts where state = 'waiting' order by id limit 1000) t),
    'failed_seconds', (select extract(epoch from now() - max(b.ended_at)) from public.rag_llm_batches b
      where b.provider = p_provider and b.kind = p_kind and b.state = 'ended' and b.outcome = 'failed'
        and b.ended_at > now() - interval '1 day'));
end $$;

-- Called by the replica whose turn it is. Puts at most p_limit waiting texts into a new batch: waiting -> submitted.
-- Answers {id, inputs}; id null when none waits.
create or replace function public.rag_fill_llm_batch(
  p_worker text, p_provider text, p_model text, p_dimensions integer, p_limit integer) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_id uuid := gen_random_uuid();
  v_count integer;
begin
  perform 1 from public.rag_llm_turns u
  where u.provider = p_provider and u.kind = 'embeddings' and u.worker_id = p_worker and u.until >= now()
  for update;
  if not found then
    return jsonb_build_object('id', null, 'inputs', 0);
  end if;
  insert into public.rag_llm_batches (id, provider, kind, model)
  values (v_id, p_provider, 'embeddings', p_model);
  update public.rag_batch_texts t
  set state = 'submitted', batch_id = v_id, tries = t.tries + 1, updated_at = now()
  where t.id in (
    select o.id from public.rag_batch_texts o
    where o.state = 'waiting' and o.model = p_model and o.dimensions = p_dimensions
    order by o.id limit least(p_limit, 50000) for update skip locked);
  get diagnostics v_count = row_count;
  if v_count = 0 then
    delete from public.rag_llm_batches where id = v_id;
    return jsonb_build_object('id', null, 'inputs', 0);
  end if;
  update public.rag_llm_batches set inputs = v_count where id = v_id;
  return jsonb_build_object('id', v_id, 'inputs', v_count);
end $$;

-- Called by the replica whose turn it is. Answers [{id, embed_sha256, content}] of a batch, at most 500, in order.
create or replace function public.rag_read_llm_batch(p_batch uuid, p_after bigint) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'embed_sha256', t.embed_sha256, 'content', t.content)
    order by t.id), '[]')
  from (select o.id, o.embed_sha256, o.content from public.rag_batch_texts o
    where o.batch_id = p_batch and o.state = 'submitted' and o.id > p_after order by o.id limit 500) t
$$;

-- Called by the replica whose turn it is, when the provider has taken the batch. filling -> submitted. Sent twice,
-- it changes nothing. Answers whether the batch is there.
create or replace function public.rag_submit_llm_batch(p_batch uuid, p_provider_batch_id text) returns boolean
language plpgsql set search_path = '' as $$
begin
  update public.rag_llm_batches b
  set state = 'submitted', provider_batch_id = p_provider_batch_id, submitted_at = coalesce(b.submitted_at, now())
  where b.id = p_batch and b.state in ('filling', 'submitted');
  return found;
end $$;

-- Called by the replica whose turn it is, with a part of what came back. p_results: [{embed_sha256, embedding, tokens,
-- error}]: with a vector submitted -> done, with an error submitted -> failed. Sent twice, it changes nothing.
-- Answers [{tenant_id, tokens}]: what was stored now, for whoever books it.
create or replace function public.rag_store_llm_results(p_batch uuid, p_results jsonb) returns jsonb
language plpgsql set search_path = public, extensions set statement_timeout = '20s' as $$
declare
  v_paid jsonb;
begin
  with stored as (
    update public.rag_batch_texts t
    set state = case when r.embedding is null then 'failed' else 'done' end, embedding = r.embedding::vector,
        tokens = coalesce(r.tokens, 0), error_detail = left(r.error, 300), updated_at = now()
    from jsonb_to_recordset(p_results) as r(embed_sha256 text, embedding text, tokens bigint, error text)
    where t.batch_id = p_batch and t.state = 'submitted' and t.embed_sha256 = r.embed_sha256
      and (r.embedding is null or vector_dims(r.embedding::vector) = t.dimensions)
    returning t.tenant_id, t.tokens)
  select coalesce(jsonb_agg(s), '[]') into v_paid
  from (select p.tenant_id, sum(p.tokens) as tokens from stored p group by p.tenant_id) s;
  return v_paid;
end $$;

-- -> ended, with what the provider said and took. Answers whether this call ended it: one that is sent twice does not.
create or replace function public.rag_close_llm_batch(
  p_batch uuid, p_outcome text, p_detail text, p_tokens bigint, p_cost_usd numeric) returns boolean
language plpgsql set search_path = '' as $$
begin
  update public.rag_llm_batches b
  set state = 'ended', outcome = p_outcome, error_detail = left(p_detail, 500), tokens = p_tokens,
      cost_usd = p_cost_usd, ended_at = now()
  where b.id = p_batch and b.state <> 'ended';
  return found;
end $$;

-- Called by the replica whose turn it is, when all that came back is stored. -> ended. Texts without an answer wait
-- for the next batch, or fail after three; jobs that wanted any of them are due now.
-- Sent twice, it changes nothing. Answers {again, failed, jobs}.
create or replace function public.rag_end_llm_batch(
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
    update public.rag_batch_texts t
    set state = case when t.tries >= 3 and p_outcome <> 'cancelled' then 'failed' else 'waiting' end,
        error_detail = case when t.tries >= 3 and p_outcome <> 'cancelled' then 'no answer in three batches' end,
        updated_at = now()
    where t.batch_id = p_batch and t.state = 'submitted'
    returning t.state)
  select count(*) filter (where l.state = 'waiting'), count(*) filter (where l.state = 'failed')
  into v_again, v_failed from left_over l;
  update public.rag_ingestion_queue q set run_at = now()
  where q.id in (
    select o.id from public.rag_ingestion_queue o
    where o.status = 'queued' and o.position is null and o.run_at > now() and o.error_code = 'embed.batch-pending'
      and exists (select 1 from public.rag_batch_wants w join public.rag_batch_texts t on t.id = w.text_id
        where w.job_id = o.id and t.batch_id = p_batch)
    for update skip locked);
  get diagnostics v_jobs = row_count;
  return jsonb_build_object('again', v_again, 'failed', v_failed, 'jobs', v_jobs);
end $$;

reset search_path;
