// How we talk to Supabase Storage: every request ends with its job, and what may pass is tried again.
// supabase-js retries no download and no upload, and its info() takes no signal.
import { Failure } from "../failure/failure.ts";
import { type BackoffLimits, backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import { storageFailure } from "./storage-failure.ts";

export type StorageAccess = {
  /** SUPABASE_URL. */
  readonly url: string;
  /** Key of the service role, legacy or sb_secret_…. */
  readonly key: string;
  /** Waits between attempts; the default spreads three retries over some seconds. */
  readonly backoff?: BackoffLimits;
  /** A server that sends nothing for so long is given up. Default 30 s. */
  readonly idleMs?: number;
};

const ATTEMPTS = 4;
const BACKOFF: BackoffLimits = { firstMs: 500, mostMs: 8000 };
const IDLE_MS = 30_000;

/** A client whose requests all end when the signal fires. Cheap (0.25 ms): it opens nothing until it is used. */
export async function storageClient(access: StorageAccess, signal: AbortSignal) {
  // Loaded when first needed: it takes longer than the whole of a small file from the disk.
  const { createClient } = await import("@supabase/supabase-js");
  // No redirect is followed: it could lead the key, or the worker, anywhere.
  const boundFetch: typeof fetch = (input, init) => fetch(input, { ...init, signal, redirect: "error" });
  return createClient(access.url, access.key, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { fetch: boundFetch },
  }).storage;
}

/**
 * Runs an attempt up to four times, with jittered backoff, while its failure is one that may pass.
 * Throws a Failure (`source.*`), or the signal's reason when it fires.
 */
export async function retrying<Value>(
  access: StorageAccess,
  signal: AbortSignal,
  attempt: () => Promise<Value>,
): Promise<Value> {
  for (let tried = 1; ; tried += 1) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (thrown) {
      signal.throwIfAborted();
      const failure = storageFailure(thrown);
      if (failure.kind !== "transient" || tried >= ATTEMPTS) throw failure;
      await sleep(backoffMs(tried, access.backoff ?? BACKOFF), signal);
    }
  }
}

export type Patience = {
  /** Fires with the given signal, or when nothing came for too long. */
  readonly signal: AbortSignal;
  /** Something came: the clock starts again. */
  refresh(): void;
  end(): void;
};

/** A server may be slow as long as it sends something. */
export function patience(access: StorageAccess, signal: AbortSignal): Patience {
  const idleMs = access.idleMs ?? IDLE_MS;
  const silence = new AbortController();
  const giveUp = () => silence.abort(new Failure("source.unreachable", { facts: { silentMs: idleMs } }));
  const timer = setTimeout(giveUp, idleMs);
  return {
    signal: AbortSignal.any([signal, silence.signal]),
    refresh: () => timer.refresh(),
    end: () => clearTimeout(timer),
  };
}
