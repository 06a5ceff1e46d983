// The run's own connection to the database that it keeps restarting.
import postgres from "postgres";
import { sleep } from "../../../timing/durations.ts";

/** By this name `terminate` spares the run's own sessions. */
export const HARNESS = "fault-harness";

export const openHarness = (url: string): postgres.Sql =>
  postgres(url, {
    // More than are used: a query that was under way when the server went may never end, and keeps its connection.
    max: 10,
    onnotice: () => {},
    connect_timeout: 5,
    connection: { application_name: HARNESS },
    types: { bigint: postgres.BigInt },
  });

const PATIENCE_MS = 60_000;
const ATTEMPT_MS = 10_000;

/** Tries again while the database is away. What is tried must be harmless when it happens twice. */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await inTime(ATTEMPT_MS, "The database did not answer", work());
    } catch (thrown) {
      if (performance.now() > until || !isAway(thrown)) throw thrown;
      await sleep(50);
    }
  }
}

/** Rejects when the work takes longer; what becomes of it then is nobody's concern. */
export async function inTime<Result>(ms: number, says: string, work: PromiseLike<Result>): Promise<Result> {
  const over = new AbortController();
  const late = sleep(ms, over.signal).then(() => {
    throw Object.assign(new Error(`${says} within ${ms / 1000} s.`), { code: "ETIMEDOUT" });
  });
  return await Promise.race([work, late]).finally(() => {
    late.catch(() => {});
    over.abort();
  });
}

/** 57P0x: shutting down or starting up. 40P01: the victim of a deadlock. */
const passing = /^(57P0\d|08\w{3}|40P01|40001|CONNECT\w+|ECONN\w+|EPIPE|ETIMEDOUT)$|^CONNECTION_/;

function isAway(thrown: unknown): boolean {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  return passing.test(code);
}
