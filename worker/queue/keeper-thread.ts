// The lease keeper's thread: renews with a connection of its own, whatever the main thread is doing, and holds a
// session lock that Postgres gives up the moment this process dies.
import { parentPort, workerData } from "node:worker_threads";
import type { openDatabase } from "../database/open-database.ts";
import { postgresLines } from "../database/postgres-line.ts";
import type { Lease } from "../document/lease.ts";
import { sleep } from "../timing/durations.ts";
import { Lateness, renewalMs } from "./renewal-times.ts";
import { keepSessionLock } from "./session-lock.ts";

export type KeeperThreadData = {
  readonly connection: Parameters<typeof openDatabase>[0];
  readonly workerId: string;
  readonly leaseSeconds: number;
  readonly stallSeconds: number;
};
export type KeeperMessage =
  | { readonly kind: "started" }
  | { readonly kind: "renewed"; readonly lost: readonly string[]; readonly lateMs: number }
  | { readonly kind: "failed" };
/** What has changed since the last time: all that is held would be a thousand leases a message. */
export type KeeperNews = {
  readonly taken: readonly Lease[];
  /** Tokens. */
  readonly dropped: readonly string[];
  readonly isClaiming: boolean;
};
export type KeeperCommand =
  | { readonly kind: "begin" }
  | ({ readonly kind: "news" } & KeeperNews)
  | { readonly kind: "alive" }
  | { readonly kind: "stop" };

const data = workerData as KeeperThreadData; // SAFETY: written by openLeaseKeeper, whose type this is.
const stopping = new AbortController();
const begun = Promise.withResolvers<void>();
const lateness = new Lateness(data.leaseSeconds);
let heardAt = performance.now();
const held = new Map<string, Lease>();
let isClaiming = false;

parentPort?.on("message", (command: KeeperCommand) => {
  heardAt = performance.now();
  if (command.kind === "alive") return;
  if (command.kind === "stop") stopping.abort();
  if (command.kind !== "news") return begun.resolve();
  for (const lease of command.taken) held.set(lease.token, lease);
  for (const token of command.dropped) held.delete(token);
  isClaiming = command.isClaiming;
});

await begun.promise;
const { databaseUrl } = data.connection;
const locked =
  databaseUrl === null
    ? Promise.resolve()
    : keepSessionLock(postgresLines(databaseUrl), data, () => tell({ kind: "started" }), stopping.signal);
if (databaseUrl === null) tell({ kind: "started" });

let renewing: Awaited<ReturnType<typeof openRenewing>> | null = null;
while (!stopping.signal.aborted) {
  const isHung = performance.now() - heardAt > data.stallSeconds * 1000;
  // Who holds nothing is renewed by its polls; and when the main thread hangs, whoever else there is may have its jobs.
  if (isHung || (held.size === 0 && !isClaiming)) {
    if (!isHung) lateness.renewed();
    await sleep(renewalMs(data.leaseSeconds), stopping.signal);
    continue;
  }
  try {
    renewing ??= await openRenewing();
    const lost = await renewing.renew();
    tell({ kind: "renewed", lost, lateMs: lateness.renewed() });
    await sleep(renewalMs(data.leaseSeconds), stopping.signal);
  } catch {
    tell({ kind: "failed" });
    await sleep(500, stopping.signal);
  }
}
await renewing?.close();
await locked;
parentPort?.close();

/** Loaded when there is something to renew: until then the worker starts, and this is half of the thread's code. */
async function openRenewing() {
  const { openDatabase } = await import("../database/open-database.ts");
  const { keepLeases } = await import("./keep-leases.ts");
  const database = await openDatabase(data.connection);
  return {
    renew: () => keepLeases(database.call, [...held.values()], data),
    close: () => database.close(),
  };
}

function tell(message: KeeperMessage): void {
  parentPort?.postMessage(message);
}
