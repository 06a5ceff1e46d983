-- What was paid, by day, tenant and model. A job's row says what the job cost and is pruned one day; these sums stay.
-- Each replica writes rows of its own, so that no two wait for the same counter.

create table if not exists public.rag_costs (
  -- In UTC.
  day date not null,
  tenant_id text not null,
  model text not null,
  -- The replica that paid; unique for each of its starts.
  worker_id text not null,
  tokens bigint not null check (tokens >= 0),
  cost_usd numeric(16, 8) not null check (cost_usd >= 0),
  updated_at timestamptz not null default now(),
  primary key (day, tenant_id, model, worker_id)
) with (fillfactor = 70); -- room for HOT updates

-- Called by a worker every few seconds while it pays. p_costs: [{tenant_id, model, tokens, cost_usd}], the worker's
-- running totals of p_day (null: today) for what has changed; as totals only rise, one sent twice or late changes
-- nothing. Answers {day, ends_in_seconds, spent_usd}: today by the database's clock, and what all replicas have told
-- of it. In PL/pgSQL, for a function in SQL would not see its own rows.
create or replace function public.rag_tell_costs(p_worker text, p_day date, p_costs jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' as $$
declare
  v_today date := (now() at time zone 'UTC')::date;
begin
  insert into public.rag_costs as c (day, tenant_id, model, worker_id, tokens, cost_usd)
  select least(coalesce(p_day, v_today), v_today), t.tenant_id, t.model, p_worker, t.tokens, t.cost_usd
  from jsonb_to_recordset(p_costs) as t(tenant_id text, model text, tokens bigint, cost_usd numeric)
  on conflict (day, tenant_id, model, worker_id) do update
  set tokens = greatest(c.tokens, excluded.tokens), cost_usd = greatest(c.cost_usd, excluded.cost_usd),
      updated_at = now();
  return jsonb_build_object('day', v_today,
    'ends_in_seconds', extract(epoch from (v_today + 1)::timestamp - (now() at time zone 'UTC')),
    'spent_usd', (select coalesce(sum(c.cost_usd), 0) from public.rag_costs c where c.day = v_today));
end $$;

-- Called by a worker that learns that there is money again: at its start (the budget may have been raised), and when
-- a day begins. Jobs that were put off until tomorrow are due now: queued -> queued, at most 1,000 a call.
-- Answers {resumed}.
create or replace function public.rag_end_budget_wait() returns jsonb
language plpgsql set search_path = '' set enable_seqscan = off as $$
declare
  v_count integer;
begin
  update public.rag_ingestion_queue q set run_at = now()
  where q.id in (
    select o.id from public.rag_ingestion_queue o
    where o.status = 'queued' and o.position is null and o.run_at > now() and o.error_code = 'embed.budget-spent'
    limit 1000 for update skip locked);
  get diagnostics v_count = row_count;
  return jsonb_build_object('resumed', v_count);
end $$;

-- Called by `rag cost`. p_by: which of day, tenant and model the sums are told apart by; p_since: first day (UTC);
-- p_tenant: one alone. Newest and dearest first, at most 1,000 rows.
-- Answers [{day, tenant_id, model, tokens, cost_usd}], null for what is not told apart.
create or replace function public.rag_sum_costs(
  p_by text[] default '{day}', p_since date default null, p_tenant text default null) returns jsonb
language sql stable set search_path = '' set statement_timeout = '20s' as $$
  select coalesce(jsonb_agg(to_jsonb(s) order by s.day desc nulls last, s.cost_usd desc, s.tokens desc), '[]')
  from (
    select case when 'day' = any (p_by) then c.day end as day,
      case when 'tenant' = any (p_by) then c.tenant_id end as tenant_id,
      case when 'model' = any (p_by) then c.model end as model,
      sum(c.tokens)::bigint as tokens, sum(c.cost_usd) as cost_usd
    from public.rag_costs c
    where c.day >= coalesce(p_since, '-infinity'::date) and (p_tenant is null or c.tenant_id = p_tenant)
    group by 1, 2, 3
    order by 1 desc nulls last, 5 desc, 4 desc limit 1000) s
$$;
