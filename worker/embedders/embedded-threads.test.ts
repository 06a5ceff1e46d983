import { expect, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { failureOf } from "./contract.ts";
import { openEngineThreads } from "./embedded-threads.ts";
import type { EngineInput } from "./engine.ts";

const IDLE_MS = 60_000;
const never = new AbortController().signal;
const inputs = (count: number): EngineInput[] =>
  Array.from({ length: count }, (_, at) => ({ text: `${at}`, ids: new BigInt64Array() }));

type Asked = { readonly thread: number; readonly text: string; answer(): void };

/** Threads that answer only when told to, and die when told to. */
function openYard() {
  const asked: Asked[] = [];
  const deaths: (() => void)[] = [];
  const closed: number[] = [];
  const start = async (ended: () => void) => {
    const thread = deaths.length;
    const open = new Set<PromiseWithResolvers<Float32Array>>();
    deaths.push(() => {
      for (const task of open) task.reject(new Failure("embed.unavailable"));
      ended();
    });
    return {
      ask({ text }: EngineInput) {
        const task = Promise.withResolvers<Float32Array>();
        open.add(task);
        asked.push({
          thread,
          text,
          answer: () => {
            open.delete(task);
            task.resolve(Float32Array.of(Number(text)));
          },
        });
        return task.promise;
      },
      close: async () => {
        closed.push(thread);
        ended();
      },
    };
  };
  return { start, asked, deaths, closed };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

async function answerAll(asked: Asked[]): Promise<void> {
  for (let at = 0; at < asked.length; at++) {
    asked[at]?.answer();
    await settled();
  }
}

test("one text starts no second thread; more do", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 2, IDLE_MS);

  const one = threads.run(inputs(1), never);
  await settled();
  const startedForOne = yard.deaths.length;
  const more = threads.run(inputs(5), never);
  await settled();
  await answerAll(yard.asked);
  await Promise.all([one, more]);

  expect(startedForOne).toBe(1);
  expect(yard.deaths).toHaveLength(2);
});

test("vectors come in the order of the texts, whoever answers first", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 2, IDLE_MS);

  const run = threads.run(inputs(4), never);
  await settled();
  for (const { answer } of yard.asked.toReversed()) answer();

  expect((await run).map(([value]) => value)).toEqual([0, 1, 2, 3]);
});

test("a thread has at most two texts, so that an abort does not wait for a long line", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 2, IDLE_MS);
  const abort = new AbortController();

  const run = failureOf(threads.run(inputs(40), abort.signal));
  await settled();
  abort.abort(new Failure("job.lease-lost"));
  await run;
  await answerAll(yard.asked);

  expect(yard.asked).toHaveLength(4);
});

test("a thread that dies fails the texts it had, and the next text starts another", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 1, IDLE_MS);
  const lost = failureOf(threads.run(inputs(1), never));
  await settled();
  yard.deaths[0]?.();

  const failure = await lost;
  const next = threads.run(inputs(1), never);
  await settled();
  yard.asked.at(-1)?.answer();

  expect(failure.code).toBe("embed.unavailable");
  expect(await next).toHaveLength(1);
  expect(yard.asked.at(-1)?.thread).toBe(1);
});

test("after one text of a call has failed, the rest of its line is given to nobody", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 1, IDLE_MS);

  const run = failureOf(threads.run(inputs(20), never));
  await settled();
  yard.deaths[0]?.();
  await run;
  await settled();

  expect(yard.asked).toHaveLength(2);
});

test("a thread that cannot start fails the call that needed it, and is tried again by the next", async () => {
  const yard = openYard();
  let broken = false;
  const start = async (ended: () => void) => {
    if (!broken) return await yard.start(ended);
    throw new Failure("embed.unavailable");
  };
  const threads = await openEngineThreads(start, 1, IDLE_MS);
  broken = true;
  yard.deaths[0]?.();

  const failure = await failureOf(threads.run(inputs(1), never));
  broken = false;
  const next = threads.run(inputs(1), never);
  await settled();
  await answerAll(yard.asked);

  expect(failure.code).toBe("embed.unavailable");
  expect(await next).toHaveLength(1);
});

test("threads end after a time without texts, and the next text starts one again", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 2, 20);
  const run = threads.run(inputs(4), never);
  await settled();
  const during = yard.closed.length;
  await answerAll(yard.asked);
  await run;

  await vi.waitFor(() => expect(yard.closed.toSorted()).toEqual([0, 1]));
  const next = threads.run(inputs(1), never);
  await settled();
  yard.asked.at(-1)?.answer();

  expect(during).toBe(0);
  expect(await next).toHaveLength(1);
  expect(yard.deaths).toHaveLength(3);
});

test("no thread ends while a text is in it, however long it takes", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 1, 10);
  const run = threads.run(inputs(1), never);
  const witness = openYard();
  await openEngineThreads(witness.start, 1, 10);

  await vi.waitFor(() => expect(witness.closed).toEqual([0]));
  yard.asked[0]?.answer();

  expect(await run).toHaveLength(1);
  expect(yard.closed).toEqual([]);
});

test("the longest texts go first, and vectors come in the order of the texts", async () => {
  const yard = openYard();
  const threads = await openEngineThreads(yard.start, 1, IDLE_MS);
  const sized = [3, 9, 1, 5].map((length) => ({ text: `${length}`, ids: new BigInt64Array(length) }));

  const run = threads.run(sized, never);
  await settled();
  await answerAll(yard.asked);

  expect(yard.asked.map(({ text }) => text)).toEqual(["9", "5", "3", "1"]);
  expect((await run).map(([value]) => value)).toEqual([3, 9, 1, 5]);
});
