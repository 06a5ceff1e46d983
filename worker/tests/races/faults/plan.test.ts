import { expect, test } from "vitest";
import { faultKinds, planFaults } from "./plan.ts";

test("a seed determines the sequence of faults, another seed makes another", () => {
  expect(planFaults(7, 200, 2000)).toEqual(planFaults(7, 200, 2000));
  expect(planFaults(7, 200, 2000).faults).not.toEqual(planFaults(8, 200, 2000).faults);
});

test("two thousand faults are at least a hundred of each kind, and no lane has more than its share", () => {
  const { faults } = planFaults(1, 2000, 2000);

  const of = (key: "kind" | "lane", value: unknown) => faults.filter((fault) => fault[key] === value).length;
  for (const kind of faultKinds) expect(of("kind", kind)).toBeGreaterThanOrEqual(100);
  for (const lane of [0, 1, 2, 3, "database"]) expect(of("lane", lane)).toBeLessThanOrEqual(600);
});

test("only the kinds that were asked for are planned, each where it can happen", () => {
  const { faults } = planFaults(3, 30, 2000, ["rpc-twice", "restart-fast"]);

  expect(new Set(faults.map(({ kind, lane }) => `${kind} ${lane}`))).toEqual(
    new Set(["rpc-twice 3", "restart-fast database"]),
  );
});

test("a freeze lasts longer than a lease", () => {
  const { faults } = planFaults(5, 50, 3000, ["freeze"]);

  expect(Math.min(...faults.map((fault) => fault.forMs))).toBeGreaterThan(3000);
});
