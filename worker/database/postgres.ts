// The Postgres transport: direct, or through a session or transaction pooler. Nothing is kept in a session.
import type { PendingQuery, Row } from "postgres";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { orAborted } from "../timing/durations.ts";
import type { Database } from "./database.ts";
import {
  type Arguments,
  type CallStatement,
  checkCall,
  parseSignatures,
  readAnswer,
  SIGNATURES_SQL,
  type Signature,
  writeCall,
} from "./function-call.ts";
import { openGate } from "./gate.ts";
import { readAddress } from "./postgres-address.ts";
import { type Backend, cancelStatement } from "./postgres-cancel.ts";
import { type Connection, openPool, type PostgresPool } from "./postgres-pool.ts";
import { final, retrying } from "./retrying.ts";
import { failureFromSql } from "./sqlstate.ts";
import { stageByCalls } from "./stage-by-calls.ts";
import { stageByCopy } from "./stage-by-copy.ts";

export type PostgresOptions = {
  readonly url: string;
  readonly poolMax: number;
  /** Longest wait for a connection, in seconds; `database.unreachable` afterwards. */
  readonly poolTimeoutSeconds: number;
  /** Longest run of one call, in seconds, where the function's definition sets no `statement_timeout`. */
  readonly callTimeoutSeconds?: number;
};

const CONNECT_TIMEOUTS = new Set(["CONNECT_TIMEOUT", "ETIMEDOUT"]);
const CALL_SECONDS = 60; // As long as the Supabase API allows at most.
const LOOK_MS = 20_000;
/** After its time limit a statement gets this long to obey the cancel request; then its connection is cut. */
const CANCEL_GRACE_MS = 5000;

/**
 * Opens lazily: the first call connects. Throws `config.invalid` for an address that cannot be read;
 * calls throw `database.*`.
 */
export async function openPostgres(options: PostgresOptions): Promise<Database> {
  const address = readAddress(options.url);
  const pool = openPool({ ...options, address });
  const poolApart = openPool({ ...options, poolMax: 1, address });
  const gate = openGate();
  const callMs = (options.callTimeoutSeconds ?? CALL_SECONDS) * 1000;
  const signatures = rememberSignatures(pool, Math.min(callMs, LOOK_MS));

  const callOnce = async (
    name: string,
    args: Arguments,
    signal: AbortSignal | undefined,
    from: PostgresPool,
  ): Promise<unknown> => {
    try {
      const signature = await signatures.of(name, signal);
      const statement = writeCall(name, args, signature);
      const limitMs = milliseconds(signature.timeout) ?? callMs;
      return readAnswer(
        await from.use((connection) => runGuarded(connection, statement, limitMs, signal), signal),
      );
    } catch (thrown) {
      if (signal?.aborted) throw signal.reason;
      const failure = failureFromSql(thrown, address);
      if (failure.code === "database.not-migrated") signatures.forget();
      // The wait for a connection is over; four of them would be four times as long as we were told to wait.
      throw CONNECT_TIMEOUTS.has(String(failure.facts.sqlstate)) ? final(failure) : failure;
    }
  };

  const call: SqlCall = async (name, args, { signal, once = false, apart = false } = {}) => {
    const checked = checkCall(name, args);
    const send = () => callOnce(name, checked, signal, apart ? poolApart : pool);
    return gate.enter(() => (once ? send() : retrying(send, signal)));
  };
  const stage = stageByCopy(pool, address, stageByCalls(call));
  return {
    transport: "postgres",
    describes: address.describes,
    call,
    stageChunks: (batch, options) => gate.enter(() => stage(batch, options)),
    close: () =>
      gate.close(async () => {
        await Promise.all([pool.close(), poolApart.close()]);
      }),
  };
}

/**
 * The call is a transaction of its own: parse, bind, execute and sync leave in one packet, and the server
 * commits without hearing from us again. With an explicit commit behind it, a worker that froze between the
 * two left its job's row locked, and the operators' reset waited for it. So the time limit is ours to keep.
 */
async function runGuarded(
  connection: Connection,
  statement: CallStatement,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { sql } = connection;
  const called = inOnePacket(
    sql.unsafe(
      statement.sql,
      statement.parameters.map((value) => (value === null ? null : sql.typed(value, UNKNOWN_TYPE))),
    ),
  );
  const settled = Promise.allSettled([called]);
  const stopped = await stopOnTime(settled, limitMs, signal);
  if (stopped !== null) {
    const backend = backendOf(called);
    if (backend !== null) await cancelStatement(connection.address, backend);
    if (!(await within(CANCEL_GRACE_MS, settled))) connection.drop();
    throw stopped;
  }
  return (await called)[0]?.answer ?? null;
}

/** Who works on the query, once it was sent: the library notes it on the query, not in its types. */
function backendOf(query: PendingQuery<Row[]>): Backend | null {
  const { state } = query as unknown as { readonly state: Backend | null }; // SAFETY: set by its execute().
  return state?.pid ? state : null;
}

// Postgres resolves a parameter of this type by the place it stands in, as it does a literal.
const UNKNOWN_TYPE = 705;

/**
 * Without this the library asks the server for the parameters' types first and waits for the answer: a
 * second round trip on every call, that ours do not need since they all travel as text of unknown type.
 */
function inOnePacket(query: PendingQuery<Row[]>): PendingQuery<Row[]> {
  return Object.defineProperty(query, "describeFirst", { get: () => false, set: () => {} });
}

/** null when the call has settled; otherwise what to throw instead of waiting longer. */
async function stopOnTime(
  settled: Promise<unknown>,
  limitMs: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const stopped = await new Promise<boolean>((resolve) => {
    const onStop = () => resolve(true);
    const timer = setTimeout(onStop, limitMs);
    signal?.addEventListener("abort", onStop, { once: true });
    if (signal?.aborted) onStop();
    void settled.then(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onStop);
      resolve(false);
    });
  });
  if (!stopped) return null;
  return signal?.aborted ? signal.reason : new Failure("database.timeout", { facts: { limitMs } });
}

async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const inTime = await Promise.race([promise.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

/** Functions and what they take, looked up once; forgotten when the schema turns out to have changed. */
function rememberSignatures(pool: PostgresPool, limitMs: number) {
  let known: Promise<ReadonlyMap<string, Signature>> | null = null;
  const look = async (): Promise<ReadonlyMap<string, Signature>> => {
    // Everybody waits for this one, so it has a time limit of its own and nobody's signal.
    const statement = { sql: SIGNATURES_SQL, parameters: [] };
    return parseSignatures(
      await pool.use((connection) => runGuarded(connection, statement, limitMs, undefined)),
    );
  };
  return {
    async of(name: string, signal: AbortSignal | undefined): Promise<Signature> {
      signal?.throwIfAborted();
      if (known === null) {
        const looking = look();
        known = looking;
        looking.catch(() => {
          if (known === looking) known = null;
        });
      }
      const found = (await (signal ? orAborted(known, signal) : known)).get(name);
      if (found === undefined) throw new Failure("database.not-migrated", { facts: { function: name } });
      return found;
    },
    forget() {
      known = null;
    },
  };
}

const UNITS: Readonly<Record<string, number>> = { "": 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** `20s` as Postgres writes a duration; null when there is none or it cannot be read. */
function milliseconds(text: string | null): number | null {
  const [, amount, unit = ""] = /^'?(\d+)\s*([a-z]*)'?$/.exec(text ?? "") ?? [];
  const factor = UNITS[unit];
  return amount === undefined || factor === undefined ? null : Number(amount) * factor;
}
