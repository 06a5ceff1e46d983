-- Optional: who may listen to the worker's events on Supabase Realtime. The worker broadcasts to the private topics
-- rag:user:<user_id> and rag:job:<job_id>; without these policies nobody hears them.
-- A signed-in user may join his own topic, and those of jobs of his own documents. Nobody but the service key may
-- send to either: there is no policy for insert.
--
-- Run this once, in the database of your project; running it again changes nothing. Then, in the browser:
--   supabase.realtime.setAuth();
--   supabase.channel(`rag:user:${user.id}`, { config: { private: true } })
--     .on('broadcast', { event: '*' }, ({ payload }) => …).subscribe();

do $$
begin
  if to_regclass('realtime.messages') is null then
    raise exception 'There is no Realtime in this database.';
  end if;
end $$;

-- Whose a job is. SECURITY DEFINER: users see no row of the queue; they learn only whether this one is theirs.
create or replace function public.rag_is_own_job(p_job text) returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (
    select 1 from public.rag_ingestion_queue q
    join public.rag_documents d on d.id = q.document_id
    where q.id::text = p_job
      and d.user_id = nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''))
$$;
revoke all on function public.rag_is_own_job(text) from public, anon;
grant execute on function public.rag_is_own_job(text) to authenticated;

drop policy if exists rag_own_events on realtime.messages;
create policy rag_own_events on realtime.messages for select to authenticated
  using (
    realtime.messages.extension = 'broadcast'
    and (
      (select realtime.topic()) = 'rag:user:' || (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')
      or ((select realtime.topic()) like 'rag:job:%'
        and (select public.rag_is_own_job(substr((select realtime.topic()), length('rag:job:') + 1))))));
