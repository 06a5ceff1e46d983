-- What a language model says of a document: of each group of its segments, and of the whole. An analysis is of a
-- content, not of a generation: another embedding model or another way of cutting changes nothing of it. Readers see
-- those of the content that is live, so a whole old analysis or a whole new one.

create table if not exists public.rag_segment_analyses (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  -- As rag_documents.content_sha256 has it once the content is live.
  content_sha256 text not null,
  segment_from integer not null,
  segment_to integer not null,
  -- Of all that the group was asked by; under it an answer is used again for a later version of the document.
  group_sha256 text not null,
  -- The model and the version of what it is asked.
  plan text not null,
  tenant_id text not null,
  summary text,
  topics text[] not null default '{}',
  -- [{name, type}]
  entities jsonb not null default '[]',
  key_points text[] not null default '{}',
  questions text[] not null default '{}',
  -- {decisions, action_items: [{task, owner, due}], sentiment: [{speaker, sentiment, reason}]}; null where nobody speaks.
  conversation jsonb,
  -- One line for each chunk that begins in the group, in order; empty where none was asked for.
  chunk_contexts text[] not null default '{}',
  -- Why there is no analysis: the model refused, or its answer could not be used. null where there is one.
  error_code text,
  input_tokens bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  cache_read_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  -- 0 for one that was copied.
  cost_usd numeric(14, 8) not null default 0,
  created_at timestamptz not null default now(),
  primary key (document_id, content_sha256, segment_from)
);
create index if not exists rag_segment_analyses_reuse on public.rag_segment_analyses using hash (group_sha256);

create table if not exists public.rag_document_analyses (
  document_id uuid not null references public.rag_documents (id) on delete cascade,
  content_sha256 text not null,
  plan text not null,
  tenant_id text not null,
  title text,
  summary text,
  -- BCP 47, such as en or pt-BR.
  language text,
  topics text[] not null default '{}',
  -- [{name, type}] of all groups, those of the most groups first, at most 100.
  entities jsonb not null default '[]',
  -- Groups, and those among them without an analysis.
  groups integer not null default 0,
  failed_groups integer not null default 0,
  error_code text,
  input_tokens bigint not null default 0,
  cache_write_tokens bigint not null default 0,
  cache_read_tokens bigint not null default 0,
  output_tokens bigint not null default 0,
  cost_usd numeric(14, 8) not null default 0,
  created_at timestamptz not null default now(),
  primary key (document_id, content_sha256)
);

create index if not exists rag_document_analyses_reuse on public.rag_document_analyses using hash (content_sha256);

-- One row a document whose live content is analysed.
create or replace view public.rag_live_analyses with (security_invoker = true) as
select a.document_id, d.tenant_id, d.collection, a.title, a.summary, a.language, a.topics, a.entities, a.groups,
  a.failed_groups, a.plan, a.error_code, a.created_at
from public.rag_document_analyses a
join public.rag_documents d on d.id = a.document_id and d.content_sha256 = a.content_sha256
  and d.live_generation is not null;

-- What was paid just now, for whoever pays outside of a ledger's running totals: written in the same transaction as
-- what was bought, so that no crash comes between them. A row beside those of rag_tell_costs.
create or replace function public.rag_book_cost(p_worker text, p_tenant text, p_model text, p_tokens bigint,
  p_cost_usd numeric) returns void
language sql volatile set search_path = '' as $$
  insert into public.rag_costs as c (day, tenant_id, model, worker_id, tokens, cost_usd)
  select (now() at time zone 'UTC')::date, p_tenant, p_model, p_worker || '/booked', p_tokens, p_cost_usd
  where p_tokens > 0 or p_cost_usd > 0
  on conflict (day, tenant_id, model, worker_id) do update
  set tokens = c.tokens + excluded.tokens, cost_usd = c.cost_usd + excluded.cost_usd, updated_at = now()
$$;

