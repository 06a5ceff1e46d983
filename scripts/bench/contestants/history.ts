// Who was at work when, written by a trigger that only a bench's own database has: the truth about caps.
import type { SqlSession } from "../../../worker/database/sql-session.ts";

export type AtWork = {
  readonly tenant: string;
  /** true when a job's work began, false when it ended. */
  readonly began: boolean;
  /** Microseconds; the moment in which the row was written, under whatever lock its writer holds. */
  readonly at: number;
};

export async function recordHistory(session: SqlSession): Promise<void> {
  await session.script(`
    create unlogged table public.bench_history (
      tenant text not null, began boolean not null, at timestamptz not null default clock_timestamp());
    create function public.bench_record() returns trigger language plpgsql as $$
    begin
      insert into public.bench_history (tenant, began) values (new.tenant_id, new.status = 'processing');
      return null;
    end $$;
    create trigger bench_record after update of status on public.rag_ingestion_queue for each row
      when (old.status is distinct from new.status and 'processing' in (old.status, new.status))
      execute function public.bench_record();`);
}

export async function readHistory(session: SqlSession): Promise<readonly AtWork[]> {
  const rows = await session.query(
    "select tenant, began, (extract(epoch from at) * 1e6)::double precision as at from public.bench_history",
  );
  return rows.map((row) => ({ tenant: String(row.tenant), began: row.began === true, at: Number(row.at) }));
}

/** The most jobs that each tenant had at work at one moment. */
export function mostAtWork(history: readonly AtWork[]): ReadonlyMap<string, number> {
  const now = new Map<string, number>();
  const most = new Map<string, number>();
  // At the same moment, what ended makes room for what begins.
  const inOrder = [...history].sort((a, b) => a.at - b.at || Number(a.began) - Number(b.began));
  for (const { tenant, began } of inOrder) {
    const jobs = (now.get(tenant) ?? 0) + (began ? 1 : -1);
    now.set(tenant, jobs);
    most.set(tenant, Math.max(most.get(tenant) ?? 0, jobs));
  }
  return most;
}
