// Raw SQL over Postgres, for migrations, doctor and tests. A pool of its own, so that it never takes a
// connection from the worker's calls.
import type { Sql } from "postgres";
import { readAddress } from "./postgres-address.ts";
import { type Connection, openPool } from "./postgres-pool.ts";
import type { OpenSqlSession, SqlSession } from "./sql-session.ts";
import { failureFromSql } from "./sqlstate.ts";

type Options = { readonly url: string; readonly poolMax?: number; readonly poolTimeoutSeconds?: number };

/** Opens lazily, as openPostgres does. */
export async function openPostgresSession(options: Options): Promise<OpenSqlSession> {
  const address = readAddress(options.url);
  const pool = openPool({
    address,
    poolMax: options.poolMax ?? 2,
    poolTimeoutSeconds: options.poolTimeoutSeconds ?? 30,
    types: { json: jsonOnce },
    fetchTypes: true,
  });
  const guarded = async <Result>(work: (connection: Connection) => Promise<Result>): Promise<Result> => {
    try {
      return await pool.use(work);
    } catch (thrown) {
      throw failureFromSql(thrown, address);
    }
  };
  return {
    query: (text, parameters = []) => guarded(({ sql }) => sessionOn(sql).query(text, parameters)),
    script: (text) => guarded(({ sql }) => sessionOn(sql).script(text)),
    transaction: (work) =>
      guarded(async ({ sql }) => {
        await sql.unsafe("begin").simple();
        try {
          const result = await work(sessionOn(sql));
          await sql.unsafe("commit").simple();
          return result;
        } catch (thrown) {
          await sql
            .unsafe("rollback")
            .simple()
            .catch(() => {}); // The first error is the one to tell.
          throw thrown;
        }
      }),
    close: () => pool.close(),
  };
}

function sessionOn(sql: Sql): SqlSession {
  const session: SqlSession = {
    // SAFETY: the library passes unknown values to the serialiser of the type that the server names.
    query: (text, parameters = []) => sql.unsafe(text, parameters as never[]),
    script: async (text) => {
      await sql.unsafe(text).simple();
    },
    transaction: (work) => work(session),
  };
  return session;
}

/** Text is taken for JSON already written; the library alone would quote it again. */
const jsonOnce = {
  to: 114,
  from: [114, 3802],
  serialize: (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value)),
  parse: (text: string): unknown => JSON.parse(text),
};
