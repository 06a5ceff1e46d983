// Three transports, one behaviour: the same call gives the same JSON, and the same trouble the same Failure.
import { beforeAll, expect, test, vi } from "vitest";
import type { Database } from "../../database/database.ts";
import { Failure } from "../../failure/failure.ts";
import { describeEveryDatabase } from "./open-databases.ts";

const FUNCTIONS = `
  create or replace function public.rag_test_echo(
    p_text text default null, p_uuid uuid default null, p_int integer default null, p_bigint bigint default null,
    p_bool boolean default null, p_float double precision default null, p_texts text[] default null,
    p_uuids uuid[] default null, p_json jsonb default null, p_vector extensions.vector default null,
    p_time timestamptz default null, p_missing text default 'the default') returns jsonb language sql as $$
    select jsonb_build_object('text', p_text, 'uuid', p_uuid, 'int', p_int, 'bigint', p_bigint::text, 'bool', p_bool,
      'float', p_float, 'texts', p_texts, 'uuids', p_uuids, 'json', p_json, 'json_is_null', p_json is null,
      'vector', p_vector::text, 'time', p_time, 'missing', p_missing) $$;
  create or replace function public.rag_test_text() returns text language sql as $$ select 'a "quoted" line' || chr(10) || 'ü' $$;
  create or replace function public.rag_test_null() returns text language sql as $$ select null::text $$;
  create or replace function public.rag_test_json_null() returns jsonb language sql as $$ select 'null'::jsonb $$;
  create or replace function public.rag_test_void() returns void language sql as $$ select $$;
  create or replace function public.rag_test_number() returns double precision language sql as $$ select 0.1::double precision $$;
  create or replace function public.rag_test_bigint() returns bigint language sql as $$ select 4503599627370497 $$;
  create or replace function public.rag_test_texts() returns setof text language sql as $$ values ('a'), (null), ('c') $$;
  create or replace function public.rag_test_jsons() returns setof jsonb language sql as $$ values ('{"a": 1}'::jsonb), ('[]') $$;
  create or replace function public.rag_test_rows(p_count integer) returns table (
    n integer, label text, at timestamptz, id uuid, share double precision, tags text[], more jsonb) language sql as $$
    select n, 'row ' || n, '2026-02-03 04:05:06.789012+00'::timestamptz, '00000000-0000-0000-0000-000000000001'::uuid,
      n / 3.0::double precision, array['x', 'y, "z"'], jsonb_build_object('n', n)
    from generate_series(1, p_count) as n $$;
  create or replace function public.rag_test_column() returns table (word text) language sql as $$ select 'one'::text $$;
  create or replace function public.rag_test_out(out a integer, out b text) language sql as $$ select 1, 'two'::text $$;
  create or replace function public.rag_test_size(p_text text, p_json jsonb) returns jsonb language sql as $$
    select jsonb_build_object('bytes', octet_length(p_text), 'items', jsonb_array_length(p_json), 'md5', md5(p_text)) $$;
  create or replace function public.rag_test_long(p_length integer) returns text language sql as $$ select repeat('ä', p_length) $$;
  create or replace function public.rag_test_raise(p_code text) returns jsonb language plpgsql as $$
    begin raise exception 'A sentence of ours.' using errcode = p_code; end $$;
  create table if not exists public.rag_test_table (n serial, note text unique);
  create or replace function public.rag_test_note(p_note text) returns jsonb language plpgsql as $$
    begin
      insert into public.rag_test_table (note) values (p_note) on conflict do nothing;
      return (select to_jsonb(count(*)) from public.rag_test_table where note = p_note);
    end $$;
  create sequence if not exists public.rag_test_cuts;
  create or replace function public.rag_test_cut_once() returns text language plpgsql security definer as $$
    begin
      if nextval('public.rag_test_cuts') = 1 then
        perform pg_terminate_backend(pg_backend_pid());
        perform pg_sleep(5);
      end if;
      return 'answered';
    end $$;
  create or replace function public.rag_test_nap(p_seconds double precision) returns void language sql as $$
    select pg_sleep(p_seconds) $$;
  create or replace function public.rag_test_short_nap() returns void language sql set statement_timeout = '100ms' as $$
    select pg_sleep(30) $$;
  do $$ begin
    if exists (select 1 from pg_roles where rolname = 'service_role') then
      grant all on public.rag_test_table to service_role;
      grant usage on sequence public.rag_test_table_n_seq, public.rag_test_cuts to service_role;
    end if;
  end $$;`;

