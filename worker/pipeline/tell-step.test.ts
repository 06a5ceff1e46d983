import { expect, test } from "vitest";
import { openActivity } from "../activity/activity.ts";
import type { Events } from "../activity/catalogue.ts";
import type { Job } from "../document/lease.ts";
import { Failure } from "../failure/failure.ts";
import { tellItems, tellStep } from "./tell-step.ts";

const job: Job = {
  id: "6f2c",
  kind: "document",
  tenantId: "t",
  attempt: 1,
  maxAttempts: 5,
  lease: { jobId: "6f2c", token: "1" },
  document: null,
};

function openWorld() {
  const activity = openActivity();
  const told: Events["step.ended"][] = [];
  activity.listen((name, facts) => {
    if (name === "step.ended") told.push(facts as Events["step.ended"]); // SAFETY: the facts of that name.
  });
  return { step: { activity, job }, told };
}

/** Holds the thread, so that the times of two steps can be told apart whatever else the machine does. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

async function readAll(items: AsyncIterable<number>): Promise<void> {
  for await (const _ of items);
}

async function* counted(to: number, ms: number): AsyncIterable<number> {
  for (let next = 1; next <= to; next += 1) {
    work(ms);
    yield next;
  }
}

test("a step that ends well is told with what it had to do with", async () => {
  const { step, told } = openWorld();

  const result = await tellStep(
    "fetch",
    step,
    async () => 7,
    (bytes) => ({ bytes }),
  );

  expect(result).toBe(7);
  expect(told).toMatchObject([{ jobId: "6f2c", step: "fetch", code: "", counts: { bytes: 7 } }]);
});

test("a step that fails is told by its code, and the failure goes on", async () => {
  const { step, told } = openWorld();
  const failure = new Failure("source.not-found");

  await expect(tellStep("fetch", step, () => Promise.reject(failure))).rejects.toBe(failure);

  expect(told).toMatchObject([{ step: "fetch", code: "source.not-found" }]);
});

test("of steps that run as one stream each is told its own time, without its reader's and the one's before it", async () => {
  const { step, told } = openWorld();
  const read = tellItems("extract", step, counted(4, 20));
  async function* cut(): AsyncIterable<number> {
    for await (const item of read.items) {
      work(5);
      yield item;
    }
  }

  for await (const _ of tellItems("chunk", step, cut(), read).items) work(40);

  const [extract, chunk] = told;
  expect([extract?.step, chunk?.step]).toEqual(["extract", "chunk"]);
  expect(extract?.counts).toEqual({ items: 4 });
  expect(extract?.ownMs).toBeGreaterThanOrEqual(80);
  expect(chunk?.ownMs).toBeGreaterThanOrEqual(20);
  // Of the same time: what the reader and the other step took is in neither.
  expect((extract?.ownMs ?? 0) + (chunk?.ownMs ?? 0)).toBeLessThan((chunk?.elapsedMs ?? 0) - 150);
});

test("a stream that fails is told by its code, and one that nobody reads to its end is ended", async () => {
  const { step, told } = openWorld();
  let ended = false;
  async function* broken(): AsyncIterable<number> {
    yield 1;
    throw new Failure("extract.encrypted");
  }
  async function* long(): AsyncIterable<number> {
    try {
      while (true) yield 1;
    } finally {
      ended = true;
    }
  }

  await expect(readAll(tellItems("extract", step, broken()).items)).rejects.toThrow(Failure);
  for await (const _ of tellItems("read", step, long()).items) break;

  expect(told).toMatchObject([
    { step: "extract", code: "extract.encrypted", counts: { items: 1 } },
    { step: "read", code: "", counts: { items: 1 } },
  ]);
  expect(ended).toBe(true);
});
