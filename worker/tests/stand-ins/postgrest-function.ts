// How PostgREST finds a function for a call and runs it: by its name and the names of the arguments given,
// with the JSON body turned into typed arguments by Postgres itself.
import type { Sql } from "postgres";

export type Found = {
  readonly arguments: readonly { readonly name: string; readonly type: string }[];
  readonly returns: "void" | "scalar" | "composite" | "set of scalar" | "set of composite";
  readonly timeout: string | null;
};

const ROW_CAP = 1000;
const ROLE_TIMEOUT = "8s";

/** Every function of that name that takes the given arguments and lacks none it needs. */
export async function findFunctions(
  sql: Sql,
  name: string,
  given: readonly string[],
): Promise<readonly Found[]> {
  const rows = await sql<
    {
      names: string[];
      types: string[];
      defaults: number;
      returns: Found["returns"];
      timeout: string | null;
    }[]
  >`
    select coalesce((
        select json_agg(a.name order by a.place) from unnest(p.proargnames, p.proargmodes)
          with ordinality as a (name, mode, place) where coalesce(a.mode, 'i') in ('i', 'b')), '[]') as names,
      (select coalesce(json_agg(format_type(t, null)), '[]') from unnest(p.proargtypes::oid[]) as t) as types,
      p.pronargdefaults as defaults,
      case when p.prorettype = 'void'::regtype then 'void'
        else case when p.proretset then 'set of ' else '' end
          || case when t.typtype = 'c' or coalesce(p.proargmodes::text[] && '{t,b,o}', false)
             then 'composite' else 'scalar' end end as returns,
      (select split_part(s, '=', 2) from unnest(p.proconfig) s where s like 'statement_timeout=%') as timeout
    from pg_proc p join pg_type t on t.oid = p.prorettype
    where p.pronamespace = 'public'::regnamespace and p.proname = ${name} and p.prokind = 'f'`;
  return rows
    .filter(({ names, defaults }) => {
      const needed = names.slice(0, names.length - defaults);
      return given.every((key) => names.includes(key)) && needed.every((key) => given.includes(key));
    })
    .map(({ names, types, returns, timeout }) => ({
      arguments: names.flatMap((key, place) =>
        given.includes(key) ? [{ name: key, type: types[place] ?? "unknown" }] : [],
      ),
      returns,
      timeout,
    }));
}

/** On a connection of its own. The JSON text of the answer; null for void. One transaction, as service_role, under the role's time limit. */
export async function runFunction(
  sql: Sql,
  name: string,
  found: Found,
  body: string,
): Promise<string | null> {
  const columns = found.arguments.map((argument) => `"${argument.name}" ${argument.type}`).join(", ");
  const named = found.arguments.map((argument) => `"${argument.name}" := body."${argument.name}"`).join(", ");
  const source =
    columns === ""
      ? `public."${name}"() as answer`
      : `json_to_record($1::text::json) as body (${columns}), lateral public."${name}"(${named}) as answer`;
  const chosen = found.returns.endsWith("composite") ? "answer.*" : "answer";
  const value = {
    void: "null::text",
    scalar: "to_json(answer)::text",
    composite: "to_json(capped)::text",
    "set of scalar": "coalesce(json_agg(answer), '[]')::text",
    "set of composite": "coalesce(json_agg(capped), '[]')::text",
  }[found.returns];
  const limit = `set local statement_timeout = '${found.timeout ?? ROLE_TIMEOUT}'`;
  await sql.unsafe(`begin; set local role service_role; ${limit}`).simple();
  try {
    const [row] = await sql.unsafe(
      `select ${value} as body from (select ${chosen} from ${source} limit ${ROW_CAP}) as capped`,
      columns === "" ? [] : [body],
    );
    await sql.unsafe("commit").simple();
    return (row?.body as string | null | undefined) ?? (found.returns === "void" ? null : "null");
  } catch (thrown) {
    await sql
      .unsafe("rollback")
      .simple()
      .catch(() => {});
    throw thrown;
  }
}
