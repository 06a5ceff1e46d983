// What each path answers. A page takes the parts and gives status, type and body; it sees no socket.
import type { ActivityLogFigures } from "../activity/activity-log.ts";
import { type Answer, json, refusal } from "../document/http-answer.ts";
import type { OwnServer } from "../embedders/embedder.ts";
import type { PacingState } from "../embedders/pacing/pacer.ts";
import type { WorkerState } from "../queue/worker-state.ts";
import { checkHealth, checkLoop, operatorSays, type Recent } from "./health.ts";
import type { Metrics } from "./metrics.ts";
import type { ReadFigures } from "./queue-figures.ts";

export type Page = {
  /** Open to whoever reaches the server: says nothing of documents, addresses or errors in detail. */
  readonly open: boolean;
  readonly answer: () => Answer | Promise<Answer>;
};

/** What runs, for the page: names only. */
export type Describes = {
  readonly database: string;
  readonly transport: string;
  readonly provider: string;
  readonly model: string;
};

export type PageParts = {
  readonly state: () => WorkerState;
  readonly figures: ReadFigures;
  readonly metrics: Metrics;
  readonly recent: () => Recent;
  readonly memoryBytes: number;
  readonly budgetUsd: number | null;
  readonly activityLog: () => ActivityLogFigures;
  readonly gateway?: { readonly figures: () => Readonly<Record<string, string | number>> };
  readonly describe: Describes;
  readonly version: string;
  readonly startedAt: number;
  readonly server?: (() => Promise<OwnServer>) | undefined;
};

export function openPages(parts: PageParts): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    ["/live", { open: true, answer: () => live(parts) }],
    ["/ready", { open: true, answer: () => ready(parts) }],
    ["/metrics", { open: true, answer: () => metrics(parts) }],
    ["/health", { open: false, answer: () => health(parts) }],
  ]);
}

// Asks nobody: a health path that queries the database turns an outage into a restart storm.
function live({ state }: PageParts): Answer {
  const check = checkLoop(state());
  return check.status === "down" ? refusal(503, "http.not-live", check.says) : json(200, { status: "live" });
}

function ready({ state }: PageParts): Answer {
  const { condition, code } = state();
  if (condition === "working") return json(200, { status: "ready" });
  // The catalogue's own sentence, not the advice with its facts: anybody may read this page.
  return refusal(
    503,
    code ?? `worker.${condition}`,
    code === null ? sentences[condition] : operatorSays(code),
  );
}

const sentences = {
  starting: "The worker is starting.",
  misconfigured: "No document can succeed with this configuration.",
  "database-lost": "The database cannot be reached.",
  stopping: "The worker is stopping and takes no new jobs.",
  stopped: "The worker has stopped.",
} as const;

async function metrics(parts: PageParts): Promise<Answer> {
  return { status: 200, type: parts.metrics.contentType, body: await parts.metrics.scrape() };
}

async function health(parts: PageParts): Promise<Answer> {
  const [queue, server = null] = await Promise.all([parts.figures(), parts.server?.()]);
  const state = parts.state();
  const now = performance.now();
  const { status, checks } = checkHealth({
    state,
    queue,
    recent: parts.recent(),
    server,
    rssBytes: process.memoryUsage.rss(),
    memoryBytes: parts.memoryBytes,
    budgetUsd: parts.budgetUsd,
    now,
  });
  return json(status === "down" ? 503 : 200, {
    status,
    checks,
    worker: {
      id: state.workerId,
      condition: state.condition,
      code: state.code,
      jobs: state.jobs,
      slots: state.slots,
      loop_age_seconds: inSeconds(state.loopAgeMs),
      lease_age_seconds: state.leaseAgeMs === null ? null : inSeconds(state.leaseAgeMs),
    },
    ...(server !== null && { embedding_server: describeServer(server) }),
    provider_pacing: state.pacing === undefined ? null : describePacing(state.pacing),
    queue: queue.figures,
    activity: parts.activityLog(),
    ...(parts.gateway !== undefined && { gateway: parts.gateway.figures() }),
    queue_age_seconds: queue.ageMs === null ? null : inSeconds(queue.ageMs),
    ...parts.describe,
    version: parts.version,
    uptime_seconds: inSeconds(now - parts.startedAt),
  });
}

export const describeServer = ({ rssBytes, ...server }: OwnServer) => ({ ...server, rss_bytes: rssBytes });
export const describePacing = (pacing: PacingState) => ({
  provider: pacing.provider,
  in_flight: pacing.inFlight,
  allowed: pacing.allowed,
  limited_by: pacing.limited,
  breaker: pacing.breaker,
  wait_seconds: inSeconds(pacing.waitMs),
  requests_per_minute: pacing.requestsPerMinute,
  tokens_per_minute: pacing.tokensPerMinute,
  share: pacing.share,
  replicas: pacing.replicas,
});

const inSeconds = (ms: number) => Math.round(ms) / 1000;
