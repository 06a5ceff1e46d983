import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import type { Transport } from "../../database/database.ts";
import type { RunningWorker, WorkerState } from "../../queue/worker-state.ts";
import { someFigures } from "../../status/testing/some-figures.ts";
import { openHands } from "./hands.ts";

const atOnce = { lookMs: 0, absentMs: 0 };

function runningWorker(state: Partial<WorkerState> = {}) {
  const stops: string[] = [];
  const worker: RunningWorker = {
    state: () => ({
      workerId: "own",
      condition: "working",
      code: null,
      advice: null,
      jobs: 0,
      slots: 4,
      loopAgeMs: 0,
      leaseAgeMs: null,
      ...state,
    }),
    ended: new Promise(() => {}),
    wake: () => {},
    stop: async (reason) => void stops.push(reason),
  };
  return { worker, stops };
}

/** A database on which these workers give signs of life, one set a look. */
function world(transport: Transport, ...looks: string[][]) {
  const own = runningWorker();
  const notices: string[] = [];
  let started = 0;
  const stats = (workers: string[]) => ({
    ...someFigures,
    workers: workers.map((worker_id) => ({ worker_id, jobs: 0, started_at: "2026-11-22T00:00:00Z" })),
  });
  const parts = {
    database: {
      transport,
      describes: "a database",
      call: async () => stats((looks.length > 1 ? looks.shift() : looks[0]) ?? []),
      stageChunks: async () => ({ state: "lease_lost" }),
      close: async () => {},
    },
    startWorker: async () => {
      started += 1;
      return own.worker;
    },
  };
  return { parts, own, notices, notice: (text: string) => void notices.push(text), started: () => started };
}

test("on the embedded database this process does the work, and stops doing it in the end", async () => {
  const { parts, own, notice, started } = world("embedded", []);
  const hands = openHands(parts, null, notice, atOnce);

  await hands.look(true);
  await hands.look(true);
  await hands.close();

  expect(started()).toBe(1);
  expect(own.stops).toEqual(["done"]);
});

test("a worker that is there already does it, and is named once", async () => {
  const { parts, notices, notice, started } = world("embedded", ["theirs"]);
  const hands = openHands(parts, null, notice, atOnce);

  await hands.look(true);
  await hands.look(true);

  expect(notices).toEqual(["The worker theirs does the work."]);
  expect(started()).toBe(0);
});

test("a worker of this machine that was killed is not waited for until its lease ends", async () => {
  const gone = spawnSync(process.execPath, ["-e", ""]).pid;
  const { parts, notice, started } = world("embedded", [`${hostname()}/${gone}/2026-11-22T00:00:00/abc`]);

  await openHands(parts, null, notice, atOnce).look(true);

  expect(started()).toBe(1);
});

test("a worker of another machine is believed, whatever number its name holds", async () => {
  const { parts, notice, started } = world("embedded", ["elsewhere/99999999/2026-11-22T00:00:00/abc"]);

  await openHands(parts, null, notice, atOnce).look(true);

  expect(started()).toBe(0);
});

test("when that worker goes away this process takes over", async () => {
  const { parts, notice, started } = world("embedded", ["theirs"], []);
  const hands = openHands(parts, null, notice, atOnce);

  await hands.look(true);
  await hands.look(true);

  expect(started()).toBe(1);
});

test("on a server without a worker the person is told how to start one, and not left waiting for ever", async () => {
  const { parts, notices, notice, started } = world("postgres", []);
  const hands = openHands(parts, null, notice, { lookMs: 0, absentMs: -1 });

  await expect(hands.look(true)).rejects.toMatchObject({ code: "worker.absent" });
  expect(notices).toEqual([expect.stringContaining("npm run worker:rag")]);
  expect(started()).toBe(0);
});

test("a worker that comes in time ends the count", async () => {
  const { parts, notices, notice } = world("postgres", [], ["theirs"], []);
  const hands = openHands(parts, null, notice, { lookMs: 0, absentMs: 60_000 });

  for (let looks = 0; looks < 3; looks += 1) await hands.look(true);

  expect(notices).toHaveLength(3);
});

test("nobody is looked for before there is something to do", async () => {
  const { parts, notices, notice, started } = world("embedded", []);

  await openHands(parts, null, notice, atOnce).look(false);

  expect([notices, started()]).toEqual([[], 0]);
});

test("a worker that can do no job ends the waiting with its own failure", async () => {
  const { parts, notice } = world("embedded", []);
  const given = runningWorker({ condition: "misconfigured", code: "embed.denied" });
  const hands = openHands(parts, given.worker, notice, atOnce);

  await expect(hands.look(true)).rejects.toMatchObject({ code: "embed.denied", kind: "misconfigured" });
  await hands.close();
  expect(given.stops).toEqual([]);
});
