-- The repairs of what rag_validate and the look at originals find. Each looks again, under a lock, whether there is
-- still something to repair; a document that a job is working on, or that somebody else holds, is left for another time.
set search_path = public, extensions;

-- Queues a document whose stored parts are not whole to be read anew: what has a vector is not paid for again. Where
-- the original was stored nowhere else and is cleared away, the text of its segments takes its place (without pages).
-- p_whole_text: those segments are all there. Answers what was done; 'none' when there is nothing to read.
create or replace function public.rag_read_anew(p_document public.rag_documents, p_whole_text boolean) returns text
language plpgsql set search_path = '' as $$
declare
  v_bytes bytea;
  v_done text := 'queued';
begin
  if p_document.source_uri like 'inline:%' and public.rag_read_original(p_document.id, null, 0) is null then
    select convert_to(string_agg(s.content, '' order by s.seq), 'UTF8') into v_bytes
    from public.rag_segments s
    where p_whole_text and s.document_id = p_document.id and s.generation = (
      select max(o.generation) from public.rag_segments o where o.document_id = p_document.id
        and o.generation <= coalesce(p_document.live_generation, o.generation));
    if v_bytes is null then
      return 'none';
    end if;
    insert into public.rag_originals (document_id, upload, part, parts, bytes)
    select p_document.id, 'content-' || encode(sha256(v_bytes), 'hex'), n.part, (length(v_bytes) - 1) / 1048576 + 1,
      substring(v_bytes from n.part * 1048576 + 1 for 1048576)
    from generate_series(0, (length(v_bytes) - 1) / 1048576) n (part)
    on conflict (document_id, upload, part) do update set created_at = now();
    update public.rag_documents d set media_type = 'text/plain' where d.id = p_document.id;
    v_done := 'queued from its stored text';
  elsif p_document.source_uri is null and p_document.kind <> 'transcript' then
    return 'none';
  end if;
  -- Otherwise the next run would find it unchanged.
  update public.rag_generations g set plan = g.plan || ' (not whole)'
  where g.document_id = p_document.id and g.generation = p_document.live_generation;
  insert into public.rag_ingestion_queue (document_id) values (p_document.id);
  return v_done;
end $$;

-- Repairs of the findings about one document, which the caller has locked. Answers what was done, or 'none'.
create or replace function public.rag_repair_document(p_code text, p_document public.rag_documents) returns text
language plpgsql set search_path = public, extensions as $$
declare
  v_document public.rag_documents := p_document;
  v_generation public.rag_generations;
  v_cut integer;
