// What each path answers. A page takes the parts and gives status, type and body; it sees no socket.

import type { WorkerState } from "../queue/worker-state.ts";
import { checkHealth, checkLoop, operatorSays, type Recent } from "./health.ts";
import type { Metrics } from "./metrics.ts";
import type { ReadFigures } from "./queue-figures.ts";

export type Answer = {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
};

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
  readonly describe: Describes;
  readonly version: string;
  readonly startedAt: number;
};

export function openPages(parts: PageParts): ReadonlyMap<string, Page> {
  return new Map<string, Page>([
    ["/live", { open: true, answer: () => live(parts) }],
    ["/ready", { open: true, answer: () => ready(parts) }],
    ["/metrics", { open: true, answer: () => metrics(parts) }],
    ["/health", { open: false, answer: () => health(parts) }],
    ["/", { open: false, answer: () => front(parts) }],
  ]);
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(value)}\n`, headers };
}

/** The body of every refusal: `{error: {code, message}}`. */
export function refusal(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return json(status, { error: { code, message } }, headers);
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
  const queue = await parts.figures();
  const state = parts.state();
  const now = performance.now();
  const { status, checks } = checkHealth({
    state,
    queue,
    recent: parts.recent(),
    rssBytes: process.memoryUsage.rss(),
    memoryBytes: parts.memoryBytes,
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
    queue: queue.figures,
    queue_age_seconds: queue.ageMs === null ? null : inSeconds(queue.ageMs),
    ...parts.describe,
    version: parts.version,
    uptime_seconds: inSeconds(now - parts.startedAt),
  });
}

const inSeconds = (ms: number) => Math.round(ms) / 1000;

function front(parts: PageParts): Answer {
  const { condition, jobs, slots } = parts.state();
  const rows = Object.entries({
    ...parts.describe,
    version: parts.version,
    condition,
    jobs: `${jobs} of ${slots}`,
  });
  const links: Readonly<Record<string, string>> = {
    "/health": "what is wrong, if anything, and the queue in figures",
    "/metrics": "for Prometheus",
    "/ready": "whether it takes jobs",
    "/live": "whether its loop turns",
  };
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>RAG worker</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem; color-scheme: light dark }
  dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem } dd { margin: 0 }
</style>
<h1>RAG worker</h1>
<dl>${rows.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join("")}</dl>
<ul>${Object.entries(links)
    .map(([path, says]) => `<li><a href="${path}">${path}</a>: ${says}</li>`)
    .join("")}</ul>
</html>
`;
  return { status: 200, type: "text/html; charset=utf-8", body };
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
