// One llama-server that is there while texts need it: started by the first, started again with growing pauses when
// it dies, ended after a time without texts.
// States: stopped -> starting -> ready -> stopping -> stopped; a start or a life that ends badly is `failed`,
// from which the next text starts again, not before its pause is over.
import type { Tokenizer } from "../../document/tokenizer.ts";
import { Failure } from "../../failure/failure.ts";
import { failureFromUnknown } from "../../failure/from-unknown.ts";
import { orAborted, sleep } from "../../timing/durations.ts";
import type { OwnServer } from "../embedder.ts";
import type { ProgramEnd } from "./kept-program.ts";
import { UnlikeInBatch } from "./prove-server.ts";
import { residentBytes } from "./resident-bytes.ts";
import { type ServerSetup, slotsOf } from "./server-setup.ts";
import { type StartedServer, startServer } from "./start-server.ts";

/** What there is to tell of it. */
export type ServerNews =
  | { readonly happened: "started"; readonly pid: number | null; readonly slots: number; readonly ms: number }
  | { readonly happened: "stopped"; readonly pid: number | null; readonly why: "idle" | "closing" }
  | { readonly happened: "died"; readonly pid: number | null; readonly end: ProgramEnd }
  | { readonly happened: "not-started"; readonly failure: Failure };

export type ServerOnDemand = {
  /**
   * Runs `work` with a server that is ready. Throws `embed.server-down` while a pause lasts, and what a start throws.
   */
  use<Result>(signal: AbortSignal, work: (server: StartedServer) => Promise<Result>): Promise<Result>;
  /** How this server has ended, or ends within a moment; null when it lives. A request that broke off asks. */
  died(server: StartedServer): Promise<ProgramEnd | null>;
  /** Ends a server that does not answer any more; it counts as having died. */
  kill(server: StartedServer): Promise<void>;
  /** Whether a server died so short a time ago that what is sent should be sent alone. */
  readonly shaken: () => boolean;
  look(): Promise<OwnServer>;
  /** Ends it and starts no other. Safe to call twice. */
  close(): Promise<void>;
};

const PAUSE_MS = { first: 250, most: 30_000 };
// Longer pauses are told to the job, which then waits without an attempt and leaves its place to others.
const WORTH_WAITING_MS = 2000;
const NO_MEMORY_WAIT_MS = 15_000;
const CALM_AFTER_MS = 60_000;
// From the system or an operator: nothing that was sent is at fault, and it may happen again at once.
const FROM_OUTSIDE = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]);
export const endedFromOutside = ({ signal }: ProgramEnd): boolean =>
  signal !== null && FROM_OUTSIDE.has(signal);
// A connection breaks off a moment before the program's end is told.
const DEATH_RATTLE_MS = 500;

type Parts = {
  readonly setup: ServerSetup;
  readonly tokenizer: Tokenizer;
  readonly idleMs: number;
  readonly tell: (news: ServerNews) => void;
};

