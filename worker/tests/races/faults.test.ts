// Hundreds of faults against real workers on a real Postgres, and one judge at the end. A run that fails is
// repeated with RAG_FAULTS_SEED; more faults come with RAG_FAULTS or `npm run bench -- faults --faults N`.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../services.ts";
import { LEASE_SECONDS } from "./faults/arena.ts";
import { runFaults, tallyOf } from "./faults/campaign.ts";
import { type OwnPostgres, startOwnPostgres } from "./faults/own-postgres.ts";
import { planFaults } from "./faults/plan.ts";

const FAULTS = Number(process.env.RAG_FAULTS ?? 240);
const MINUTE_MS = 60_000;

describeWith(["postgres", "pgbouncer"], "the fault suite", () => {
  let own: OwnPostgres;
  beforeAll(async () => {
    own = await startOwnPostgres();
  });
  afterAll(() => own.close());

  test(
    `${FAULTS} faults lose no job, let no stale worker write, and show no reader half a document`,
    { timeout: 20 * MINUTE_MS },
    async ({ annotate }) => {
      const seed = Number(process.env.RAG_FAULTS_SEED ?? Date.now() % 1_000_000);
      process.stdout.write(`fault suite: seed ${seed}\n`);

      const result = await runFaults(planFaults(seed, FAULTS, LEASE_SECONDS * 1000), own);

      await annotate(`seed ${seed}, ${result.seconds.toFixed(0)} s, ${JSON.stringify(tallyOf(result))}`);
      expect({ seed, violations: result.violations, troubles: result.troubles }).toEqual({
        seed,
        violations: [],
        troubles: [],
      });
      expect(result.injected).toHaveLength(FAULTS);
      // A run in which nothing was at stake proves nothing.
      const completed = result.outcome.jobs.filter((row) => row.status === "complete").length;
      expect(completed).toBeGreaterThan(30);
      const rescued = result.history.filter((entry) => entry.kind === "job" && entry.by === "rag_reap");
      expect(rescued.length).toBeGreaterThan(0);
    },
  );
});