-- Called by the worker that holds the lease, before it asks about some groups. p_groups: [{segment_from, segment_to,
-- group_sha256}], at most 1,000. A group that was analysed by the same plan for another version of this document, or
-- for the same content in another document of the tenant, is copied, and so is what was said of that content. The job is analysing from here on.
-- Answers {state, known: [{segment_from, summary, chunk_contexts, error_code}], document}: known ones need not be
-- asked about, document says whether the whole is analysed. State is 'begun' or 'lease_lost'.
create or replace function public.rag_begin_analyses(
  p_job_id uuid, p_lease_token bigint, p_plan text, p_groups jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_job public.rag_ingestion_queue;
  v_sha text;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  select g.content_sha256 into v_sha from public.rag_generations g
  where g.document_id = v_job.document_id and g.generation = v_job.generation;
  update public.rag_ingestion_queue q set stage = 'analysing', updated_at = now() where q.id = p_job_id;

  insert into public.rag_segment_analyses as a (document_id, content_sha256, segment_from, segment_to, group_sha256,
    plan, tenant_id, summary, topics, entities, key_points, questions, conversation, chunk_contexts)
  select v_job.document_id, v_sha, g.segment_from, g.segment_to, g.group_sha256, p_plan, v_job.tenant_id, o.summary,
    o.topics, o.entities, o.key_points, o.questions, o.conversation, o.chunk_contexts
  from jsonb_to_recordset(p_groups) as g(segment_from integer, segment_to integer, group_sha256 text)
  cross join lateral (
    select s.* from public.rag_segment_analyses s
    where s.group_sha256 = g.group_sha256 and s.plan = p_plan and s.tenant_id = v_job.tenant_id
      and s.error_code is null
      and (s.document_id = v_job.document_id or s.content_sha256 = v_sha)
      and (s.document_id, s.content_sha256, s.segment_from) <> (v_job.document_id, v_sha, g.segment_from)
    order by s.created_at limit 1) o
  on conflict (document_id, content_sha256, segment_from) do update
  set segment_to = excluded.segment_to, group_sha256 = excluded.group_sha256, plan = excluded.plan,
      summary = excluded.summary, topics = excluded.topics, entities = excluded.entities,
      key_points = excluded.key_points, questions = excluded.questions, conversation = excluded.conversation,
      chunk_contexts = excluded.chunk_contexts, error_code = null
  where (a.group_sha256, a.plan) is distinct from (excluded.group_sha256, excluded.plan);
  insert into public.rag_document_analyses (document_id, content_sha256, plan, tenant_id, title, summary, language,
    topics)
  select v_job.document_id, v_sha, p_plan, v_job.tenant_id, o.title, o.summary, o.language, o.topics
  from public.rag_document_analyses o
  where o.content_sha256 = v_sha and o.tenant_id = v_job.tenant_id and o.plan = p_plan and o.error_code is null
    and o.document_id <> v_job.document_id
  order by o.created_at limit 1
  on conflict do nothing;

  return jsonb_build_object(
    'state', 'begun',
    'known', (
      select coalesce(jsonb_agg(jsonb_build_object('segment_from', a.segment_from, 'summary', a.summary,
        'chunk_contexts', to_jsonb(a.chunk_contexts), 'error_code', a.error_code) order by a.segment_from), '[]')
      from jsonb_to_recordset(p_groups) as g(segment_from integer, group_sha256 text)
      join public.rag_segment_analyses a on a.document_id = v_job.document_id and a.content_sha256 = v_sha
        and a.segment_from = g.segment_from and a.group_sha256 = g.group_sha256 and a.plan = p_plan),
    'document', exists (
      select 1 from public.rag_document_analyses d
      where d.document_id = v_job.document_id and d.content_sha256 = v_sha and d.plan = p_plan));
end $$;

-- Called by the worker that holds the lease, as soon as there is an answer: it was paid for.
-- p_analyses: rows of rag_segment_analyses (segment_from, segment_to, group_sha256, what was said or error_code, tokens,
-- cost_usd); p_document: one of rag_document_analyses, or null. p_groups with the last of them, else null: where all
-- groups begin; what is stored of others is of no use any more. p_worker books what it cost; null where it was booked
-- when a batch came back.
-- Sent twice, it changes nothing and costs nothing. Answers {state, stored}; state is 'stored' or 'lease_lost'.
create or replace function public.rag_store_analyses(
  p_job_id uuid, p_lease_token bigint, p_worker text, p_model text, p_plan text, p_analyses jsonb, p_document jsonb,
  p_groups integer[]) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_job public.rag_ingestion_queue;
  v_sha text;
  v_stored integer;
  v_tokens bigint;
  v_cost numeric;
begin
  select * into v_job from public.rag_ingestion_queue q
  where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing'
  for update;
  if not found then
    return jsonb_build_object('state', 'lease_lost');
  end if;
  select g.content_sha256 into v_sha from public.rag_generations g
  where g.document_id = v_job.document_id and g.generation = v_job.generation;

  with stored_groups as (
    insert into public.rag_segment_analyses as a (document_id, content_sha256, segment_from, segment_to, group_sha256,
      plan, tenant_id, summary, topics, entities, key_points, questions, conversation, chunk_contexts, error_code,
      input_tokens, cache_write_tokens, cache_read_tokens, output_tokens, cost_usd)
    select v_job.document_id, v_sha, g.segment_from, g.segment_to, g.group_sha256, p_plan, v_job.tenant_id, g.summary,
      coalesce(g.topics, '{}'), coalesce(g.entities, '[]'), coalesce(g.key_points, '{}'), coalesce(g.questions, '{}'),
      nullif(g.conversation, 'null'), coalesce(g.chunk_contexts, '{}'), g.error_code, coalesce(g.input_tokens, 0),
      coalesce(g.cache_write_tokens, 0), coalesce(g.cache_read_tokens, 0), coalesce(g.output_tokens, 0),
      coalesce(g.cost_usd, 0)
    from jsonb_to_recordset(p_analyses) as g(segment_from integer, segment_to integer, group_sha256 text,
      summary text, topics text[], entities jsonb, key_points text[], questions text[], conversation jsonb,
      chunk_contexts text[], error_code text, input_tokens bigint, cache_write_tokens bigint,
      cache_read_tokens bigint, output_tokens bigint, cost_usd numeric)
    on conflict (document_id, content_sha256, segment_from) do update
    set segment_to = excluded.segment_to, group_sha256 = excluded.group_sha256, plan = excluded.plan,
        summary = excluded.summary, topics = excluded.topics, entities = excluded.entities,
        key_points = excluded.key_points, questions = excluded.questions, conversation = excluded.conversation,
        chunk_contexts = excluded.chunk_contexts, error_code = excluded.error_code,
        input_tokens = excluded.input_tokens, cache_write_tokens = excluded.cache_write_tokens,
        cache_read_tokens = excluded.cache_read_tokens, output_tokens = excluded.output_tokens,
        cost_usd = excluded.cost_usd, created_at = now()
    where (a.group_sha256, a.plan) is distinct from (excluded.group_sha256, excluded.plan)
    returning a.input_tokens + a.cache_write_tokens + a.cache_read_tokens + a.output_tokens as tokens, a.cost_usd
  ), stored_document as (
    insert into public.rag_document_analyses as a (document_id, content_sha256, plan, tenant_id, title, summary,
      language, topics, error_code, input_tokens, cache_write_tokens, cache_read_tokens, output_tokens, cost_usd)
    select v_job.document_id, v_sha, p_plan, v_job.tenant_id, d.title, d.summary, d.language,
      coalesce(d.topics, '{}'), d.error_code, coalesce(d.input_tokens, 0), coalesce(d.cache_write_tokens, 0),
      coalesce(d.cache_read_tokens, 0), coalesce(d.output_tokens, 0), coalesce(d.cost_usd, 0)
    from jsonb_to_record(p_document) as d(title text, summary text, language text, topics text[], error_code text,
      input_tokens bigint, cache_write_tokens bigint, cache_read_tokens bigint, output_tokens bigint,
      cost_usd numeric)
    where p_document is not null
    on conflict (document_id, content_sha256) do update
    set plan = excluded.plan, title = excluded.title, summary = excluded.summary, language = excluded.language,
        topics = excluded.topics, error_code = excluded.error_code, input_tokens = excluded.input_tokens,
        cache_write_tokens = excluded.cache_write_tokens, cache_read_tokens = excluded.cache_read_tokens,
        output_tokens = excluded.output_tokens, cost_usd = excluded.cost_usd, created_at = now()
    where a.plan is distinct from excluded.plan
    returning a.input_tokens + a.cache_write_tokens + a.cache_read_tokens + a.output_tokens as tokens, a.cost_usd)
  select count(*), coalesce(sum(s.tokens), 0), coalesce(sum(s.cost_usd), 0) into v_stored, v_tokens, v_cost
  from (select * from stored_groups union all select * from stored_document) s;

  if p_groups is not null then
    delete from public.rag_segment_analyses a
    where a.document_id = v_job.document_id and a.content_sha256 = v_sha and a.segment_from <> all (p_groups);
    update public.rag_document_analyses a
    set groups = cardinality(p_groups),
        failed_groups = (
          select count(*) from public.rag_segment_analyses s
          where s.document_id = v_job.document_id and s.content_sha256 = v_sha and s.error_code is not null),
        entities = (
          select coalesce(jsonb_agg(jsonb_build_object('name', e.name, 'type', e.type) order by e.seen desc, e.name),
            '[]')
          from (
            select x.value ->> 'name' as name, x.value ->> 'type' as type, count(*) as seen
            from public.rag_segment_analyses s, jsonb_array_elements(s.entities) x
            where s.document_id = v_job.document_id and s.content_sha256 = v_sha
            group by 1, 2 order by 3 desc, 1 limit 100) e)
    where a.document_id = v_job.document_id and a.content_sha256 = v_sha;
  end if;
  update public.rag_ingestion_queue q
  set stage = 'analysing', tokens = q.tokens + v_tokens, cost_usd = q.cost_usd + v_cost, updated_at = now()
  where q.id = p_job_id;
  if p_worker is not null then
    perform public.rag_book_cost(p_worker, v_job.tenant_id, p_model, v_tokens, v_cost);
  end if;
  return jsonb_build_object('state', 'stored', 'stored', v_stored);
end $$;

-- Called by applications. What is known of a document whose live content is analysed; null where it is not.
-- Answers {document_id, title, summary, language, topics, entities, groups, failed_groups, plan, error_code, analysed_at,
-- tokens, cost_usd}.
create or replace function public.rag_read_analysis(p_document_id uuid) returns jsonb
language sql stable set search_path = '' as $$
  select jsonb_build_object('document_id', a.document_id, 'title', a.title, 'summary', a.summary,
    'language', a.language, 'topics', to_jsonb(a.topics), 'entities', a.entities, 'groups', a.groups,
    'failed_groups', a.failed_groups, 'plan', a.plan, 'error_code', a.error_code, 'analysed_at', a.created_at,
    'tokens', a.input_tokens + a.cache_write_tokens + a.cache_read_tokens + a.output_tokens + s.tokens,
    'cost_usd', a.cost_usd + s.cost_usd)
  from public.rag_document_analyses a
  join public.rag_documents d on d.id = a.document_id and d.content_sha256 = a.content_sha256
    and d.live_generation is not null
  cross join lateral (
    select coalesce(sum(g.input_tokens + g.cache_write_tokens + g.cache_read_tokens + g.output_tokens), 0)::bigint
        as tokens, coalesce(sum(g.cost_usd), 0) as cost_usd
    from public.rag_segment_analyses g
    where g.document_id = a.document_id and g.content_sha256 = a.content_sha256) s
  where a.document_id = p_document_id
$$;

-- Called by applications. The groups of a document's live content in order, behind segment p_after, at most 500.
create or replace function public.rag_read_segment_analyses(
  p_document_id uuid, p_after integer default null, p_limit integer default 100)
returns table (segment_from integer, segment_to integer, page_number integer, started_ms bigint, ended_ms bigint,
  summary text, topics text[], entities jsonb, key_points text[], questions text[], conversation jsonb,
  error_code text)
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select a.segment_from, a.segment_to, f.page_number, f.started_ms, t.ended_ms, a.summary, a.topics, a.entities,
    a.key_points, a.questions, a.conversation, a.error_code
  from public.rag_documents d
  join public.rag_segment_analyses a on a.document_id = d.id and a.content_sha256 = d.content_sha256
  left join public.rag_segments f on f.document_id = d.id and f.generation = d.live_generation
    and f.seq = a.segment_from
  left join public.rag_segments t on t.document_id = d.id and t.generation = d.live_generation
    and t.seq = a.segment_to
  where d.id = p_document_id and d.live_generation is not null
    and (p_after is null or a.segment_from > p_after)
  order by a.segment_from limit greatest(0, least(p_limit, 500))
$$;

-- Called by `rag job`. How far the analysis of the job's content is: {groups, failed: {code: groups}, waiting, tokens,
-- cost_usd}; waiting counts questions on their way in a batch. null where nothing was asked about it.
create or replace function public.rag_describe_analysis(p_job_id uuid) returns jsonb
language plpgsql stable set search_path = '' as $$
declare
  v_answer jsonb;
