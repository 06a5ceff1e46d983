-- Which alerts stand, and what has been told of each: all replicas watch, and one of them sends.

create table if not exists public.rag_alerts (
  name text primary key,
  -- When it was last seen to be so, and since when it is; null for one that tells of events, not of a condition.
  seen_at timestamptz,
  since timestamptz,
  says text not null default '',
  -- What the receivers know. An event is told up to `mark`.
  told text not null default 'nothing' check (told in ('nothing', 'firing', 'resolved')),
  told_at timestamptz,
  mark timestamptz,
  -- Who is sending it just now, until when nobody else does, and what will be known then.
  sender text,
  sending_until timestamptz,
  sending text check (sending in ('firing', 'resolved')),
  sending_mark timestamptz
);

-- Called by every replica with alerts, four times a minute. p_seen: what this replica sees of itself, [{name, says}];
-- what nobody has seen for 90 s is over. p_limits: {job_seconds, queue_seconds, budget_usd}, null for no such alert.
-- An alert is told when it begins and when it is over, again after six hours, and never twice within five minutes.
-- Answers what this replica is to send, [{name, state, says, since}], and nobody else is told of it for a minute.
create or replace function public.rag_watch_alerts(p_worker text, p_seen jsonb, p_limits jsonb) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '20s' set enable_seqscan = off set jit = off as $$
declare
  v_told jsonb;
begin
  -- One at a time is enough; whoever comes second comes again.
  if not pg_catalog.pg_try_advisory_xact_lock(7249, 3) then
    return '[]'::jsonb;
  end if;
  -- What happened before the first look is nobody's news.
  insert into public.rag_alerts (name, mark) values ('failed-jobs', now()), ('worker-lost', now())
  on conflict (name) do nothing;

  insert into public.rag_alerts as a (name, seen_at, since, says)
  select s.name, now(), now(), left(s.says, 500)
  from (
    select e.name, min(e.says) as says from jsonb_to_recordset(p_seen) as e(name text, says text)
    where e.name in ('provider', 'configuration') group by e.name
    union all
    select 'long-jobs', format('%s at work for more than %s s: %s.',
      case count(*) when 1 then '1 job is' when 100 then '100 jobs or more are' else count(*) || ' jobs are' end,
      p_limits ->> 'job_seconds', string_agg(left(j.id::text, 8), ', ') filter (where j.place <= 5))
    from (
      select q.id, row_number() over (order by q.started_at) as place from public.rag_ingestion_queue q
      where q.status = 'processing'
        and q.started_at < now() - make_interval(secs => (p_limits ->> 'job_seconds')::double precision)
      order by q.started_at limit 100) j
    having count(*) > 0
    union all
    select 'queue-age', format('The oldest job that could be taken waits for %s min.',
      floor(extract(epoch from now() - min(o.run_at)) / 60))
    from (select l.priority, public.rag_cell(('public.rag_queue_floor_' || l.priority)::regclass) as floor
      from generate_series(0, 9) as l(priority)) lane
    cross join lateral (
      select q.run_at from public.rag_ingestion_queue q
      where q.status = 'queued' and q.position is not null and q.waits_for is null
        and q.priority = lane.priority::smallint and q.position >= lane.floor
      order by q.position limit 200) o
    -- Whoever paused the queue knows that it waits.
    where not exists (select 1 from public.rag_pauses p where p.scope = 'all')
    having min(o.run_at) < now() - make_interval(secs => (p_limits ->> 'queue_seconds')::double precision)
    union all
    select 'budget', format('The day''s budget of $%s is spent; paid work waits for tomorrow (UTC).',
      p_limits ->> 'budget_usd')
    from public.rag_costs c where c.day = (now() at time zone 'UTC')::date
    having sum(c.cost_usd) >= (p_limits ->> 'budget_usd')::numeric) s
  on conflict (name) do update
  set seen_at = now(), says = excluded.says,
      since = case when a.seen_at > now() - interval '90 seconds' then a.since else now() end;

  update public.rag_alerts a set says = f.says
  from (
    select format('%s failed: %s.', case sum(k.jobs) when 1 then '1 job' else sum(k.jobs) || ' jobs' end,
      string_agg(format('%s (%s)', k.code, k.jobs), ', ' order by k.jobs desc, k.code) filter (where k.place <= 5)) as says
    from (
      select n.code, count(*) as jobs, row_number() over (order by count(*) desc, n.code) as place
      from (
        select coalesce(q.error_code, 'unknown') as code
        from public.rag_alerts m
        join public.rag_ingestion_queue q on q.status = 'failed' and q.completed_at > m.mark
          and q.submitted_at > now() - interval '30 days'
        where m.name = 'failed-jobs' order by q.submitted_at desc limit 10000) n
      group by n.code) k
    having count(*) > 0
    union all select '' limit 1) f
  where a.name = 'failed-jobs';
  update public.rag_alerts a set says = coalesce((
    select format('%s without a stop: %s. Its jobs are taken over.',
      case count(*) when 1 then 'A worker went silent' else count(*) || ' workers went silent' end,
      string_agg(left(w.worker_id, 80), ', ' order by w.worker_id))
    from (select * from public.rag_workers o where o.alive_until < now() and o.alive_until > a.mark
      order by o.worker_id limit 5) w
    having count(*) > 0), '')
  where a.name = 'worker-lost';

  with due as (
    select a.name, case when a.mark is null and a.seen_at <= now() - interval '90 seconds'
      then 'resolved' else 'firing' end as state
    from public.rag_alerts a
    where coalesce(a.sending_until, '-infinity') < now()
      and case
        when a.mark is not null then a.says <> '' and coalesce(a.told_at, '-infinity') < now() - interval '5 minutes'
        when a.seen_at <= now() - interval '90 seconds' then a.told = 'firing'
        when a.told = 'firing' then a.told_at < now() - interval '6 hours'
        else coalesce(a.told_at, '-infinity') < now() - interval '5 minutes' end
    for update
  ), claimed as (
    update public.rag_alerts a
    set sender = p_worker, sending = d.state, sending_mark = case when a.mark is not null then now() end,
        sending_until = now() + interval '1 minute'
    from due d where a.name = d.name
    returning a.name, d.state, a.says, a.since)
  select jsonb_agg(to_jsonb(c) order by c.name) into v_told from claimed c;
  return coalesce(v_told, '[]');
end $$;

-- Called by the replica that was to send, when it has, or could not: then somebody tries again in a minute.
create or replace function public.rag_confirm_alerts(p_worker text, p_sent boolean) returns void
language sql set search_path = '' as $$
  update public.rag_alerts a
  set told = case when p_sent then a.sending else a.told end,
      told_at = case when p_sent then now() else a.told_at end,
      mark = case when p_sent then a.sending_mark else a.mark end,
      sender = null, sending = null, sending_mark = null,
      sending_until = case when p_sent then null else now() + interval '1 minute' end
  where a.sender = p_worker and a.sending_until >= now()
$$;
