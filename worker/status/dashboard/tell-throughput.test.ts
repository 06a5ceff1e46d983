import { expect, test, vi } from "vitest";
import { openActivity } from "../../activity/activity.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import { tellThroughput } from "./tell-throughput.ts";

type Told = {
  readonly minute: number;
  readonly complete: number;
  readonly failed: number;
  readonly durations: number[];
};

function open(answer: () => Promise<unknown> = async () => null, workerId = () => "host/1") {
  const activity = openActivity();
  const told: Told[] = [];
  const call: SqlCall = async (_name, args) => {
    told.push(args.p_told as Told);
    return await answer();
  };
  const throughput = tellThroughput({ activity, call, workerId, tellMs: 5 });
  const complete = (durationMs: number) =>
    activity.say("job.completed", {
      jobId: "j",
      documentId: null,
      durationMs,
      chunks: 3,
      reused: 0,
      rejected: 0,
      tokens: 1,
      costUsd: null,
      unchanged: false,
    });
  const fail = () =>
    activity.say("job.failed", {
      jobId: "j",
      documentId: null,

      code: "extract.corrupt",
      detail: "",
      attempt: 1,
    });
  return { told, complete, fail, ...throughput };
}

test("tells the running figures of the minute, with each duration in its class", async () => {
  const { told, complete, fail, stop } = open();
  complete(50);
  complete(400);
  complete(10_000_000);
  fail();

  await stop();

  expect(told.at(-1)).toMatchObject({ minute: 0, complete: 3, failed: 1, chunks: 9 });
  expect(told.at(-1)?.durations).toEqual([1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test("says nothing while nothing happens, and nothing before the worker has a name", async () => {
  let name = "";
  const { told, complete, stop } = open(undefined, () => name);
  complete(1);
  await vi.waitFor(() => expect(told).toEqual([]));
  name = "host/1";
  await vi.waitFor(() => expect(told).toHaveLength(1));
  const before = told.length;

  await stop();

  expect(told).toHaveLength(before);
});

test("what a failing database did not take is told again, whole", async () => {
  let fails = true;
  const { told, complete, stop } = open(() =>
    fails ? Promise.reject(new Error("away")) : Promise.resolve(),
  );
  complete(1);
  await vi.waitFor(() => expect(told.length).toBeGreaterThan(1));
  fails = false;
  complete(1);

  await vi.waitFor(() => expect(told.at(-1)).toMatchObject({ complete: 2 }));
  await stop();
});

test("a database that hangs does not hold up the end", async () => {
  const { complete, told, stop } = open(() => new Promise(() => {}));
  complete(1);
  await vi.waitFor(() => expect(told).toHaveLength(1));

  await stop();
});