begin
  select * into v_generation from public.rag_generations g
  where g.document_id = v_document.id and g.generation = v_document.live_generation;
  v_cut := v_generation.chunk_count + (select count(*) from public.rag_rejected_chunks r
    where r.document_id = v_document.id and r.generation = v_document.live_generation);
  case p_code
    when 'document.not-live' then
      if v_generation.state = 'live' then
        return 'none';
      end if;
      -- One that is whole serves again; only where there is none the document is read anew.
      select g.* into v_generation from public.rag_generations g
      join public.rag_models m on m.name = g.embedding_model and m.state = 'live'
      where g.document_id = v_document.id and g.state in ('live', 'history') and g.chunk_count > 0
        and g.chunk_count = (select count(*) from public.rag_document_chunks c
          where c.document_id = g.document_id and c.generation = g.generation)
      order by g.generation desc limit 1;
      if found then
        update public.rag_generations g set state = 'live'
        where g.document_id = v_document.id and g.generation = v_generation.generation;
        update public.rag_documents d set live_generation = v_generation.generation, status = 'ingested',
          ingested_at = coalesce(d.ingested_at, now()), content_sha256 = v_generation.content_sha256, updated_at = now()
        where d.id = v_document.id;
        return 'an earlier whole generation serves';
      end if;
      delete from public.rag_document_chunks c where c.document_id = v_document.id and not exists (
        select 1 from public.rag_generations g where g.document_id = c.document_id and g.generation = c.generation);
      update public.rag_documents d set live_generation = null, status = 'pending', updated_at = now()
      where d.id = v_document.id returning * into v_document;
      if public.rag_read_anew(v_document, true) = 'none' then
        update public.rag_documents d set status = 'failed' where d.id = v_document.id;
        return 'failed, for there is nothing to read it from';
      end if;
      return 'queued';
    when 'vector.missing' then
      return coalesce(nullif(public.rag_read_anew(v_document, (select count(*) from public.rag_segments s
        where s.document_id = v_document.id and s.generation = v_generation.generation) = v_generation.segment_count),
        'none'), public.rag_keep_as_it_is(v_document));
    when 'vector.foreign-model' then
      -- They would be copied for equal texts again.
      delete from public.rag_document_chunks c
      where c.document_id = v_document.id and c.generation = v_generation.generation
        and (c.embedding_model <> v_generation.embedding_model or vector_dims(c.embedding) <> v_generation.dimensions);
      return coalesce(nullif(public.rag_read_anew(v_document, true), 'none'), public.rag_keep_as_it_is(v_document));
    when 'segment.missing' then
      return coalesce(nullif(public.rag_read_anew(v_document, false), 'none'), public.rag_keep_as_it_is(v_document));
    when 'chunk.surplus' then
      delete from public.rag_document_chunks c
      where c.document_id = v_document.id and c.generation = v_generation.generation and c.chunk_index >= v_cut;
      return case when found then 'removed' else 'none' end;
    when 'document.foreign-model' then
      return case when public.rag_enqueue_reembedding(array[v_document.id]) > 0 then 'queued to be embedded again'
        else 'none' end;
    when 'generation.unlinked' then
      update public.rag_generations g set state = 'dead'
      where g.document_id = v_document.id and g.state = 'live' and v_generation.state = 'live'
        and g.generation is distinct from v_document.live_generation
        and g.generation is distinct from v_document.other_generation;
      return case when found then 'given to the collection of garbage' else 'none' end;
    when 'file.changed', 'storage.object-changed' then
      insert into public.rag_ingestion_queue (document_id) values (v_document.id);
      return 'queued';
    when 'file.gone', 'storage.object-gone' then
      for v_turn in 1..1000 loop
        exit when not (public.rag_delete_documents(jsonb_build_object('document_ids', jsonb_build_array(v_document.id)))
          ->> 'more')::boolean;
      end loop;
      return case when exists (select 1 from public.rag_documents d where d.id = v_document.id) then 'none'
        else 'deleted' end;
    when 'original.stale', 'original.partial' then
      delete from public.rag_originals o where o.document_id = v_document.id and o.created_at < now() - interval '1 day'
        and (p_code = 'original.partial' or v_document.status = 'ingested' and o.created_at < v_document.ingested_at)
        and (p_code = 'original.stale' or (select count(*) from public.rag_originals p
          where p.document_id = o.document_id and p.upload = o.upload) < o.parts);
      return case when found then 'removed' else 'none' end;
    else
      raise exception 'No finding is called %.', left(p_code, 100) using errcode = '22023';
  end case;
end $$;

-- What is lost cannot be brought back: the counts are set to what is there, so that the document goes on serving as it
-- is and is not reported again. Its file has to be given once more.
create or replace function public.rag_keep_as_it_is(p_document public.rag_documents) returns text
language plpgsql set search_path = '' as $$
begin
  update public.rag_generations g
  set chunk_count = (select count(*) from public.rag_document_chunks c
        where c.document_id = g.document_id and c.generation = g.generation),
      segment_count = (select count(*) from public.rag_segments s
        where s.document_id = g.document_id and s.generation = g.generation)
  where g.document_id = p_document.id and g.generation = p_document.live_generation;
  return 'kept as it is, for its original is gone: give the file once more';
end $$;

-- The newest content of a source wins; the others are kept as its history, read by nobody, until they get newer content.
create or replace function public.rag_replace_documents(p_subject text) returns text
language plpgsql set search_path = '' as $$
declare
  v_parts text[] := string_to_array(p_subject, chr(31));
  v_ids uuid[];
  v_all uuid[];