export function openServerOnDemand(parts: Parts): ServerOnDemand {
  const closing = new AbortController();
  let state: OwnServer["state"] = "stopped";
  let server: StartedServer | null = null;
  let starting: Promise<StartedServer> | null = null;
  let stopping: Promise<void> | null = null;
  let idle: NodeJS.Timeout | undefined;
  let slots = slotsOf(parts.setup.model);
  let inUse = 0;
  let starts = 0;
  let deaths = 0;
  let badEnds = 0; // In a row.
  let notBefore = 0;
  let lastDeathAt = Number.NEGATIVE_INFINITY;
  let trouble: Failure | null = null;

  /** A crash is over a text, and to find out which takes several: only other ends make the pauses longer. */
  function pause(grows: boolean): void {
    badEnds = grows ? badEnds + 1 : Math.max(badEnds, 1);
    notBefore = performance.now() + Math.min(PAUSE_MS.most, PAUSE_MS.first * 2 ** (badEnds - 1));
    state = "failed";
  }

  async function start(): Promise<StartedServer> {
    state = "starting";
    const startedAt = performance.now();
    try {
      const started = await startWithSlots();
      starts += 1;
      trouble = null;
      server = started;
      state = "ready";
      void started.program.ended.then((end) => onEnd(started, end));
      const ms = Math.round(performance.now() - startedAt);
      parts.tell({ happened: "started", pid: started.pid, slots: started.slots, ms });
      restIfIdle(); // Whoever asked for it may have gone meanwhile.
      return started;
    } catch (thrown) {
      state = "stopped";
      if (closing.signal.aborted) throw closing.signal.reason;
      const failure = failureFromUnknown(thrown);
      if (failure.code === "embed.server-down") pause(true);
      else state = "failed";
      trouble = withHint(failure);
      parts.tell({ happened: "not-started", failure: trouble });
      throw trouble;
    } finally {
      starting = null;
    }
  }

  async function startWithSlots(): Promise<StartedServer> {
    try {
      return await startServer(parts.setup, slots, parts.tokenizer, closing.signal);
    } catch (thrown) {
      if (!(thrown instanceof UnlikeInBatch)) throw thrown;
      slots = 1; // For good: the program will not get better.
      return await startServer(parts.setup, slots, parts.tokenizer, closing.signal);
    }
  }

  /** When the job should come back: after the pause, or when memory may be free. */
  function withHint(failure: Failure): Failure {
    if (failure.kind !== "waiting") return failure;
    const retryAfterMs = failure.code === "embed.no-memory" ? NO_MEMORY_WAIT_MS : pauseLeftMs();
    return new Failure(failure.code, { says: failure.message, facts: failure.facts, retryAfterMs });
  }

  const pauseLeftMs = () => Math.max(0, notBefore - performance.now());

  function onEnd(ended: StartedServer, end: ProgramEnd): void {
    if (server !== ended) return;
    server = null;
    if (state === "stopping" || closing.signal.aborted) return;
    clearTimeout(idle);
    // One that had been well for a while begins anew with the shortest pause.
    if (performance.now() - lastDeathAt > CALM_AFTER_MS) badEnds = 0;
    lastDeathAt = performance.now();
    deaths += 1;
    pause(endedFromOutside(end));
    trouble = new Failure("embed.server-down", {
      facts: { reason: "llama-server ended", code: end.code, signal: end.signal },
      retryAfterMs: pauseLeftMs(),
    });
    parts.tell({ happened: "died", pid: ended.pid, end });
  }

  async function ready(signal: AbortSignal): Promise<StartedServer> {
    for (;;) {
      signal.throwIfAborted();
      closing.signal.throwIfAborted();
      if (stopping !== null) await orAborted(stopping, signal);
      else if (server !== null) return server;
      else if (starting !== null || pauseLeftMs() === 0) {
        starting ??= start();
        return await orAborted(starting, signal);
      } else {
        if (pauseLeftMs() > WORTH_WAITING_MS) throw withHint(trouble ?? new Failure("embed.server-down"));
        await sleep(pauseLeftMs() + 1, AbortSignal.any([signal, closing.signal]));
      }
    }
  }

  async function stop(why: "idle" | "closing"): Promise<void> {
    clearTimeout(idle);
    const ending = server;
    if (ending === null) return;
    state = "stopping";
    await ending.program.stop();
    server = null;
    state = "stopped";
    parts.tell({ happened: "stopped", pid: ending.pid, why });
  }

  function restIfIdle(): void {
    clearTimeout(idle);
    if (inUse > 0 || server === null) return;
    idle = setTimeout(() => {
      stopping = stop("idle").finally(() => {
        stopping = null;
      });
    }, parts.idleMs).unref();
  }

  return {
    async use(signal, work) {
      inUse += 1;
      clearTimeout(idle);
      try {
        return await work(await ready(signal));
      } finally {
        inUse -= 1;
        restIfIdle();
      }
    },
    async died(asked) {
      const moment = sleep(DEATH_RATTLE_MS).then(() => null);
      return await Promise.race([asked.program.ended, moment]);
    },
    async kill(asked) {
      asked.program.kill();
      await asked.program.ended;
    },
    shaken: () => performance.now() - lastDeathAt < CALM_AFTER_MS,
    async look() {
      const pid = server?.pid ?? null;
      return {
        state,
        pid,
        rssBytes: pid === null ? null : await residentBytes(pid),
        slots: server?.slots ?? null,
        starts,
        deaths,
        code: state === "failed" ? (trouble?.code ?? null) : null,
        says: state === "failed" ? (trouble?.message ?? null) : null,
      };
    },
    async close() {
      closing.abort(new Failure("worker.stopping"));
      clearTimeout(idle);
      await starting?.catch(() => {});
      await (stopping ?? stop("closing"));
    },
  };
}
