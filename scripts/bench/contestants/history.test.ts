import { expect, test } from "vitest";
import { mostAtWork } from "./history.ts";

const began = (tenant: string, at: number) => ({ tenant, began: true, at });
const ended = (tenant: string, at: number) => ({ tenant, began: false, at });

test("jobs that overlap for one moment count together, whatever order they are told in", () => {
  const history = [ended("a", 30), began("a", 20), began("a", 10), ended("a", 25), began("a", 24)];

  const most = mostAtWork(history);

  expect(most.get("a")).toBe(3);
});

test("a job that begins in the moment in which another ended is not one more", () => {
  const history = [began("a", 10), began("a", 20), ended("a", 20), ended("a", 30)];

  const most = mostAtWork(history);

  expect(most.get("a")).toBe(1);
});

test("one tenant's jobs are not another's", () => {
  const history = [began("a", 10), began("b", 11), ended("a", 20), ended("b", 21)];

  const most = mostAtWork(history);

  expect([...most]).toEqual([
    ["a", 1],
    ["b", 1],
  ]);
});