begin
  select array_agg(d.id) into v_all from public.rag_documents d
  where d.tenant_id = v_parts[1] and d.collection = v_parts[2] and d.source_uri = v_parts[3] and d.replaced_by is null;
  select array_agg(l.id order by l.serves desc, l.ingested_at desc nulls last, l.created_at desc, l.id) into v_ids
  from (select d.id, d.live_generation is not null as serves, d.ingested_at, d.created_at from public.rag_documents d
    where d.id = any (v_all) order by d.id for update skip locked) l;
  if cardinality(v_ids) is distinct from cardinality(v_all) or cardinality(v_ids) < 2
    or exists (select 1 from unnest(v_ids) i (id) where public.rag_has_job(i.id)) then
    return 'none';
  end if;
  update public.rag_generations g set state = 'history'
  from public.rag_documents d
  where d.id = any (v_ids[2:]) and g.document_id = d.id and g.generation = d.live_generation and g.state = 'live';
  update public.rag_generations g set state = 'dead'
  where g.document_id = any (v_ids[2:]) and g.state = 'live';
  update public.rag_documents d
  set replaced_by = v_ids[1], live_generation = null, other_generation = null, other_model = null, other_source = null,
      updated_at = now()
  where d.id = any (v_ids[2:]);
  delete from public.rag_relationships r where r.source_id = any (v_ids[2:]) or r.target_id = any (v_ids[2:]);
  delete from public.rag_mentions m where m.document_id = any (v_ids[2:]);
  delete from public.rag_document_names n where n.document_id = any (v_ids[2:]);
  delete from public.rag_document_labels l where l.document_id = any (v_ids[2:]);
  delete from public.rag_document_vectors v where v.document_id = any (v_ids[2:]);
  return 'the newest content serves, ' || cardinality(v_ids) - 1 || ' kept as its history';
end $$;

-- Whatever is left of a document that is gone.
create or replace function public.rag_remove_remains(p_document_id uuid) returns text
language plpgsql set search_path = '' as $$
begin
  if exists (select 1 from public.rag_documents d where d.id = p_document_id) then
    return 'none';
  end if;
  delete from public.rag_ingestion_queue t where t.document_id = p_document_id;
  delete from public.rag_document_chunks t where t.document_id = p_document_id;
  delete from public.rag_segments t where t.document_id = p_document_id;
  delete from public.rag_rejected_chunks t where t.document_id = p_document_id;
  delete from public.rag_document_vectors t where t.document_id = p_document_id;
  delete from public.rag_document_labels t where t.document_id = p_document_id;
  delete from public.rag_document_names t where t.document_id = p_document_id;
  delete from public.rag_mentions t where t.document_id = p_document_id;
  delete from public.rag_generations t where t.document_id = p_document_id;
  delete from public.rag_originals t where t.document_id = p_document_id;
  delete from public.rag_relationships r where r.source_id = p_document_id or r.target_id = p_document_id;
  return 'removed';
end $$;

create or replace function public.rag_repair_job(p_code text, p_job_id uuid) returns text
language plpgsql set search_path = '' as $$
declare
  v_job public.rag_ingestion_queue;
begin
  select * into v_job from public.rag_ingestion_queue q where q.id = p_job_id for update skip locked;
  if not found or not exists (
    select 1 from jsonb_array_elements(public.rag_validate('jobs', null, 1000,
      case when v_job.document_id is null then null else array[v_job.document_id] end) -> 'findings') f
    where f.value ->> 'subject' = p_job_id::text and f.value ->> 'code' = p_code) then
    return 'none';
  end if;
  if p_code = 'job.orphaned' then
    delete from public.rag_ingestion_queue q where q.id = p_job_id;
    return 'removed';
  elsif v_job.status = 'processing' then
    update public.rag_ingestion_queue q set status = 'queued' where q.id = p_job_id;
    return 'back in the queue';
  elsif v_job.status = 'queued' then
    update public.rag_ingestion_queue q
    set lease_token = null, lease_expires_at = null, worker_id = null,
        (position, waits_for) = (select p.position, p.waits_for from public.rag_place_row(q) p)
    where q.id = p_job_id;
    return 'given a place in the queue';
  end if;
  update public.rag_ingestion_queue q set completed_at = coalesce(q.completed_at, q.updated_at), waits_for = null
  where q.id = p_job_id;
  return 'corrected';
end $$;

-- Called by `rag sync --repair` and by the worker that holds a job of the kind sync (then with p_job_id and
-- p_lease_token). p_findings: at most 100 as rag_validate answers them. Each repair is written to the activity log
-- (activity_type integrity.repaired; metadata code, subject, action). Sent twice, it finds nothing left to do.
-- Answers {state, repaired: [{code, subject, action}], skipped: [{code, subject}]}; skipped is what was in order by
-- then, or in somebody else's hands. State is 'repaired' or 'lease_lost'.
create or replace function public.rag_repair(
  p_findings jsonb, p_job_id uuid default null, p_lease_token bigint default null) returns jsonb