describeEveryDatabase("a call", (leg, legName) => {
  let database: Database;
  beforeAll(async () => {
    await leg().sql.script(FUNCTIONS);
    database = leg().database;
  });
  const echo = (args: Readonly<Record<string, unknown>>) => database.call("rag_test_echo", args);
  const failure = async (call: Promise<unknown>): Promise<Failure> => {
    const thrown = await call.then(
      (answer) => new Error(`answered ${JSON.stringify(answer)}`),
      (reason: unknown) => reason,
    );
    if (!(thrown instanceof Failure)) throw thrown;
    return thrown;
  };

  const id = "6b1d7f6e-0a43-4c6c-9e8e-1a2b3c4d5e6f";
  test.each([
    ["text", { p_text: "plain" }, { text: "plain" }],
    ["empty text", { p_text: "" }, { text: "" }],
    ["text that looks like JSON", { p_text: '{"a": null}' }, { text: '{"a": null}' }],
    ["unicode", { p_text: "äöü 漢字 🦉 \u2028 e\u0301" }, { text: "äöü 漢字 🦉 \u2028 e\u0301" }],
    ["quotes and escapes", { p_text: `'";--\\ \n\t $1 %s` }, { text: `'";--\\ \n\t $1 %s` }],
    ["a number as text", { p_text: 5 }, { text: "5" }],
    ["an object as text", { p_text: { a: 1 } }, { text: '{"a":1}' }],
    ["uuid", { p_uuid: id }, { uuid: id }],
    ["integer", { p_int: -7 }, { int: -7 }],
    ["integer as text", { p_int: "42" }, { int: 42 }],
    ["bigint as decimal text", { p_bigint: "9007199254740993" }, { bigint: "9007199254740993" }],
    ["bigint", { p_bigint: 9007199254740993n }, { bigint: "9007199254740993" }],
    ["true", { p_bool: true }, { bool: true }],
    ["false", { p_bool: false }, { bool: false }],
    ["float", { p_float: 0.1 }, { float: 0.1 }],
    ["small float", { p_float: 1.5e-300 }, { float: 1.5e-300 }],
    ["not a number", { p_float: Number.NaN }, { float: null }],
    ["text array", { p_texts: ["a", "b"] }, { texts: ["a", "b"] }],
    ["empty array", { p_texts: [] }, { texts: [] }],
    [
      "array of hard texts",
      { p_texts: ["a,b", 'q"q', "b\\s", "{x}", "null", "NULL", "", " ", "ü\n"] },
      { texts: ["a,b", 'q"q', "b\\s", "{x}", "null", "NULL", "", " ", "ü\n"] },
    ],
    ["array with null", { p_texts: ["a", null] }, { texts: ["a", null] }],
    ["array of numbers as texts", { p_texts: [1, 2.5, true] }, { texts: ["1", "2.5", "true"] }],
    ["uuid array", { p_uuids: [id] }, { uuids: [id] }],
    ["object", { p_json: { a: [1, "x", null, { b: true }] } }, { json: { a: [1, "x", null, { b: true }] } }],
    ["array as jsonb", { p_json: [{ a: 1 }, { a: 2 }] }, { json: [{ a: 1 }, { a: 2 }] }],
    ["empty array as jsonb", { p_json: [] }, { json: [] }],
    ["array of texts as jsonb", { p_json: ["a", "b"] }, { json: ["a", "b"] }],
    ["text as jsonb", { p_json: "a" }, { json: "a" }],
    ["number as jsonb", { p_json: 1.25 }, { json: 1.25 }],
    ["null as jsonb is SQL null", { p_json: null }, { json: null, json_is_null: true }],
    ["null inside jsonb", { p_json: { a: null } }, { json: { a: null }, json_is_null: false }],
    ["vector as text", { p_vector: "[1,2.5,-3e-05]" }, { vector: "[1,2.5,-3e-05]" }],
    ["vector as numbers", { p_vector: [1, 2.5] }, { vector: "[1,2.5]" }],
    ["date", { p_time: new Date(0) }, { time: "1970-01-01T00:00:00+00:00" }],
    ["microseconds", { p_time: "2026-01-02T03:04:05.678901Z" }, { time: "2026-01-02T03:04:05.678901+00:00" }],
    ["null", { p_missing: null }, { missing: null }],
    ["undefined is left out", { p_missing: undefined }, { missing: "the default" }],
  ])("carries %s", async (_, args, expected) => {
    expect(await echo(args)).toMatchObject(expected);
  });

  test.each([
    ["rag_test_text", {}, 'a "quoted" line\nü'],
    ["rag_test_null", {}, null],
    ["rag_test_json_null", {}, null],
    ["rag_test_void", {}, null],
    ["rag_test_number", {}, 0.1],
    ["rag_test_bigint", {}, 4503599627370497],
    ["rag_test_texts", {}, ["a", null, "c"]],
    ["rag_test_jsons", {}, [{ a: 1 }, []]],
    ["rag_test_column", {}, [{ word: "one" }]],
    ["rag_test_out", {}, { a: 1, b: "two" }],
    ["rag_test_rows", { p_count: 0 }, []],
    [
      "rag_test_rows",
      { p_count: 1 },
      [
        {
          n: 1,
          label: "row 1",
          at: "2026-02-03T04:05:06.789012+00:00",
          id: "00000000-0000-0000-0000-000000000001",
          share: 1 / 3,
          tags: ["x", 'y, "z"'],
          more: { n: 1 },
        },
      ],
    ],
  ] as const)("gives the answer of %s(%o) as JSON knows it", async (name, args, expected) => {
    expect(await database.call(name, args)).toStrictEqual(expected);
  });

  test("keeps the order of rows up to the limit that every transport can carry", async () => {
    const rows = (await database.call("rag_test_rows", { p_count: 1000 })) as { n: number }[];

    expect(rows.map(({ n }) => n)).toStrictEqual(Array.from({ length: 1000 }, (_, place) => place + 1));
  });

  test("carries two megabytes in and a megabyte out unharmed", async () => {
    const text = "ü🦉 \"'\\\n".repeat(120_000);
    const items = Array.from({ length: 5000 }, (_, n) => ({
      n,
      vector: `[${n},0.12345678,${-n}]`,
      note: "é".repeat(40),
    }));

    const answer = await database.call("rag_test_size", { p_text: text, p_json: items });
    const long = await database.call("rag_test_long", { p_length: 600_000 });

    expect(answer).toMatchObject({ bytes: Buffer.byteLength(text), items: 5000 });
    expect(long).toBe("ä".repeat(600_000));
  });

  test("serves many callers at once and mixes up no answers", async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => echo({ p_int: n })));

    expect(answers.map((answer) => (answer as { int: number }).int)).toStrictEqual(answers.map((_, n) => n));
  });

  test.each([
    ["a function that is not there", "rag_test_nowhere", {}, "database.not-migrated"],
    ["an argument it does not take", "rag_test_echo", { p_other: 1 }, "database.not-migrated"],
    ["a text that is no uuid", "rag_test_echo", { p_uuid: "x" }, "database.rejected"],
    ["a number too large", "rag_test_echo", { p_int: 3_000_000_000 }, "database.rejected"],
    ["a table that is not there", "rag_test_raise", { p_code: "42P01" }, "database.not-migrated"],
    ["a missing permission", "rag_test_raise", { p_code: "42501" }, "database.denied"],
    ["a statement's time limit", "rag_test_raise", { p_code: "57014" }, "database.timeout"],
    ["a deadlock", "rag_test_raise", { p_code: "40P01" }, "database.conflict"],
    ["too many connections", "rag_test_raise", { p_code: "53300" }, "database.unreachable"],
    ["a status of its own", "rag_test_raise", { p_code: "PT409" }, "database.rejected"],
  ] as const)("names %s", async (_, name, args, code) => {
    expect((await failure(database.call(name, args))).code).toBe(code);
  });

  test("repeats what our own functions say, and nothing else of the database's words", async () => {
    const own = await failure(database.call("rag_test_raise", { p_code: "22023" }));
    const foreign = await failure(echo({ p_uuid: "the text of a document" }));

    expect(own.message).toBe("A sentence of ours.");
    expect(`${foreign.message} ${JSON.stringify(foreign.facts)}`).not.toContain("document");
  });

  test.each([
    "pg_sleep",
    "rag_x; drop table y",
    "rag_X",
    "RAG_TEST_TEXT",
  ])("refuses the name %s", async (name) => {
    const refused = await failure(database.call(name as "rag_", {}));

    expect(refused.code).toBe("database.rejected");
  });

  test("refuses an argument's name that is none of ours", async () => {
    const refused = await failure(echo({ 'p_text" => null) --': 1 }));

    expect(refused.code).toBe("database.rejected");
  });

  test("ends with the reason of a signal that fired before, and calls nothing", async () => {
    const reason = new Failure("worker.stopping");

    const call = database.call("rag_test_note", { p_note: "aborted" }, { signal: AbortSignal.abort(reason) });

    await expect(call).rejects.toBe(reason);
    expect(await leg().sql.query("select 1 from public.rag_test_table where note = 'aborted'")).toHaveLength(
      0,
    );
  });

  test("sent twice has one effect", async () => {
    await database.call("rag_test_note", { p_note: "twice" });
    const again = await database.call("rag_test_note", { p_note: "twice" });

    expect(again).toBe(1);
  });

  test("that fails leaves the connection fit for the next", async () => {
    for (let round = 0; round < 5; round += 1)
      await failure(database.call("rag_test_raise", { p_code: "P0001" }));

    expect(await echo({ p_int: 1 })).toMatchObject({ int: 1 });
  });

  if (legName === "embedded") return; // Processes that die and statements that hang: embedded.test.ts.

  test("is sent again when its connection was cut, and answered", async () => {
    await leg().sql.query("alter sequence public.rag_test_cuts restart");

    expect(await database.call("rag_test_cut_once", {})).toBe("answered");
  });

  test("is bound by the time limit in the function's definition", async () => {
    expect((await failure(database.call("rag_test_short_nap", {}))).code).toBe("database.timeout");
  });

  test("ends when its signal fires, with the signal's reason", async () => {
    const stop = new AbortController();
    const reason = new Failure("worker.stopping");
    const naps = () =>
      leg().sql.query(
        "select 1 from pg_stat_activity where state = 'active' and query ~ 'rag_test_nap' and pid <> pg_backend_pid()",
      );

    const call = database.call("rag_test_nap", { p_seconds: 7 }, { signal: stop.signal });
    await vi.waitFor(async () => expect(await naps()).toHaveLength(1), { timeout: 5000 });
    stop.abort(reason);

    await expect(call).rejects.toBe(reason);
    // PostgREST goes on to the end, up to its own limit; over a connection the statement is cancelled.
    if (legName !== "supabase") expect(await naps()).toHaveLength(0);
    expect(await echo({ p_int: 1 })).toMatchObject({ int: 1 });
  });
});
