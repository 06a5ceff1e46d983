import { expect, test, vi } from "vitest";
import { openActivity } from "../activity/activity.ts";
import type { Chunk } from "../document/chunk.ts";
import type { Document } from "../document/document.ts";
import type { Job } from "../document/lease.ts";
import { openPlaces } from "../extractors/places.ts";
import { Failure } from "../failure/failure.ts";
import type { StepContext } from "./step-context.ts";
import { storeChunks } from "./store-chunks.ts";

const limits = { batch: 4, inFlight: 2, mostChunks: 100, room: openPlaces(100) };
const unknownSegments = { seen: () => 1, total: () => null };

/** A database that answers like ours and remembers what was stored. */
function openWorld() {
  const stored = new Map<number, Float32Array | null>();
  const events: unknown[] = [];
  const activity = openActivity();
  activity.listen((name, facts) => void (name === "job.progressed" && events.push(facts)));
  const known = new Set<string>();
  const step: StepContext = {
    job: { id: "job", lease: { jobId: "job", token: "1" } } as Job, // SAFETY: the step reads no more of it.
    document: { id: "document" } as Document, // SAFETY: as above.
    signal: new AbortController().signal,
    activity,
    touch: () => {},
    call: async (name, args) => {
      const rows = args.p_chunks as { chunk_index: number }[];
      expect(name).toBe("rag_reuse_vectors");
      return {
        state: "answered",
        staged: rows.filter((row) => stored.has(row.chunk_index)).map((row) => row.chunk_index),
        known: [...known],
      };
    },
    stage: async ({ chunks }) => {
      for (const chunk of chunks) stored.set(chunk.chunkIndex, chunk.embedding);
      const reused = chunks.filter((chunk) => chunk.embedding === null).length;
      return { state: "staged", stored: chunks.length, reused, missing: [], processed_chunks: stored.size };
    },
  };
  return { step, stored, events };
}

async function* chunksOf(count: number): AsyncIterable<Chunk> {
  for (let at = 0; at < count; at += 1) {
    yield {
      chunkIndex: at,
      content: `text ${at}`,
      embedPrefix: "",
      charStart: 0,
      charEnd: 6,
      tokenCount: 2,
      pageNumber: null,
      section: null,
      speaker: null,
      startedMs: null,
      endedMs: null,
      segmentFrom: 1,
      segmentTo: 1,
    };
  }
}

const vectors = (texts: readonly string[]) => ({
  vectors: texts.map((text) => new Float32Array([text.length, 1])),
  tokens: texts.length,
  costUsd: 0,
});

test("every chunk is stored once, in bounded flight", async () => {
  const { step, stored } = openWorld();
  let flying = 0;
  let most = 0;
  const embed = async (texts: readonly string[]) => {
    flying += 1;
    most = Math.max(most, flying);
    await new Promise((resolve) => setImmediate(resolve));
    flying -= 1;
    return vectors(texts);
  };

  const totals = await storeChunks(() => chunksOf(23), embed, limits, unknownSegments, step);

  expect(totals).toEqual({ chunks: 23, reused: 0, rejected: 0, firstRejected: null });
  expect([...stored.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: 23 }, (_, at) => at));
  expect(most).toBeLessThanOrEqual(limits.inFlight);
});

test("the chunker is not read further ahead than the flight allows", async () => {
  const { step } = openWorld();
  let read = 0;
  async function* counting() {
    for await (const chunk of chunksOf(40)) {
      read += 1;
      yield chunk;
    }
  }
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const running = storeChunks(
    counting,
    async (texts) => {
      await held;
      return vectors(texts);
    },
    limits,
    unknownSegments,
    step,
  );
  await new Promise((resolve) => setTimeout(resolve, 20));

  expect(read).toBeLessThanOrEqual(limits.batch * limits.inFlight + 1);
  release();
  await running;
});

test("a batch that fails ends the job with its failure, and no later batch is sent", async () => {
  const { step } = openWorld();
  let requests = 0;
  const embed = async () => {
    requests += 1;
    throw new Failure("embed.denied");
  };

  await expect(storeChunks(() => chunksOf(100), embed, limits, unknownSegments, step)).rejects.toMatchObject({
    code: "embed.denied",
  });
  expect(requests).toBeLessThanOrEqual(limits.inFlight + 1);
});

