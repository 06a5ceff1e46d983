// Runs one broken variant under the faults that it is weak against, until the checker says so.
import { sleep } from "../../../timing/durations.ts";
import { LEASE_SECONDS, openArena } from "./arena.ts";
import { breakQueue, type Variant } from "./broken-variants.ts";
import { injectAll } from "./campaign.ts";
import { check } from "./check.ts";
import { readHistory } from "./history.ts";
import type { OwnPostgres } from "./own-postgres.ts";
import { patiently } from "./patience.ts";
import { planFaults } from "./plan.ts";
import type { Violation } from "./violation.ts";

const FAULTS = 400;
const LOOK_MS = 1000;
const LATE_CALLS = { forMs: LEASE_SECONDS * 1000 + 900, directions: ["up"] } as const;

/** The violations found, by any rule, when one of the variant's rules is among them or the time is over. */
export async function catchVariant(
  variant: Variant,
  own: OwnPostgres,
  seed: number,
  limitMs: number,
): Promise<readonly Violation[]> {
  const arena = await openArena(own, {
    seed,
    berths: ["session", "session", "pgbouncer"],
    prepare: (sql) => breakQueue(sql, variant),
    ...(variant.trivial === true && { latencyMs: 20, work: { mostChunks: 2, pauseMs: 20, backlog: 40 } }),
  });
  try {
    const until = performance.now() + limitMs;
    let found: readonly Violation[] = [];
    const caught = () => found.some((violation) => variant.rules.includes(violation.rule));
    const goOn = () => !caught() && performance.now() < until;
    const { faults } = planFaults(seed, FAULTS, LEASE_SECONDS * 1000, variant.kinds);
    const here = faults
      .filter(({ lane }) => lane === "database" || lane < arena.fleet.berths.length)
      // Calls that arrive after their lease has run out are what a fence is for.
      .map((fault) => (fault.kind === "stall" ? { ...fault, ...LATE_CALLS } : fault));
    const injecting = injectAll(here, arena, [], goOn);
    while (goOn()) {
      await sleep(LOOK_MS);
      found = check(await patiently(() => readHistory(arena.sql)), null, { leaseMs: LEASE_SECONDS * 1000 });
    }
    await injecting;
    return found;
  } finally {
    await arena.close();
  }
}
