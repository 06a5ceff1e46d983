// One fault: what it does to a worker, its network or its database, and how that ends again.
import type postgres from "postgres";
import { sleep } from "../../../timing/durations.ts";
import type { Berth, Fleet } from "./fleet.ts";
import type { OwnPostgres } from "./own-postgres.ts";
import { HARNESS, patiently } from "./patience.ts";
import type { Fault, FaultKind } from "./plan.ts";

export type FaultWorld = {
  readonly sql: postgres.Sql;
  readonly fleet: Fleet;
  readonly server: Pick<OwnPostgres, "restart">;
};

// What is down cannot be hurt. On a busy machine a worker needs seconds to start.
const MOST_WAIT_MS = 30_000;

/** Waits for somebody to hurt; resolves when the fault is over. */
export async function inject(fault: Fault, world: FaultWorld): Promise<void> {
  if (fault.lane === "database") {
    const half = world.fleet.berths.length / 2;
    const working = () => world.fleet.berths.filter((berth) => berth.works()).length;
    await until(() => working() >= half, MOST_WAIT_MS);
    return await databaseFaults[fault.kind]?.(fault, world);
  }
  const berth = world.fleet.berths[fault.lane];
  if (berth === undefined) throw new Error(`There is no worker ${fault.lane}.`);
  await until(() => berth.works(), MOST_WAIT_MS);
  await workerFaults[fault.kind]?.(fault, berth, world);
}

type Inject<Where extends readonly unknown[]> = (fault: Fault, ...where: Where) => Promise<void>;

const CALLS = 5;
const CALLS_MS = 2000;

const workerFaults: Partial<Record<FaultKind, Inject<[Berth, FaultWorld]>>> = {
  async kill({ forMs }, berth) {
    await berth.replace("SIGKILL", () => sleep(forMs));
  },
  async term({ forMs }, berth) {
    await berth.replace("SIGTERM", () => sleep(forMs));
  },
  async freeze({ forMs }, berth) {
    const worker = berth.worker();
    worker.signal("SIGSTOP");
    await sleep(forMs);
    worker.signal("SIGCONT");
  },
  async stall({ forMs, directions }, { proxy }) {
    proxy.stall(...directions);
    await sleep(forMs);
    proxy.flow();
  },
  async cut({ forMs }, { proxy }) {
    proxy.cut();
    await sleep(forMs);
  },
  async reset({ forMs }, { proxy }) {
    proxy.reset();
    await sleep(forMs);
  },
  async "half-open"({ forMs }, { proxy }) {
    proxy.halfOpen();
    await sleep(forMs);
    proxy.heal();
  },
  async delay({ forMs, directions, number }, { proxy }) {
    proxy.delay(20 + ((number * 37) % 300), ...directions);
    await sleep(forMs);
    proxy.delay(0, "up", "down");
  },
  async "rpc-twice"({ number }, _berth, { fleet }) {
    fleet.doubler.doubleNext(CALLS, number % 2 === 0 ? "after" : "at-once");
    await until(() => fleet.doubler.left() === 0, CALLS_MS);
  },
  async "rpc-cut"(_fault, _berth, { fleet }) {
    const before = fleet.api.calls.length;
    fleet.api.misbehaveNext("cut-after", "cut-after");
    await until(() => fleet.api.calls.length >= before + 2, CALLS_MS);
  },
  async "wake-dropped"({ forMs }, { notifications }) {
    notifications.set("drop");
    await sleep(forMs);
    notifications.set("pass");
  },
  async "wake-doubled"({ forMs }, { notifications }, { sql }) {
    notifications.set("double");
    // Hints about nothing, and hints that are none.
    await patiently(
      () => sql`select pg_notify('rag_jobs', case n % 3 when 0 then '' when 1 then '{"operation":' else
        json_build_object('operation', 'INSERT', 'document_id', gen_random_uuid())::text end)
        from generate_series(1, 50) n`,
    );
    await sleep(forMs);
    notifications.set("pass");
  },
};

const databaseFaults: Partial<Record<FaultKind, Inject<[FaultWorld]>>> = {
  async terminate(_fault, { sql }) {
    await patiently(
      () => sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name <> ${HARNESS} and random() < 0.5`,
    );
  },
  "restart-fast": ({ forMs }, { server }) => server.restart("fast", forMs),
  "restart-immediate": ({ forMs }, { server }) => server.restart("immediate", forMs),
  async "hand-reset"(_fault, { sql }) {
    await patiently(() =>
      sql.begin(async (own) => {
        await own`update public.rag_ingestion_queue set updated_at = now() - interval '11 minutes'
          where id in (select id from public.rag_ingestion_queue where status = 'processing'
            order by random() limit 2)`;
        await own`UPDATE rag_ingestion_queue SET status = 'queued' WHERE status = 'processing' AND updated_at < NOW() - INTERVAL '10 minutes'`;
      }),
    );
  },
};

async function until(holds: () => boolean, limitMs: number): Promise<void> {
  const end = performance.now() + limitMs;
  while (!holds() && performance.now() < end) await sleep(20);
}