test("a batch that fails ends what the chunker waits for", async () => {
  const { step } = openWorld();
  async function* planning(signal: AbortSignal) {
    yield* chunksOf(limits.batch);
    // As a chunker that compares meanings waits for its vectors: for ever, unless it is told.
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  }
  const failing = async () => {
    throw new Failure("embed.denied");
  };

  await expect(storeChunks(planning, failing, limits, unknownSegments, step)).rejects.toMatchObject({
    code: "embed.denied",
  });
});

test("chunks that an earlier run stored are neither embedded nor sent again", async () => {
  const { step, stored } = openWorld();
  for (let at = 0; at < 8; at += 1) stored.set(at, new Float32Array([1]));
  const texts: string[] = [];
  const embed = async (batch: readonly string[]) => {
    texts.push(...batch);
    return vectors(batch);
  };

  await storeChunks(() => chunksOf(10), embed, limits, unknownSegments, step);

  expect(texts).toEqual(["text 8", "text 9"]);
});

test("more chunks than a document may have is a failure, not a flood", async () => {
  const { step } = openWorld();
  await expect(
    storeChunks(
      () => chunksOf(101),
      async (texts) => vectors(texts),
      limits,
      unknownSegments,
      step,
    ),
  ).rejects.toMatchObject({ code: "chunk.over-limit" });
});

test("a fired signal ends the job with its reason", async () => {
  const { step } = openWorld();
  const abort = new AbortController();
  const running = storeChunks(
    () => chunksOf(50),
    async (texts) => {
      abort.abort(new Failure("worker.stopping"));
      return vectors(texts);
    },
    limits,
    unknownSegments,
    { ...step, signal: abort.signal },
  );

  await expect(running).rejects.toMatchObject({ code: "worker.stopping" });
});

test("a lost lease ends the job as lost", async () => {
  const { step } = openWorld();
  const lost: StepContext = { ...step, stage: async () => ({ state: "lease_lost" }) };

  await expect(
    storeChunks(
      () => chunksOf(3),
      async (texts) => vectors(texts),
      limits,
      unknownSegments,
      lost,
    ),
  ).rejects.toMatchObject({ code: "job.lease-lost" });
});

test("jobs together have no more chunks on their way than there is room for", async () => {
  const { step } = openWorld();
  const small = { ...limits, room: openPlaces(8) };
  let flying = 0;
  let most = 0;
  const embed = async (texts: readonly string[]) => {
    flying += texts.length;
    most = Math.max(most, flying);
    await new Promise((resolve) => setImmediate(resolve));
    flying -= texts.length;
    return vectors(texts);
  };

  const jobs = [23, 1, 9].map((count) =>
    storeChunks(() => chunksOf(count), embed, small, unknownSegments, step),
  );

  expect((await Promise.all(jobs)).map(({ chunks }) => chunks)).toEqual([23, 1, 9]);
  expect(most).toBeLessThanOrEqual(8);
});

test("a job that failed gives back its room", async () => {
  const { step } = openWorld();
  const small = { ...limits, room: openPlaces(8) };
  const failing = async () => {
    throw new Failure("embed.denied");
  };
  await expect(storeChunks(() => chunksOf(20), failing, small, unknownSegments, step)).rejects.toThrow();

  const totals = await storeChunks(
    () => chunksOf(20),
    async (texts) => vectors(texts),
    small,
    unknownSegments,
    step,
  );

  expect(totals.chunks).toBe(20);
});

test("a job that stands in line for room is not stalled, and leaves the line when it is told to stop", async () => {
  const { step } = openWorld();
  const small = { ...limits, room: openPlaces(8) };
  await small.room.take(8, step.signal);
  const abort = new AbortController();
  const touch = vi.fn<() => void>();
  const inLine = { ...step, signal: abort.signal, touch };
  const running = storeChunks(
    () => chunksOf(1),
    async (texts) => vectors(texts),
    small,
    unknownSegments,
    inLine,
  );
  running.catch(() => {});

  // One touch is the chunk's own.
  await vi.waitFor(() => expect(touch.mock.calls.length).toBeGreaterThan(1), 10_000);
  abort.abort(new Failure("worker.stopping"));

  await expect(running).rejects.toMatchObject({ code: "worker.stopping" });
});
