-- Optional: every file in a Storage bucket becomes a document. An upload is ingested, a newer upload of the same name
-- is ingested again, a renamed object keeps its document, a deleted one takes it with it. The object's id is the
-- document's external_id, its owner the document's user_id.
--
-- Put the name of your bucket in the place of documents (twice), then run this once, in the database of your
-- project; running it again changes nothing but enqueues what is there once more.
--   psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -f supabase/recipes/watched_bucket.sql
--
-- To look:  select * from rag_ingestion_log order by started_at desc limit 10;
--           select * from rag_dead_letters where way = 'table';
-- To stop:  select rag_unwatch_table('storage.objects');

do $$
begin
  if to_regclass('storage.objects') is null then
    raise exception 'There is no Storage in this database.';
  end if;
  if to_regprocedure('public.rag_watch_table(text, text, text, jsonb)') is null then
    raise exception 'The schema of the worker is not in this database. Run: npm run rag -- migrate';
  end if;
end $$;

-- version changes with each upload. Folders' placeholder objects and names with a percent sign, which Storage does not
-- allow either, do no harm: a file without text fails by itself.
select public.rag_watch_table('storage.objects', 'id', 'name', jsonb_build_object(
  'bucket', 'documents',
  'only', jsonb_build_object('bucket_id', 'documents'),
  'heeds', jsonb_build_array('version'),
  'user_column', 'owner_id',
  'collection', 'documents'));
