// Writes worker/client/schema.ts, the types of what applications read, write and call, from the schema itself: an
// embedded database is migrated and asked. `--check` writes nothing and fails when the file is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbedded } from "../worker/database/embedded.ts";
import type { SqlRow, SqlSession } from "../worker/database/sql-session.ts";

const PATH = join(import.meta.dirname, "../worker/client/schema.ts");
const TABLES = ["rag_documents", "rag_ingestion_queue", "rag_segments", "rag_tenants"];
const VIEWS = ["rag_ingestion_log", "rag_live_analyses", "rag_live_chunks", "rag_waiting_jobs"];
// What supabase/README.md marks as called by applications, and what the client calls for them.
const FUNCTIONS = [
  "rag_cancel_jobs",
  "rag_delete_documents",
  "rag_describe_job",
  "rag_ensure_vector_index",
  "rag_enqueue",
  "rag_highlights",
  "rag_hybrid_search",
  "rag_list_jobs",
  "rag_neighbours",
  "rag_pause_jobs",
  "rag_read_activity",
  "rag_read_analysis",
  "rag_read_segment_analyses",
  "rag_related",
  "rag_requeue_jobs",
  "rag_resume_jobs",
  "rag_search_chunks",
  "rag_text_search",
  "rag_upsert_entity",
  "rag_watch_table",
];

// A type as JSON carries it over the API. A domain that lists its values is the union of them.
const NAMED_TYPES = `
  with recursive bases as (
    select t.oid, t.oid as base from pg_catalog.pg_type t where t.typtype <> 'd'
    union all
    select t.oid, b.base from pg_catalog.pg_type t join bases b on b.oid = t.typbasetype where t.typtype = 'd')
  select t.oid::text as oid, coalesce(e.typname, b.typname) as name, e.oid is not null as array,
    (select pg_catalog.pg_get_constraintdef(c.oid) from pg_catalog.pg_constraint c
      where c.contypid = t.oid and c.contype = 'c' limit 1) as domain_check
  from pg_catalog.pg_type t join bases on bases.oid = t.oid join pg_catalog.pg_type b on b.oid = bases.base
  left join pg_catalog.pg_type e on e.oid = b.typelem and b.typcategory = 'A'`;

const COLUMNS = `
  select a.attname as name, a.atttypid::text as type, a.attnotnull as not_null,
    a.atthasdef or a.attidentity <> '' as filled, a.attgenerated <> '' or a.attidentity = 'a' as fixed
  from pg_catalog.pg_attribute a
  where a.attrelid = ('public.' || $1)::regclass and a.attnum > 0 and not a.attisdropped
  order by a.attname collate "C"`;

const SIGNATURES = `
  select p.proname as name, p.pronargs, p.pronargdefaults, p.proretset, p.prorettype::text as returns,
    pg_catalog.array_to_json(p.proargnames) as names, pg_catalog.array_to_json(p.proargmodes) as modes,
    pg_catalog.array_to_json(coalesce(p.proallargtypes::oid[], p.proargtypes::oid[])) as types
  from pg_catalog.pg_proc p
  where p.pronamespace = 'public'::regnamespace and p.proname = any (string_to_array($1, ','))
  order by p.proname collate "C"`;

const numbers = new Set(["int2", "int4", "int8", "float4", "float8", "numeric"]);

function typed(row: SqlRow): string {
  const values = [...String(row.domain_check ?? "").matchAll(/'([^']*)'::text/g)].map(([, value]) => value);
  const listed = /= ANY/.test(String(row.domain_check)) ? values : [];
  const name = String(row.name);
  const one = numbers.has(name)
    ? "number"
    : name === "bool"
      ? "boolean"
      : name === "void"
        ? "undefined"
        : name.startsWith("json")
          ? "Json"
          : listed.map((value) => JSON.stringify(value)).join(" | ") || "string";
  return row.array ? `${one}[]` : one;
}

async function typesOf(session: SqlSession): Promise<(oid: unknown) => string> {
  const rows = await session.query(NAMED_TYPES);
  const types = new Map(rows.map((row) => [String(row.oid), typed(row)]));
  return (oid) => types.get(String(oid)) ?? "string";
}

type Member = { readonly name: string; readonly optional?: boolean; readonly type: string };

