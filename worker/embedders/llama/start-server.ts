// Starts one llama-server and answers when it is proven: loaded, ours, and giving a text the same vector alone and
// inside a batch. Whatever goes wrong on the way ends the program, and is told as a Failure.
import { randomUUID } from "node:crypto";
import { setTimeout as after } from "node:timers/promises";
import type { Tokenizer } from "../../document/tokenizer.ts";
import { Failure } from "../../failure/failure.ts";
import { fetchAt, HERE } from "./fetch-at.ts";
import { type KeptProgram, type ProgramEnd, startKept } from "./kept-program.ts";
import { choosePlace } from "./place.ts";
import { countsAlike, proveOurs, proveVectors } from "./prove-server.ts";
import { argumentsOf, neededBytes, type ServerSetup } from "./server-setup.ts";
import { failureOfEnd, notInTime } from "./start-failure.ts";

export type StartedServer = {
  readonly program: KeptProgram;
  readonly pid: number | null;
  readonly slots: number;
  /** Reaches the server, whatever stands before the path. */
  readonly fetch: typeof globalThis.fetch;
  /** Whether our tokenizer counts as the server does. */
  readonly countsAlike: boolean;
};

const LOOK_EVERY_MS = 50;
const LOOK_LIMIT_MS = 5000;

/**
 * Throws `embed.no-memory` or `embed.server-down` (waiting), `embed.model-missing`, `embed.wrong-dimension` or
 * `config.invalid` (misconfigured), UnlikeInBatch, or the signal's reason. Leaves nothing running then.
 */
export async function startServer(
  setup: ServerSetup,
  slots: number,
  tokenizer: Tokenizer,
  signal: AbortSignal,
): Promise<StartedServer> {
  await checkMemory(setup, slots);
  signal.throwIfAborted();
  const place = await choosePlace(setup.where);
  const name = `rag-${randomUUID()}`;
  const program = startKept({
    path: setup.program,
    args: argumentsOf(setup, place, slots, name),
    environment: setup.environment,
    folder: place.folder,
    graceSeconds: setup.graceSeconds,
  });
  const fetch = fetchAt(place);
  // What is asked of a program that has ended fails in many ways; how it ended says more.
  const gone = new AbortController();
  const end: { met: ProgramEnd | null } = { met: null };
  void program.ended.then((met) => {
    end.met = met;
    gone.abort();
  });
  const either = AbortSignal.any([signal, gone.signal]);
  try {
    await untilLoaded(setup, fetch, either);
    await proveOurs(setup, name, fetch, either);
    await proveVectors(setup, slots, fetch, either);
    const alike = await countsAlike(tokenizer, fetch, either);
    // What it says from here on may be about documents.
    program.stopListening();
    return { program, pid: await program.pid, slots, fetch, countsAlike: alike };
  } catch (thrown) {
    const { met } = end;
    await program.stop();
    signal.throwIfAborted();
    throw met === null ? thrown : failureOfEnd(met, program, setup);
  }
}

async function checkMemory(setup: ServerSetup, slots: number): Promise<void> {
  const free = await setup.freeMemory();
  const needed = neededBytes(setup, slots);
  if (free === null || free >= needed) return;
  throw new Failure("embed.no-memory", {
    facts: { neededMb: Math.ceil(needed / 1e6), freeMb: Math.floor(free / 1e6) },
  });
}

/** Throws the signal's reason when the program ends meanwhile. */
async function untilLoaded(
  setup: ServerSetup,
  fetch: typeof globalThis.fetch,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  while (!(await isLoaded(fetch, signal))) {
    if (performance.now() - startedAt > setup.startupMs) throw notInTime(setup);
    await after(LOOK_EVERY_MS, undefined, { signal });
  }
}

/** Refused connections, then 503 while the model is loaded, then 200. */
async function isLoaded(fetch: typeof globalThis.fetch, signal: AbortSignal): Promise<boolean> {
  signal.throwIfAborted();
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LOOK_LIMIT_MS)]);
    const answer = await fetch(`${HERE}/health`, { signal: limit });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
