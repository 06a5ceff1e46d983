// This replica's share of a provider's limits. The replicas agree through the database: each has a row of its own
// there, renewed every second while it is held back by a limit, and reads what the others' rows say. No row is
// waited for and no lock is held between two calls. Without the database the last share stands, and what the
// provider says with each answer is enough to go on.
import { z } from "zod";
import type { SqlCall } from "../../document/sql-call.ts";

export type ShareUse = {
  /** It could have used more than it was allowed. */
  readonly hungry: boolean;
  /** The part of the whole limit that it used lately, 0 to 1. */
  readonly used: number;
  /** For how long the provider asked to be left alone, in milliseconds; 0 when it did not. */
  readonly blockedMs: number;
};

export type Share = {
  /** 0 to 1. */
  readonly share: number;
  readonly replicas: number;
  /** What another replica was told to wait, in milliseconds from now. */
  readonly blockedMs: number;
};

export type AskForShare = (use: ShareUse) => Promise<Share>;

const answerOf = z.object({
  share: z.number().positive().max(1),
  replicas: z.number().int().positive(),
  blocked_ms: z.number().nonnegative(),
});

/** How long a share holds that is not renewed. */
export const SHARE_LEASE_MS = 5_000;
const ANSWER_MS = 2_000;

/** `budget`: what is limited together, such as one model of one provider. Throws `database.*`. */
export function shareThrough(call: SqlCall, budget: string, replica: string): AskForShare {
  return async (use) => {
    const answer = answerOf.parse(
      await call(
        "rag_share_allowance",
        {
          p_budget: budget,
          p_replica: replica,
          p_hungry: use.hungry,
          p_used: use.used,
          p_blocked_ms: Math.round(use.blockedMs),
          p_lease_ms: SHARE_LEASE_MS,
        },
        { signal: AbortSignal.timeout(ANSWER_MS) },
      ),
    );
    return { share: answer.share, replicas: answer.replicas, blockedMs: answer.blocked_ms };
  };
}