const block = (members: readonly Member[], indent: string): string =>
  members.length === 0
    ? "Record<never, never>"
    : `{\n${members
        .map(({ name, optional, type }) => `${indent}  ${name}${optional ? "?" : ""}: ${type};\n`)
        .join("")}${indent}}`;

async function relation(
  session: SqlSession,
  name: string,
  type: (oid: unknown) => string,
  writable: boolean,
) {
  const columns = await session.query(COLUMNS, [name]);
  const typeOf = (column: SqlRow) => type(column.type) + (column.not_null ? "" : " | null");
  const read = columns.map((column) => ({ name: String(column.name), type: typeOf(column) }));
  const written = columns
    .filter((column) => !column.fixed)
    .map((column) => ({
      name: String(column.name),
      type: typeOf(column),
      optional: column.filled === true || !column.not_null,
    }));
  const changed = written.map((member) => ({ ...member, optional: true }));
  return block(
    [
      { name: "Row", type: block(read, "        ") },
      ...(writable
        ? [
            { name: "Insert", type: block(written, "        ") },
            { name: "Update", type: block(changed, "        ") },
          ]
        : []),
      { name: "Relationships", type: "[]" },
    ],
    "      ",
  );
}

function signature(row: SqlRow, type: (oid: unknown) => string): string {
  const names = (row.names ?? []) as readonly string[]; // SAFETY: json arrays of SIGNATURES.
  const types = row.types as readonly unknown[];
  const modes = (row.modes ?? names.map(() => "i")) as readonly string[];
  const all = types.map((oid, at) => ({ name: names[at] ?? "", type: type(oid), mode: modes[at] }));
  const taken = all.filter(({ mode }) => mode === "i");
  const required = taken.length - Number(row.pronargdefaults);
  const given = all.filter(({ mode }) => mode === "t");
  const args = taken.map((member, at) =>
    // null is how "as by default" is said where the default is null; the catalogue does not tell which do.
    at < required ? member : { ...member, optional: true, type: `${member.type} | null` },
  );
  const answer =
    given.length === 0
      ? type(row.returns)
      : block(
          given.map((member) => ({ ...member, type: `${member.type} | null` })),
          "        ",
        );
  return block(
    [
      { name: "Args", type: block(args, "        ") },
      { name: "Returns", type: row.proretset ? `${answer}[]` : answer },
    ],
    "      ",
  );
}

async function schema(session: SqlSession): Promise<string> {
  const type = await typesOf(session);
  const relations = async (names: readonly string[], writable: boolean): Promise<Member[]> => {
    const members: Member[] = [];
    for (const name of names) members.push({ name, type: await relation(session, name, type, writable) });
    return members;
  };
  const functions = await session.query(SIGNATURES, [FUNCTIONS.join(",")]);
  const found = functions.map((row) => String(row.name));
  const missing = FUNCTIONS.filter((name) => !found.includes(name));
  if (missing.length > 0) throw new Error(`The schema has no ${missing.join(", ")}.`);
  const body = block(
    [
      { name: "Tables", type: block(await relations(TABLES, true), "    ") },
      { name: "Views", type: block(await relations(VIEWS, false), "    ") },
      {
        name: "Functions",
        type: block(
          functions.map((row) => ({ name: String(row.name), type: signature(row, type) })),
          "    ",
        ),
      },
    ],
    "  ",
  );
  return [
    "// Generated from the migrations by scripts/client-types.ts: change them there. For `createClient<RagDatabase>`.",
    "// Postgres does not say which columns a function may leave empty, so each may be null here.",
    "export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];",
    "",
    `export type RagDatabase = {\n  public: ${body};\n};\n`,
  ].join("\n");
}

async function main(checkOnly: boolean): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "rag-types-"));
  try {
    const database = await openEmbedded({ dir: folder });
    const wanted = await schema(database.session).finally(() => database.close());
    if (readFileSync(PATH, "utf8") === wanted) return 0;
    if (!checkOnly) writeFileSync(PATH, wanted);
    process.stdout.write(
      checkOnly
        ? "worker/client/schema.ts is out of date. Run: npx node scripts/client-types.ts\n"
        : "worker/client/schema.ts written.\n",
    );
    return checkOnly ? 1 : 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(process.argv.includes("--check"));
