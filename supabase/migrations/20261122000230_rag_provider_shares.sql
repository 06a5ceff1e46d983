-- What replicas tell each other of the providers they share: one narrow row a replica and limit, renewed every second
-- while the limit holds it back. Each writes its own row alone, so nobody waits for anybody.

create table if not exists public.rag_provider_shares (
  -- What is limited together: a provider, its address and a model.
  budget text not null check (octet_length(budget) between 1 and 500),
  replica text not null,
  -- It could use more than it has.
  hungry boolean not null,
  -- The part of the limit that it uses, 0 to 1.
  used double precision not null check (used between 0 and 1),
  -- Until when the provider asked it to wait.
  blocked_until timestamptz,
  alive_until timestamptz not null,
  primary key (budget, replica)
) with (fillfactor = 50);

-- Called by a replica that a provider's limit holds back, about once a second. What does not use its part leaves it
-- to those that could use more, down to a tenth of an equal part, with which it can begin again.
-- Answers {share, replicas, blocked_ms}: this replica's part of the limit (0 to 1), how many share it, and how long
-- the provider asked any of the others to wait from now.
create or replace function public.rag_share_allowance(
  p_budget text, p_replica text, p_hungry boolean, p_used double precision, p_blocked_ms integer, p_lease_ms integer)
returns jsonb
language plpgsql set search_path = '' as $$
declare
  v_answer jsonb;
begin
  insert into public.rag_provider_shares as s (budget, replica, hungry, used, blocked_until, alive_until)
  values (p_budget, p_replica, p_hungry, least(greatest(p_used, 0), 1),
    now() + make_interval(secs => nullif(least(greatest(p_blocked_ms, 0), 3600000), 0) / 1000.0),
    now() + make_interval(secs => least(greatest(p_lease_ms, 0), 600000) / 1000.0))
  on conflict (budget, replica) do update
  set hungry = excluded.hungry, used = excluded.used, alive_until = excluded.alive_until,
      blocked_until = coalesce(excluded.blocked_until, s.blocked_until);
  delete from public.rag_provider_shares g
  where (g.budget, g.replica) in (
    select o.budget, o.replica from public.rag_provider_shares o
    where o.alive_until < now() - interval '1 minute'
    limit 100 for update skip locked);

  with live as (
    select s.replica, s.hungry, s.blocked_until, count(*) over () as replicas,
      count(*) filter (where s.hungry) over () as hungry_ones,
      s.used
    from public.rag_provider_shares s
    where s.budget = p_budget and s.alive_until >= now()
  ), parts as (
    select l.*, least(1.0 / l.replicas, greatest(1.5 * l.used, 0.1 / l.replicas)) as modest from live l
  )
  select jsonb_build_object(
    'share', least(1.0, max(case when p.replica <> p_replica then null
      when not p.hungry then p.modest
      else (1 - o.modest) / p.hungry_ones end)),
    'replicas', max(p.replicas),
    'blocked_ms', greatest(0, ceil(coalesce(
      extract(epoch from max(p.blocked_until) filter (where p.replica <> p_replica) - now()) * 1000, 0))))
  into v_answer
  from parts p
  cross join (select coalesce(sum(q.modest) filter (where not q.hungry), 0) as modest from parts q) o;
  return v_answer;
end $$;
