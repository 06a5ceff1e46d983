// One call of a function as a statement, so that the answer is what PostgREST gives for the same arguments.
// Arguments travel as text without a declared type: Postgres resolves them by the function's named
// signature. Only arrays and JSON need to know what the function takes, hence the look-up.
import { z } from "zod";
import { Failure } from "../failure/failure.ts";

export type Arguments = Readonly<Record<string, unknown>>;

const FUNCTION_NAME = /^rag_[a-z_]+$/;
const ARGUMENT_NAME = /^p_[a-z_]+$/;

/**
 * The arguments as every transport sends them: names checked, undefined left out (the function's default
 * counts), values as JSON knows them. Throws `database.rejected` for a name that is not ours.
 */
export function checkCall(name: string, args: Arguments): Arguments {
  const wrong = [
    FUNCTION_NAME.test(name) ? [] : [name],
    Object.keys(args).filter((key) => !ARGUMENT_NAME.test(key)),
  ];
  const first = wrong.flat()[0];
  if (first !== undefined)
    throw new Failure("database.rejected", {
      says: "Functions are called by names such as rag_reap, arguments by names such as p_limit.",
      facts: { name: first },
    });
  return Object.fromEntries(
    Object.entries(args)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, asJsonKnowsIt(value)]),
  );
}

function asJsonKnowsIt(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  return value instanceof Date ? value.toISOString() : value;
}

const Signatures = z.record(
  z.string(),
  z.object({
    /** `scalar`: the value itself. `rows`: an array with one value a row. `nothing`: null. */
    answers: z.enum(["scalar", "rows", "nothing"]),
    /** One named column: a row with that name, where Postgres would give the bare value. */
    column: z.boolean(),
    /** What must be known of an argument's type to write it as text. */
    takes: z.record(z.string(), z.enum(["array", "json", "plain"])),
    /** `set statement_timeout` in the function's definition, as PostgREST obeys it too. */
    timeout: z.string().nullable(),
  }),
);
export type Signature = z.infer<typeof Signatures>[string];

/** Every function of ours that this role may see; one row, one column `answer`. */
export const SIGNATURES_SQL = `
  select coalesce(pg_catalog.json_object_agg(p.proname, pg_catalog.json_build_object(
    'answers', case when p.prorettype = 'pg_catalog.void'::pg_catalog.regtype then 'nothing'
                    when p.proretset then 'rows' else 'scalar' end,
    'column', coalesce(p.proargmodes, '{}')::text[] && '{t,b,o}' and p.prorettype not in (
      select oid from pg_catalog.pg_type where typtype in ('c', 'p')),
    'takes', (
      select coalesce(pg_catalog.json_object_agg(argument.name, case
          when t.typcategory = 'A' then 'array'
          when t.oid in ('pg_catalog.json'::pg_catalog.regtype, 'pg_catalog.jsonb'::pg_catalog.regtype) then 'json'
          else 'plain' end), '{}')
      from unnest(coalesce(p.proallargtypes, p.proargtypes::pg_catalog.oid[]), p.proargnames,
        p.proargmodes) as argument (type, name, mode)
      join pg_catalog.pg_type t on t.oid = argument.type
      where coalesce(argument.mode, 'i') in ('i', 'b')),
    'timeout', (
      select pg_catalog.split_part(setting, '=', 2) from pg_catalog.unnest(p.proconfig) as setting
      where setting like 'statement_timeout=%')
  )), '{}')::text as answer
  from pg_catalog.pg_proc p
  where p.pronamespace = 'public'::pg_catalog.regnamespace and p.prokind = 'f' and p.proname like 'rag\\_%'
    and p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype`;

export const parseSignatures = (text: unknown): ReadonlyMap<string, Signature> =>
  new Map(Object.entries(Signatures.parse(JSON.parse(z.string().parse(text)))));

export type CallStatement = {
  readonly sql: string;
  readonly parameters: readonly (string | null)[];
};

/**
 * The statement for a checked call; its only column is `answer`, JSON as text.
 * Throws `database.not-migrated` for an argument the function does not have.
 */
export function writeCall(name: string, args: Arguments, signature: Signature): CallStatement {
  const given = Object.entries(args);
  const parameters = given.map(([key, value]) => {
    const takes = signature.takes[key];
    if (takes === undefined)
      throw new Failure("database.not-migrated", { facts: { function: name, argument: key } });
    return asText(value, takes);
  });
  const call = `public.${name}(${given.map(([key], place) => `${key} => $${place + 1}`).join(", ")})`;
  // In the list of columns, where it can stand: a function in FROM has its answer copied once more.
  if (signature.answers === "scalar" && !signature.column)
    return { sql: `select pg_catalog.to_json(${call})::text as answer`, parameters };
  const source = signature.column
    ? `(select answer_row.* from ${call} as answer_row) as answer_row`
    : `${call} as answer_row`;
  const answer = {
    scalar: "pg_catalog.to_json(answer_row)::text",
    rows: "coalesce(pg_catalog.json_agg(answer_row), '[]')::text",
    nothing: "null::text",
  }[signature.answers];
  return { sql: `select ${answer} as answer from ${source}`, parameters };
}

/** What the statement's `answer` column says, as PostgREST's client would have parsed it. */
export function readAnswer(answer: unknown): unknown {
  return typeof answer === "string" ? JSON.parse(answer) : null;
}

function asText(value: unknown, takes: "array" | "json" | "plain"): string | null {
  if (value === null) return null;
  if (takes === "json") return JSON.stringify(value);
  if (takes === "array" && Array.isArray(value)) return arrayLiteral(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function arrayLiteral(items: readonly unknown[]): string {
  const written = items.map((item) => {
    if (item === null || item === undefined) return "null";
    if (Array.isArray(item)) return arrayLiteral(item);
    const text = typeof item === "object" ? JSON.stringify(item) : String(item);
    return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  });
  return `{${written.join(",")}}`;
}
