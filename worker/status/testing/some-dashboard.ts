// What rag_dashboard_figures may answer: a quiet day, for tests that change one thing.
import type { DashboardFigures } from "../dashboard/dashboard-figures.ts";

export const someDashboard: DashboardFigures = {
  waiting: { ready: 3, delayed: 2, behind: 0, held: 0 },
  capped: false,
  processing: 0,
  oldest_queued_seconds: 12.5,
  paused: [],
  workers: [{ worker_id: "host/1", jobs: 0, kinds: ["document"], seconds: 60 }],
  working: [],
  failures: [
    {
      id: "00000000-0000-4000-8000-000000000001",
      kind: "document",
      title: "<b>Handbook</b>",
      source_uri: null,
      tenant_id: "acme",
      error_code: "extract.corrupt",
      seconds: 9,
    },
  ],
  hour: [{ age: 0, complete: 2, failed: 1, retried: 0, chunks: 9, durations: [1, 1] }],
  day: { complete: 2, failed: 1, retried: 0, chunks: 9 },
  today: { tokens: 1, cost_usd: 0.1 },
  model: { model: "all-MiniLM-L6-v2", dimensions: 384 },
  dead_rows: 40,
  oldest_snapshot: null,
  oldest_snapshot_seconds: 0,
};
