import { expect, test, vi } from "vitest";
import { openActivity } from "../activity/activity.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { sleep } from "../timing/durations.ts";
import { startMaintenance } from "./maintenance.ts";

const options = { keepOriginals: false, activityRetentionDays: 90, indexMemoryMb: 64, buildsIndexes: true };

/** A database with so many vectors to fold, that asks for an index when it has folded them. */
function openWorld(tail: number) {
  const asked: string[] = [];
  let left = tail;
  let unfilled = 600;
  const build = Promise.withResolvers<unknown>();
  const call: SqlCall = async (name, args, how) => {
    asked.push(name);
    if (name === "rag_fill_terms") {
      const chunks = Math.min(unfilled, Number(args.p_limit));
      unfilled -= chunks;
      return { chunks, generations: 1 };
    }
    if (name === "rag_collect_garbage") return { chunks: 0, segments: 0, generations: 0, originals: 0 };
    if (name === "rag_drop_activity") return null;
    if (name === "rag_build_vectors") {
      expect(how).toMatchObject({ apart: true });
      return asked.filter((one) => one === name).length > 1
        ? { state: "idle", rows: 0, parts: 0 }
        : build.promise;
    }
    expect(args.p_memory_mb).toBe(64);
    left = Math.max(0, left - Number(args.p_limit));
    return { chunks: 1000, tail: left > 0, build: left === 0 };
  };
  return { call, asked, build, count: (name: string) => asked.filter((one) => one === name).length };
}

test("vectors are folded until no tail is left, and an index is built beside the other chores", async () => {
  const world = openWorld(2500);
  const activity = openActivity();
  const said: unknown[] = [];
  activity.listen((name, facts) => void (name === "vectors.indexed" && said.push(facts)));
  const maintenance = startMaintenance(world.call, activity, options);

  await vi.waitFor(() => expect(world.count("rag_build_vectors")).toBe(1), 5000);
  expect(world.count("rag_fold_vectors")).toBe(3);
  // The build is still under way, and the other chores have had their turn.
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(1));
  maintenance.wake();
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(2), 5000);
  expect(world.count("rag_build_vectors")).toBe(1);

  world.build.resolve({ state: "built", rows: 2500, parts: 1 });
  await vi.waitFor(() => expect(said).toMatchObject([{ rows: 2500, parts: 1 }]));
  await maintenance.stop();
});

test("an index waits while every slot has its job", async () => {
  const world = openWorld(100);
  let jobs = 1;
  const maintenance = startMaintenance(world.call, openActivity(), { ...options, isBusy: () => jobs > 0 });
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(1), 5000);
  expect(world.count("rag_build_vectors")).toBe(0);

  jobs = 0;
  maintenance.wake();
  await vi.waitFor(() => expect(world.count("rag_build_vectors")).toBe(1), 5000);

  world.build.resolve({ state: "built", rows: 100, parts: 1 });
  await maintenance.stop();
});

test("where building is not wanted none begins", async () => {
  const world = openWorld(100);
  const maintenance = startMaintenance(world.call, openActivity(), { ...options, buildsIndexes: false });

  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(1), 5000);

  expect(world.count("rag_build_vectors")).toBe(0);
  await maintenance.stop();
});

test("search terms are filled in one go, and by one call while every slot has its job", async () => {
  const world = openWorld(0);
  let jobs = 1;
  const maintenance = startMaintenance(world.call, openActivity(), {
    ...options,
    buildsIndexes: false,
    isBusy: () => jobs > 0,
  });

  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(1), 5000);
  expect(world.count("rag_fill_terms")).toBe(1);
  jobs = 0;
  maintenance.wake();
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(2), 5000);

  expect(world.count("rag_fill_terms")).toBe(4);
  await maintenance.stop();
});

test("while every slot has its job, filling search terms leaves the database to the jobs most of the time", async () => {
  const world = openWorld(0);
  let jobs = 1;
  const slow: SqlCall = async (name, args, how) => {
    if (name === "rag_fill_terms") await sleep(1000);
    return await world.call(name, args, how);
  };
  const maintenance = startMaintenance(slow, openActivity(), {
    ...options,
    buildsIndexes: false,
    isBusy: () => jobs > 0,
  });
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(1), 5000);

  // The next round comes a second later, and the call before it took as long.
  maintenance.wake();
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(2), 5000);
  expect(world.count("rag_fill_terms")).toBe(1);

  jobs = 0;
  maintenance.wake();
  await vi.waitFor(() => expect(world.count("rag_collect_garbage")).toBe(3), 8000);
  expect(world.count("rag_fill_terms")).toBe(4);
  await maintenance.stop();
}, 30_000);
