// The workers of a run, each behind a proxy of its own: two on session connections, one through PgBouncer, one
// over the Supabase API. Like a platform, the fleet starts a worker that ended in place of each that did.
import { sleep } from "../../../timing/durations.ts";
import { type PostgrestStandIn, startPostgrest } from "../../stand-ins/postgrest.ts";
import { startTcpProxy, type TcpProxy } from "../../stand-ins/tcp-proxy.ts";
import { type NotificationTamper, tamperWithNotifications } from "../../stand-ins/tcp-proxy-notifications.ts";
import { startWorkerProcess, type WorkerProcess } from "../worker-process.ts";
import { type RpcDoubler, startRpcDoubler } from "./rpc-doubler.ts";

/** Where one worker after another runs. */
export type Berth = {
  readonly proxy: TcpProxy;
  readonly notifications: NotificationTamper;
  worker(): WorkerProcess;
  /** Signals the worker, waits until it has ended and for the rest, and starts another. Answers how the first ended. */
  replace(signal: "SIGKILL" | "SIGTERM", before: () => Promise<unknown>): Promise<number | string>;
  /** Whether the worker that is there has said that it works. */
  works(): boolean;
  /** Resolves when it has, or after a while. */
  ready(): Promise<void>;
};

/** How a worker ended: its exit code or signal, and that in words with its last lines. */
type End = { readonly code: number | string; readonly says: string };

export type Fleet = {
  readonly berths: readonly Berth[];
  readonly api: PostgrestStandIn;
  readonly doubler: RpcDoubler;
  /** Workers that had begun to work and ended though nobody told them to: the last lines of each. */
  readonly crashes: readonly string[];
  /** Ends all of them politely. */
  stop(): Promise<readonly End[]>;
  /** At once, whatever state they are in. */
  close(): Promise<void>;
};

export type FleetOptions = {
  readonly url: string;
  readonly pgbouncerUrl: string;
  readonly embeddingUrl: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Which berths there are, of the four. */
  readonly berths?: readonly ("session" | "pgbouncer" | "supabase")[];
};

const STARTED = "RAG worker ready";
const READY_MS = 60_000;
const RESTART_MS = 300;

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const crashes: string[] = [];
  const api = await startPostgrest(options.url);
  const doubler = await startRpcDoubler(api.url);
  const names = options.berths ?? ["session", "session", "pgbouncer", "supabase"];
  const opened = await Promise.all(
    names.map(async (name, at) => {
      const address = new URL(
        {
          session: options.url,
          pgbouncer: options.pgbouncerUrl,
          supabase: `http://127.0.0.1:${doubler.port}`,
        }[name],
      );
      const notifications = tamperWithNotifications();
      const target = { host: address.hostname, port: Number(address.port) };
      const proxy = await startTcpProxy(
        name === "session" ? { ...target, rewriteDown: notifications.rewriteDown } : target,
      );
      const through = proxy.through(address.href);
      const environment: Record<string, string> =
        name === "supabase" ? { SUPABASE_URL: through, SUPABASE_SERVICE_ROLE_KEY: api.key } : {};
      const start = (id: string) =>
        startWorkerProcess({
          databaseUrl: name === "supabase" ? null : through,
          embeddingUrl: options.embeddingUrl,
          id,
          environment: { ...options.environment, ...environment },
        });
      return openBerth(`w${at}`, { proxy, notifications }, start, crashes);
    }),
  );
  return {
    berths: opened,
    api,
    doubler,
    crashes,
    stop: () => Promise.all(opened.map((berth) => berth.end("SIGTERM"))),
    async close() {
      await Promise.all(opened.map((berth) => berth.end("SIGKILL")));
      await Promise.all(opened.map((berth) => berth.proxy.close()));
      await doubler.close();
      await api.close();
    },
  };
}

type OpenBerth = Berth & { end(signal: "SIGKILL" | "SIGTERM"): Promise<End> };

const endOf = (worker: WorkerProcess, code: number | string): End => ({
  code,
  says: `${worker.id} ended with ${code} (${worker.lines.slice(-3).join(" | ")})`,
});

function openBerth(
  name: string,
  parts: Pick<Berth, "proxy" | "notifications">,
  start: (id: string) => WorkerProcess,
  crashes: string[],
): OpenBerth {
  let number = 0;
  let dismissed: WorkerProcess | null = null;
  let over = false;
  const begin = (): WorkerProcess => {
    number += 1;
    const worker = start(`${name}-${number}`);
    void worker.ended.then(async (code) => {
      if (dismissed === worker || over) return;
      // One that could not reach the database when it started may end; one that worked may not.
      if (worker.lines.some((line) => line.includes(STARTED))) crashes.push(endOf(worker, code).says);
      await sleep(RESTART_MS);
      if (current === worker && !over) current = begin();
    });
    return worker;
  };
  let current = begin();
  const dismiss = async (signal: "SIGKILL" | "SIGTERM"): Promise<End> => {
    const worker = current;
    dismissed = worker;
    worker.signal(signal);
    worker.signal("SIGCONT");
    return endOf(worker, await worker.ended);
  };
  return {
    ...parts,
    worker: () => current,
    async replace(signal, before) {
      const { code } = await dismiss(signal);
      await before();
      if (!over) current = begin();
      return code;
    },
    works: () => current.lines.some((line) => line.includes(STARTED)),
    async ready() {
      await Promise.race([current.line(STARTED).catch(() => {}), sleep(READY_MS)]);
    },
    async end(signal) {
      over = true;
      return await dismiss(signal);
    },
  };
}
