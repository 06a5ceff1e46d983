// Ways in that end in SQL: watched tables, files that are looked at again, letters that nobody could read, turns.
import { randomUUID } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { describeEveryDatabase } from "./open-databases.ts";
import { World } from "./world.ts";

describeEveryDatabase("ways in", (leg) => {
  let world: World;
  beforeEach(async () => {
    world = await new World(leg()).start();
    await world.sql.query("delete from public.rag_dead_letters");
    await world.sql.query("delete from public.rag_turns");
  });

  const documents = () =>
    world.sql.query(
      `select id, external_id, source_uri, title, collection, tenant_id, user_id from public.rag_documents
       order by external_id, source_uri`,
    );
  const queued = async () =>
    (await world.sql.query("select document_id from public.rag_ingestion_queue where status = 'queued'"))
      .length;

  // An operator's own session: making a trigger takes the table's owner.
  const watch = async (table: string, id: string, path: string, options: object = {}) => {
    const [row] = await world.sql.query("select public.rag_watch_table($1, $2, $3, $4::jsonb) as answer", [
      table,
      id,
      path,
      options,
    ]);
    return row?.answer;
  };
  const unwatch = async (table: string) =>
    (await world.sql.query("select public.rag_unwatch_table($1) as was", [table]))[0]?.was;

  async function freshTable(columns = ""): Promise<void> {
    await world.sql.script(`drop table if exists public."TblDocumentFiles";
      create table public."TblDocumentFiles" ("DocumentID" integer primary key, "DocumentFilePath" text, "Owner" text,
        "Version" integer default 1${columns})`);
  }

  test("a watched table with quoted names enqueues what is there and what comes, by its own id", async () => {
    await freshTable();
    await world.sql.query(`insert into public."TblDocumentFiles" values (1, 'a/first 100%.pdf', 'ann')`);

    const answer = await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"', {
      user_column: '"Owner"',
    });
    await world.sql.query(`insert into public."TblDocumentFiles" values (2, '/b/second.pdf', 'ben')`);

    expect(answer).toEqual({ watched: 'public."TblDocumentFiles"', enqueued: 1 });
    expect(await documents()).toMatchObject([
      {
        external_id: "1",
        source_uri: "file:///a/first 100%25.pdf",
        title: "first 100%.pdf",
        user_id: "ann",
        collection: "TblDocumentFiles",
      },
      { external_id: "2", source_uri: "file:///b/second.pdf", user_id: "ben" },
    ]);
    expect(await queued()).toBe(2);
  });

  test("a changed path reads the same document again, another column changes nothing", async () => {
    await freshTable();
    await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"');
    await world.sql.query(`insert into public."TblDocumentFiles" values (1, 'old.pdf')`);
    await world.sql.query("delete from public.rag_ingestion_queue");

    await world.sql.query(`update public."TblDocumentFiles" set "Version" = 2`);
    const afterOther = await queued();
    await world.sql.query(`update public."TblDocumentFiles" set "DocumentFilePath" = 'new.pdf'`);

    expect(afterOther).toBe(0);
    expect(await documents()).toMatchObject([{ external_id: "1", source_uri: "file:///new.pdf" }]);
    expect(await queued()).toBe(1);
  });

  test("columns that are heeded mean that the content changed", async () => {
    await freshTable();
    await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"', { heeds: ['"Version"'] });
    await world.sql.query(`insert into public."TblDocumentFiles" values (1, 'a.pdf')`);
    await world.sql.query("delete from public.rag_ingestion_queue");

    await world.sql.query(`update public."TblDocumentFiles" set "Version" = 2`);

    expect(await queued()).toBe(1);
  });

  test("a deleted row, an emptied path and another id take their document with them, unless it is to be kept", async () => {
    await freshTable();
    await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"');
    await world.sql.query(`insert into public."TblDocumentFiles" values (1, 'a'), (2, 'b'), (3, 'c')`);

    await world.sql.query(`delete from public."TblDocumentFiles" where "DocumentID" = 1`);
    await world.sql.query(
      `update public."TblDocumentFiles" set "DocumentFilePath" = null where "DocumentID" = 2`,
    );
    await world.sql.query(`update public."TblDocumentFiles" set "DocumentID" = 4 where "DocumentID" = 3`);
    const left = await documents();
    await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"', {
      on_delete: "keep",
      existing: false,
    });
    await world.sql.query(`delete from public."TblDocumentFiles"`);

    expect(left).toMatchObject([{ external_id: "4", source_uri: "file:///c" }]);
    expect(await documents()).toHaveLength(1);
  });

  test("of a table of objects only those of the bucket that is meant are taken", async () => {
    await world.sql.script(`create schema if not exists storage; drop table if exists storage.objects;
      create table storage.objects (id uuid primary key, bucket_id text, name text, owner_id text, version text)`);
    await watch("storage.objects", "id", "name", {
      bucket: "documents",
      only: { bucket_id: "documents" },
      heeds: ["version"],
      user_column: "owner_id",
      collection: "documents",
    });
    const id = randomUUID();

    await world.sql.query(
      `insert into storage.objects values ($1, 'documents', 'acme/a b.pdf', 'ann', 'v1'), ($2, 'avatars', 'x.png', 'ann', 'v1')`,
      [id, randomUUID()],
    );
    await world.sql.query("update storage.objects set name = 'acme/c.pdf' where id = $1", [id]);

    expect(await documents()).toMatchObject([
      {
        external_id: id,
        source_uri: "storage://documents/acme/c.pdf",
        user_id: "ann",
        collection: "documents",
      },
    ]);
  });

  test("a row that cannot become a job is a letter, and the application's own write goes through", async () => {
    await freshTable(', "Tenant" text');
    await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"', { tenant_column: '"Tenant"' });
    await world.sql.script("alter table public.rag_ingestion_queue rename to rag_ingestion_queue_away");
    try {
      await world.sql.query(`insert into public."TblDocumentFiles" values (1, 'a.pdf', null, 1, 'acme')`);
    } finally {
      await world.sql.script("alter table public.rag_ingestion_queue_away rename to rag_ingestion_queue");
    }

    const letters = await world.sql.query(
      "select way, subject, message_id, tenant_id, code from public.rag_dead_letters",
    );
    expect(letters).toEqual([
      {
        way: "table",
        subject: 'public."TblDocumentFiles"',
        message_id: "1",
        tenant_id: "acme",
        code: "ingress.refused",
      },
    ]);
    expect(await world.sql.query(`select * from public."TblDocumentFiles"`)).toHaveLength(1);
  });

  test("names that are no columns or tables of theirs are refused, whatever is written in them", async () => {
    await freshTable();
    await expect(watch('"TblDocumentFiles"', "documentid", '"DocumentFilePath"')).rejects.toThrow(/column/);
    await expect(
      watch('"TblDocumentFiles"', '"DocumentID"; drop table x', '"DocumentFilePath"'),
    ).rejects.toThrow();
    await expect(watch("rag_documents", "id", "source_uri")).rejects.toThrow(/ours/);
    await expect(
      watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"', { colection: "x" }),
    ).rejects.toThrow(/colection/);
  });

  test("an unwatched table is a table like any other, and its documents stay", async () => {
    await freshTable();
    await watch('"TblDocumentFiles"', '"DocumentID"', '"DocumentFilePath"');
    await world.sql.query(`insert into public."TblDocumentFiles" values (1, 'a.pdf')`);

    const was = await unwatch('"TblDocumentFiles"');
    const again = await unwatch('"TblDocumentFiles"');
    await world.sql.query(`insert into public."TblDocumentFiles" values (2, 'b.pdf')`);

    expect([was, again]).toEqual([true, false]);
    expect(await documents()).toHaveLength(1);
  });

  const note = (path: string, fields: object = {}) => ({
    place: "root",
    path,
    byte_size: 5,
    modified_us: 1_000,
    content_sha256: `sha of ${path}`,
    read_as: "so",
    ...fields,
  });
  const enqueueFile = async (path: string, fields: object = {}) =>
    (await world.call("rag_enqueue_file", {
      p_request: { source_uri: `file:///${path}`, title: path },
      p_file: note(path, fields),
    })) as { document_id: string };
  const compare = (files: readonly object[], fields: object = {}) =>
    world.call("rag_compare_files", { p_request: { place: "root", read_as: "so", files, ...fields } });

  test("only files that are not as they were are told, with what is known of them", async () => {
    const { document_id } = await enqueueFile("a.md");
    await enqueueFile("b.md");
    const file = (path: string, fields: object = {}) => ({
      path,
      byte_size: 5,
      modified_us: 1_000,
      ...fields,
    });

    const found = await compare([file("a.md"), file("b.md", { byte_size: 6 }), file("new.md")]);
    const touched = await compare([file("a.md", { modified_us: 2_000 })]);
    const otherwise = await compare([file("a.md")], { read_as: "otherwise" });
    const unfinished = await compare([file("a.md")], { finished: true });
    const elsewhere = await compare([file("a.md")], { tenant_id: "other" });
    await world.sql.query("delete from public.rag_ingestion_queue");
    const failed = await compare([file("a.md")]);

    const known = { index: 0, document_id, content_sha256: "sha of a.md" };
    expect(found).toMatchObject([
      { index: 1, settled: true },
      { index: 2, document_id: null },
    ]);
    expect(touched).toEqual([{ ...known, settled: true }]);
    expect(otherwise).toEqual([{ ...known, settled: false }]);
    expect(unfinished).toEqual([{ ...known, settled: false }]);
    expect(elsewhere).toMatchObject([{ document_id: null }]);
    expect(failed).toEqual([{ ...known, settled: false }]);
  });

  test("a file that was noted while it could still change without a trace is never as it was", async () => {
    await enqueueFile("a.md", { modified_us: null });

    expect(await compare([{ path: "a.md", byte_size: 5, modified_us: 1_000 }])).toHaveLength(1);
  });

  test("a moved file keeps its document, its title follows its name, and moving it twice is moving it once", async () => {
    const { document_id } = await enqueueFile("a.md");
    const to = { path: "deep/b.md", source_uri: "file:///deep/b.md", byte_size: 5, modified_us: 1 };
    const move = () => world.call("rag_move_file", { p_document_id: document_id, p_from: "a.md", p_to: to });

    const answers = [await move(), await move()];

    expect(answers).toEqual(["moved", "moved"]);
    expect(await documents()).toMatchObject([
      { id: document_id, source_uri: "file:///deep/b.md", title: "b.md" },
    ]);
    await enqueueFile("c.md");
    expect(
      await world.call("rag_move_file", {
        p_document_id: document_id,
        p_from: "deep/b.md",
        p_to: { ...to, path: "c.md", source_uri: "file:///c.md" },
      }),
    ).toBe("taken");
    expect(await world.call("rag_move_file", { p_document_id: randomUUID(), p_from: "a.md", p_to: to })).toBe(
      "gone",
    );
  });

  test("what is known below a folder comes in pages, and nothing from beside it", async () => {
    for (const path of ["docs/a", "docs/b/c", "docs-old/x", "docs.md", "docs0"]) await enqueueFile(path);
    const list = async (folder: string, after: string | null, limit = 1000) =>
      (
        (await world.call("rag_list_files", {
          p_filter: { place: "root", folder },
          p_after: after,
          p_limit: limit,
        })) as { path: string }[]
      ).map(({ path }) => path);

    expect(await list("docs/", null)).toEqual(["docs/a", "docs/b/c"]);
    expect(await list("docs/", "docs/a")).toEqual(["docs/b/c"]);
    expect(await list("", null, 2)).toHaveLength(2);
    expect(await list("", null)).toHaveLength(5);
  });

  test("a letter that is delivered again is one letter, and goes with its tenant or its age", async () => {
    const letter = { way: "nats", subject: "s", code: "ingress.malformed", detail: "no", payload: "x" };
    const bury = (payload_sha256: string, fields: object = {}) =>
      world.call("rag_bury_message", {
        p_letter: { ...letter, payload_bytes: 1, payload_sha256, ...fields },
      });

    const first = (await bury("1", { tenant_id: "acme" })) as { id: string; first: boolean };
    const second = (await bury("1")) as { id: string; first: boolean };
    await bury("2");

    expect([first.first, second.first, first.id === second.id]).toEqual([true, false, true]);
    const erase = (p_filter: object) => world.call("rag_erase_dead_letters", { p_filter });
    expect(await erase({ tenant_id: "acme" })).toEqual({ erased: 1, more: false });
    expect(await erase({ older_than_days: 1 })).toEqual({ erased: 0, more: false });
    await world.sql.query("update public.rag_dead_letters set created_at = now() - interval '2 days'");
    expect(await erase({ older_than_days: 1 })).toEqual({ erased: 1, more: false });
    await expect(erase({})).rejects.toThrow();
  });

  test("one replica at a time has the turn, keeps it while it asks, and loses it when it is silent", async () => {
    const take = (holder: string) =>
      world.call("rag_take_turn", { p_name: "root", p_holder: holder, p_seconds: 60 });

    const answers = [await take("a"), await take("b"), await take("a")];
    await world.sql.query("update public.rag_turns set ends_at = now() - interval '1 second'");

    expect(answers).toEqual([true, false, true]);
    expect([await take("b"), await take("a")]).toEqual([true, false]);
  });
});
