// PGlite itself: Postgres with pgvector inside this process, on a folder that nobody else may have open.
// Its one session serves one statement at a time, and a statement cannot be interrupted.
import { PGlite, type Transaction } from "@electric-sql/pglite";
import { vector } from "@electric-sql/pglite-pgvector";
import { z } from "zod";
import { Failure } from "../failure/failure.ts";
import {
  type Arguments,
  parseSignatures,
  readAnswer,
  SIGNATURES_SQL,
  type Signature,
  writeCall,
} from "./function-call.ts";
import type { OpenSqlSession, SqlSession } from "./sql-session.ts";
import { failureFromSql } from "./sqlstate.ts";

export type Engine = {
  /** One call that has been checked; see SqlCall. */
  call(name: string, args: Arguments): Promise<unknown>;
  readonly session: OpenSqlSession;
};

/** Opens a data folder, or makes one in an empty place (some seconds of initdb). */
export async function openEngine(dataFolder: string): Promise<Engine> {
  const pglite = await PGlite.create({
    dataDir: dataFolder,
    extensions: { vector },
    parsers: { [BIGINT]: (text: string) => text },
  });
  let known: ReadonlyMap<string, Signature> | null = null;

  const call = async (name: string, args: Arguments): Promise<unknown> => {
    known ??= parseSignatures((await pglite.query<{ answer: unknown }>(SIGNATURES_SQL)).rows[0]?.answer);
    const signature = known.get(name);
    if (signature === undefined) throw new Failure("database.not-migrated", { facts: { function: name } });
    const { sql, parameters } = writeCall(name, args, signature);
    const { rows } = await pglite.query<{ answer: unknown }>(sql, [...parameters], {
      paramTypes: parameters.map(() => UNKNOWN_TYPE),
    });
    return readAnswer(rows[0]?.answer);
  };

  return {
    call: (name, args) =>
      asFailures(() => call(name, args)).catch((thrown: Failure) => {
        if (thrown.code === "database.not-migrated") known = null; // The schema may have changed since the look-up.
        throw thrown;
      }),
    session: {
      ...sessionOn(pglite),
      transaction: (work) =>
        asFailures(() => pglite.transaction((transaction) => work(sessionOn(transaction)))),
      close: () => pglite.close(),
    },
  };
}

const BIGINT = 20;
// Resolved by the place where the parameter stands, as a literal is.
const UNKNOWN_TYPE = 705;

function sessionOn(pglite: PGlite | Transaction): SqlSession {
  const session: SqlSession = {
    query: (sql, parameters = []) =>
      asFailures(async () => Rows.parse((await pglite.query(sql, [...parameters])).rows)),
    script: (sql) =>
      asFailures(async () => {
        await pglite.exec(sql);
      }),
    transaction: (work) => work(session),
  };
  return session;
}

const Rows = z.array(z.record(z.string(), z.unknown()));

async function asFailures<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    throw failureFromSql(thrown);
  }
}
