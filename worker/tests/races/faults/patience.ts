// The run's own connection to the database that it keeps restarting.
import postgres from "postgres";
import { sleep } from "../../../timing/durations.ts";

/** By this name `terminate` spares the run's own sessions. */
export const HARNESS = "fault-harness";

export const openHarness = (url: string): postgres.Sql =>
  postgres(url, {
    max: 4,
    onnotice: () => {},
    connect_timeout: 5,
    connection: { application_name: HARNESS },
    types: { bigint: postgres.BigInt },
  });

const PATIENCE_MS = 30_000;

/** Tries again while the database is away. What is tried must be harmless when it happens twice. */
export async function patiently<Result>(work: () => Promise<Result>): Promise<Result> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (thrown) {
      if (performance.now() > until || !isAway(thrown)) throw thrown;
      await sleep(50);
    }
  }
}

/** 57P0x: shutting down or starting up. 40P01: the victim of a deadlock. */
const passing = /^(57P0\d|08\w{3}|40P01|40001|CONNECT\w+|ECONN\w+|EPIPE|ETIMEDOUT)$|^CONNECTION_/;

function isAway(thrown: unknown): boolean {
  const code = thrown instanceof Error && "code" in thrown ? String(thrown.code) : "";
  return passing.test(code);
}
