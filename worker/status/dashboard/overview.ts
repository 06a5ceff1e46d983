// What the front of the dashboard shows, as one message: read at most once in two seconds, however many look.
import { z } from "zod";
import type { SqlCall } from "../../document/sql-call.ts";
import { checkHealth } from "../health.ts";
import { describePacing, describeServer, type PageParts } from "../pages.ts";
import { openFigures } from "../queue-figures.ts";
import { advised } from "./advice.ts";
import { dashboardFigures } from "./dashboard-figures.ts";
import { DURATION_LIMITS_MS } from "./tell-throughput.ts";

export const UPDATE_MS = 2_000;
// Just below the pause between two updates, so that each reads anew.
const FRESH_MS = UPDATE_MS * 0.9;
// What was paid changes slowly, and is summed over all tenants.
const COSTS_FRESH_MS = 15_000;
const COST_DAYS = 14;

const sums = z.array(
  z.object({
    day: z.string().nullable(),
    tenant_id: z.string().nullable(),
    tokens: z.coerce.number(),
    cost_usd: z.coerce.number(),
  }),
);

export type OverviewParts = Omit<PageParts, "figures" | "metrics"> & {
  readonly call: SqlCall;
  /** Whether POST is answered at all. */
  readonly canAct: boolean;
};

export function openOverview(parts: OverviewParts): () => Promise<unknown> {
  const figures = openFigures(
    async () => dashboardFigures.parse(await parts.call("rag_dashboard_figures", {})),
    FRESH_MS,
  );
  const costs = openFigures(async () => {
    const since = new Date(Date.now() - (COST_DAYS - 1) * 86_400_000).toISOString().slice(0, 10);
    const of = async (by: string) =>
      sums.parse(await parts.call("rag_sum_costs", { p_by: [by], p_since: since, p_tenant: null }));
    return { since, days: await of("day"), tenants: (await of("tenant")).slice(0, 20) };
  }, COSTS_FRESH_MS);

  return async () => {
    const [queue, paid, server = null] = await Promise.all([figures(), costs(), parts.server?.()]);
    const state = parts.state();
    const rssBytes = process.memoryUsage.rss();
    const now = performance.now();
    const { status, checks } = checkHealth({
      state,
      queue,
      recent: parts.recent(),
      server,
      rssBytes,
      memoryBytes: parts.memoryBytes,
      budgetUsd: parts.budgetUsd,
      now,
    });
    return {
      at: new Date().toISOString(),
      status,
      checks,
      can_act: parts.canAct,
      worker: {
        id: state.workerId,
        condition: state.condition,
        jobs: state.jobs,
        slots: state.slots,
        rss_bytes: rssBytes,
        memory_bytes: parts.memoryBytes,
        uptime_seconds: Math.round((now - parts.startedAt) / 1000),
      },
      pacing: state.pacing === undefined ? null : describePacing(state.pacing),
      embedding_server: server === null ? null : describeServer(server),
      figures: queue.figures && { ...queue.figures, failures: queue.figures.failures.map(advised) },
      figures_age_seconds: queue.ageMs === null ? null : Math.round(queue.ageMs / 1000),
      duration_limits_ms: DURATION_LIMITS_MS,
      costs: paid.figures,
      budget_usd: parts.budgetUsd,
      ...parts.describe,
      version: parts.version,
    };
  };
}
