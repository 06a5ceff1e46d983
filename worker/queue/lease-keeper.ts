// Keeps this worker's leases alive while its jobs are worked on. On Postgres and Supabase it runs in a thread
// with a connection of its own, for a parser may hold the main thread longer than a lease lasts. The embedded
// database lives in this very process: while the main thread is busy nobody can take a job from it.
// It does not end a job because a renewal failed: the fence in every write decides who owns it.
import { Worker } from "node:worker_threads";
import type { Activity } from "../activity/activity.ts";
import { threadEnvironment } from "../config/program-environment.ts";
import type { Lease } from "../document/lease.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { type KeepOptions, keepLeases } from "./keep-leases.ts";
import type { KeeperCommand, KeeperMessage, KeeperNews, KeeperThreadData } from "./keeper-thread.ts";
import { Lateness, renewalMs } from "./renewal-times.ts";

export type LeaseKeeper = {
  /** From here on leases are kept. Resolves when that has been done once, or has failed: the worker starts either way. */
  begin(): Promise<void>;
  hold(lease: Lease, lost: () => void): void;
  drop(lease: Lease): void;
  /** Whether a claim is under way, whose answer may bring jobs. */
  claiming(isClaiming: boolean): void;
  /** An exchange has renewed our row: who holds nothing needs no renewal beside it. */
  renewed(): void;
  /** Milliseconds since the database last renewed; null before the first time. */
  leaseAgeMs(): number | null;
  stop(): Promise<void>;
};

export type LeaseKeeperOptions = KeepOptions & {
  readonly activity: Activity;
  /** A main thread that says nothing for so long has its jobs taken: nobody works on them any more. */
  readonly stallSeconds: number;
  /** For the thread's own connection; null keeps the leases on the main thread through `call`. */
  readonly connection: KeeperThreadData["connection"] | null;
  readonly call: SqlCall;
};

/** Its thread loads its code at once, beside whatever else the caller has to do before `begin`. */
export function openLeaseKeeper(options: LeaseKeeperOptions): LeaseKeeper {
  const held = new Map<string, { readonly lease: Lease; readonly lost: () => void }>();
  let renewedAt: number | null = null;
  let isClaiming = false;
  let isToldClaiming = false;
  let isGathering = false;
  let taken: Lease[] = [];
  let dropped: string[] = [];
  const tellNow = () => {
    engine.changed({ taken, dropped, isClaiming });
    taken = [];
    dropped = [];
    isToldClaiming = isClaiming;
  };
  // The first change at once, for the main thread may be busy from here on; hundreds in one tick are told together.
  const tell = () => {
    if (isGathering) return;
    isGathering = true;
    tellNow();
    queueMicrotask(() => {
      isGathering = false;
      if (taken.length > 0 || dropped.length > 0 || isClaiming !== isToldClaiming) tellNow();
    });
  };
  const renewed = (lost: readonly string[], lateMs: number) => {
    renewedAt = performance.now();
    if (lateMs > 0) options.activity.say("leases.late", { lateMs });
    if (held.size > 0) options.activity.say("leases.kept", { held: held.size, lost: lost.length });
    for (const token of lost) held.get(token)?.lost();
  };
  const engine =
    options.connection === null
      ? keepHere(options, held, renewed)
      : keepInThread(options, options.connection, held, renewed);
  return {
    begin: () => engine.begin(),
    hold(lease, lost) {
      held.set(lease.token, { lease, lost });
      taken.push(lease);
      tell();
    },
    drop(lease) {
      if (!held.delete(lease.token)) return;
      dropped.push(lease.token);
      tell();
    },
    claiming(is) {
      if (is === isClaiming) return;
      isClaiming = is;
      // Who holds jobs is renewed anyway.
      if (held.size === 0) tell();
    },
    renewed() {
      renewedAt = performance.now();
    },
    leaseAgeMs: () => (renewedAt === null ? null : performance.now() - renewedAt),
    stop: () => engine.stop(),
  };
}

type Engine = { begin(): Promise<void>; changed(news: KeeperNews): void; stop(): Promise<void> };
type Renewed = (lost: readonly string[], lateMs: number) => void;
type Held = ReadonlyMap<string, { readonly lease: Lease }>;

function keepHere(options: LeaseKeeperOptions, held: Held, renewed: Renewed): Engine {
  let renewal: Promise<void> = Promise.resolve();
  let busy = false;
  const lateness = new Lateness(options.leaseSeconds);
  const renew = () => {
    if (busy || held.size === 0) return;
    busy = true;
    const leases = [...held.values()].map((entry) => entry.lease);
    renewal = keepLeases(options.call, leases, options)
      .then((lost) => renewed(lost, lateness.renewed()))
      // The next renewal tries again; leaseAgeMs shows how long it has been.
      .catch(() => {})
      .finally(() => {
        busy = false;
      });
  };
  const timer = setInterval(renew, renewalMs(options.leaseSeconds));
  return {
    begin: async () => {},
    changed: () => {},
    async stop() {
      clearInterval(timer);
      await renewal;
    },
  };
}

function keepInThread(
  options: LeaseKeeperOptions,
  connection: KeeperThreadData["connection"],
  held: Held,
  renewed: Renewed,
): Engine {
  const data: KeeperThreadData = {
    connection,
    workerId: options.workerId,
    leaseSeconds: options.leaseSeconds,
    stallSeconds: options.stallSeconds,
  };
  let isClaiming = false;
  let begun = false;
  let stopped = false;
  let thread: Worker;
  let ended: Promise<void>;
  let first: () => void;
  const started = new Promise<void>((resolve) => {
    first = resolve;
  });
  const start = () => {
    if (stopped) return;
    // The thread needs nothing else of the environment: its connection comes with workerData.
    const setup = { workerData: data, env: threadEnvironment() };
    thread = new Worker(new URL("./keeper-thread.ts", import.meta.url), setup);
    thread.unref();
    thread.on("message", (message: KeeperMessage) => {
      if (message.kind === "renewed") renewed(message.lost, message.lateMs);
      first();
    });
    thread.on("error", (thrown) => options.activity.say("keeper.died", { thrown: thrown.name }));
    ended = new Promise((resolve) => thread.once("exit", () => resolve()));
    thread.once("exit", () => {
      first();
      // Without a keeper every job would be taken from us one lease from now.
      if (!stopped) setTimeout(start, RESTART_MS).unref();
    });
    // What it has not heard, or what the one before it knew.
    post({ kind: "news", taken: [...held.values()].map((entry) => entry.lease), dropped: [], isClaiming });
    if (begun) post({ kind: "begin" });
  };
  const post = (command: KeeperCommand) => thread.postMessage(command);
  start();
  // A sign of life from the main thread, beside the news.
  const pulse = setInterval(() => post({ kind: "alive" }), PULSE_MS);
  pulse.unref();
  return {
    async begin() {
      begun = true;
      post({ kind: "begin" });
      await started;
    },
    changed(news) {
      isClaiming = news.isClaiming;
      post({ kind: "news", ...news });
    },
    async stop() {
      stopped = true;
      clearInterval(pulse);
      post({ kind: "stop" });
      const killed = setTimeout(() => void thread.terminate(), STOP_MS);
      await ended;
      clearTimeout(killed);
    },
  };
}

const PULSE_MS = 1000;
const RESTART_MS = 500;
const STOP_MS = 2000;
