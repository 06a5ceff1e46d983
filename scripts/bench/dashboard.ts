// What the dashboard costs beside a long history: the server's time for an update and for the lists, and what a
// browser waits for. Percentiles of the database's answers as the status server receives them, on one connection.
import { openPostgres } from "../../worker/database/postgres.ts";
import { quantile } from "./contestants/quantiles.ts";
import type { BenchOptions, Report } from "./figure.ts";
import { measurePaint } from "./first-paint.ts";
import { type BenchWorld, openPostgresWorld } from "./worlds.ts";

const FINISHED = 1_000_000;
const WAITING = 10_000;
const DOCUMENTS = 200_000;
const REPLICAS = 3;
const ASKED = 30;
// The first ones of a connection plan.
const WARM_UP = 6;

type Call = Awaited<ReturnType<typeof openPostgres>>["call"];

export async function benchDashboard(report: Report, options: BenchOptions): Promise<void> {
  const finished = options.jobs ?? FINISHED;
  const world = await openPostgresWorld();
  try {
    options.progress(`filling ${finished.toLocaleString("en")} finished jobs`);
    await fill(world, finished);
    const url = String(world.settings.DATABASE_URL);
    const database = await openPostgres({ url, poolMax: 2, poolTimeoutSeconds: 30 });
    const figure = {
      bench: "dashboard",
      case: `${finished.toLocaleString("en")} finished, ${WAITING.toLocaleString("en")} waiting`,
    };
    try {
      for (const [contestant, ask] of Object.entries(questions(database.call))) {
        if (!contestant.includes(options.only ?? "")) continue;
        const times = await timed(ask);
        report({ ...figure, contestant, metric: "median", value: quantile(times, 0.5), unit: "ms" });
        report({ ...figure, contestant, metric: "95 %", value: quantile(times, 0.95), unit: "ms" });
      }
      const program = process.env.RAG_TEST_CHROMIUM;
      if (program === undefined)
        options.progress("RAG_TEST_CHROMIUM is not set: no browser, no first paint.");
      else
        for (const seen of await measurePaint(database, program)) report({ ...figure, unit: "ms", ...seen });
    } finally {
      await database.close();
    }
  } finally {
    await world.close();
  }
}

const questions = (call: Call): Readonly<Record<string, () => Promise<unknown>>> => {
  const browse = (filter: object) => () => call("rag_browse_jobs", { p_filter: filter, p_limit: 50 });
  return {
    update: () => call("rag_dashboard_figures", {}),
    "newest jobs": browse({}),
    "failed jobs": browse({ status: ["failed"] }),
    "waiting jobs": browse({ status: ["queued"] }),
    "a tenant's jobs": browse({ tenant_id: "tenant-3" }),
    "text, found nowhere": browse({ text: "no such title" }),
  };
};

async function timed(ask: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let round = 0; round < WARM_UP + ASKED; round += 1) {
    const began = performance.now();
    await ask();
    if (round >= WARM_UP) times.push(performance.now() - began);
  }
  return times;
}

/** Two seconds apart, so that a million reach back three weeks; one of fifty failed. */
async function fill(world: BenchWorld, finished: number): Promise<void> {
  await world.withSession(async (session) => {
    await session.script(`
      insert into public.rag_documents (tenant_id, title, source_uri, status)
        select 'tenant-' || i % 40, 'Document ' || i, 'inline:document-' || i || '.md', 'ingested'
        from generate_series(1, ${DOCUMENTS}) i;
      create temp table numbered as select id, tenant_id, row_number() over () as number from public.rag_documents;
      create index on numbered (number);
      set session_replication_role = replica;
      insert into public.rag_ingestion_queue (kind, document_id, tenant_id, status, attempts, total_chunks,
          processed_chunks, submitted_at, started_at, updated_at, completed_at, error_code, error_detail)
        select 'document', d.id, d.tenant_id, case when i % 50 = 0 then 'failed' else 'complete' end, 1, 20, 20,
          t.at, t.at, t.at, t.at + interval '3 seconds',
          case when i % 50 = 0 then 'extract.corrupt' end, case when i % 50 = 0 then 'The file is damaged.' end
        from generate_series(1, ${finished}) i
        cross join lateral (select now() - (${finished} - i) * interval '2 seconds' as at) t
        join numbered d on d.number = 1 + i % ${DOCUMENTS} order by i;
      set session_replication_role = origin;
      insert into public.rag_ingestion_queue (document_id) select id from numbered where number <= ${WAITING};
      insert into public.rag_throughput (worker_id, minute, at, complete, failed, retried, chunks, durations)
        select 'host/' || w, m, now() - m * interval '1 minute', 30, 1, 0, 600, '{1,2,3,4,5,5,5,5,0,0,0,0,0}'
        from generate_series(1, ${REPLICAS}) w cross join generate_series(0, 2879) m;
      insert into public.rag_costs (day, tenant_id, model, worker_id, tokens, cost_usd)
        select current_date - i % 30, 'tenant-' || i % 40, 'm', 'host/' || i % ${REPLICAS}, 1000, 0.02
        from generate_series(0, 119) i;`);
    await session.query("vacuum analyze");
  });
}