language plpgsql set search_path = '' set statement_timeout = '60s' as $$
declare
  v_finding record;
  v_document public.rag_documents;
  v_action text;
  v_repaired jsonb := jsonb_build_array();
  v_skipped jsonb := jsonb_build_array();
begin
  if jsonb_array_length(p_findings) > 100 then
    raise exception 'At most 100 findings are repaired in one call.' using errcode = '22023';
  end if;
  if p_job_id is not null then
    perform 1 from public.rag_ingestion_queue q
    where q.id = p_job_id and q.lease_token = p_lease_token and q.status = 'processing' for update;
    if not found then
      return jsonb_build_object('state', 'lease_lost');
    end if;
  end if;
  for v_finding in
    select f.code, f.subject, f.document_id, f.tenant_id
    from jsonb_to_recordset(p_findings) as f(code text, subject text, document_id uuid, tenant_id text)
    order by f.document_id, f.subject, f.code
  loop
    v_action := 'none';
    if v_finding.code = 'relationship.orphaned' then
      delete from public.rag_relationships r
      where concat_ws('/', r.source_id, r.target_id, r.relationship_type) = v_finding.subject
        and r.source_id = split_part(v_finding.subject, '/', 1)::uuid
        and not (exists (select 1 from public.rag_documents d where d.id = r.source_id and d.tenant_id = r.tenant_id)
          and exists (select 1 from public.rag_documents d where d.id = r.target_id and d.tenant_id = r.tenant_id));
      v_action := case when found then 'removed' else 'none' end;
    elsif v_finding.code in ('chunk.orphaned', 'segment.orphaned', 'generation.orphaned', 'original.orphaned') then
      v_action := public.rag_remove_remains(v_finding.subject::uuid);
    elsif v_finding.code like 'job.%' then
      v_action := public.rag_repair_job(v_finding.code, v_finding.subject::uuid);
    elsif v_finding.code = 'source.duplicate' then
      v_action := public.rag_replace_documents(v_finding.subject);
    elsif v_finding.code = 'storage.unknown-object' then
      if v_finding.subject like 'storage://%'
        and public.rag_unknown_sources(jsonb_build_array(jsonb_build_array(v_finding.subject))) <> '[]' then
        perform public.rag_enqueue(jsonb_build_object('source_uri', v_finding.subject,
          'title', regexp_replace(v_finding.subject, '^.*/', '')));
        v_action := 'queued';
      end if;
    else
      -- With the row locked no job of it begins: the first thing a worker does is to lock it.
      select * into v_document from public.rag_documents d where d.id = v_finding.document_id for update skip locked;
      if found and not public.rag_has_job(v_document.id) then
        if v_finding.code = 'chunk.no-generation' then
          delete from public.rag_document_chunks c where c.document_id = v_document.id and not exists (
            select 1 from public.rag_generations g where g.document_id = c.document_id and g.generation = c.generation);
          delete from public.rag_segments s where s.document_id = v_document.id and s.generation > 0 and not exists (
            select 1 from public.rag_generations g where g.document_id = s.document_id and g.generation = s.generation);
          v_action := 'removed';
        else
          v_action := public.rag_repair_document(v_finding.code, v_document);
        end if;
      end if;
    end if;
    if v_action = 'none' then
      v_skipped := v_skipped || jsonb_build_object('code', v_finding.code, 'subject', v_finding.subject);
    else
      v_repaired := v_repaired || jsonb_build_object('code', v_finding.code, 'subject', v_finding.subject,
        'action', v_action);
      perform public.rag_append_activity(jsonb_build_array(jsonb_build_object('log_id', gen_random_uuid(),
        'activity_type', 'integrity.repaired', 'tenant_id', v_finding.tenant_id, 'job_id', p_job_id,
        'document_id', (select d.id from public.rag_documents d where d.id = v_finding.document_id),
        'metadata', jsonb_build_object('code', v_finding.code, 'subject', v_finding.subject, 'action', v_action))));
    end if;
  end loop;
  if jsonb_path_exists(v_repaired, '$[*].action ? (@ starts with "queued")') then
    perform public.rag_wake_workers('repair', null);
  end if;
  return jsonb_build_object('state', 'repaired', 'repaired', v_repaired, 'skipped', v_skipped);
end $$;

reset search_path;