begin
  select jsonb_build_object('groups', count(a.segment_from), 'failed', (
      select coalesce(jsonb_object_agg(f.error_code, f.groups), '{}') from (
        select s.error_code, count(*) as groups from public.rag_segment_analyses s
        where s.document_id = g.document_id and s.content_sha256 = g.content_sha256 and s.error_code is not null
        group by 1) f),
    'waiting', w.questions,
    'tokens', coalesce(sum(a.input_tokens + a.cache_write_tokens + a.cache_read_tokens + a.output_tokens), 0),
    'cost_usd', coalesce(sum(a.cost_usd), 0))
  into v_answer
  from public.rag_ingestion_queue q
  join public.rag_generations g on g.document_id = q.document_id and g.generation = q.generation
  cross join lateral (
    select count(*) as questions from public.rag_analysis_requests r
    where r.document_id = q.document_id and r.state in ('waiting', 'submitted')) w
  left join public.rag_segment_analyses a on a.document_id = g.document_id and a.content_sha256 = g.content_sha256
  where q.id = p_job_id
  group by g.document_id, g.content_sha256, w.questions
  having count(a.segment_from) > 0 or w.questions > 0;
  return v_answer;
end $$;

-- What was said of a content goes when no generation of the document has that content any more.
create or replace function public.rag_analyses_after_delete() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  delete from public.rag_segment_analyses a using gone g
  where a.document_id = g.document_id and a.content_sha256 = g.content_sha256
    and not exists (select 1 from public.rag_generations o
      where o.document_id = g.document_id and o.content_sha256 = g.content_sha256);
  delete from public.rag_document_analyses a using gone g
  where a.document_id = g.document_id and a.content_sha256 = g.content_sha256
    and not exists (select 1 from public.rag_generations o
      where o.document_id = g.document_id and o.content_sha256 = g.content_sha256);
  return null;
end $$;
create or replace trigger rag_analyses_after_delete after delete on public.rag_generations
  referencing old table as gone for each statement execute function public.rag_analyses_after_delete();
