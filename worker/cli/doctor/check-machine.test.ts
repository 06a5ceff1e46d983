import { expect, test } from "vitest";
import { checkCoreDumps } from "./check-machine.ts";

const limits = (core: string) => `Limit                     Soft Limit           Hard Limit           Units
Max stack size            8388608              unlimited            bytes
Max core file size        ${core.padEnd(20)} unlimited            bytes
`;

test.each([
  "unlimited",
  "1024",
])("a core file of %s is warned of, with what to start with instead", (core) => {
  expect(checkCoreDumps(limits(core))).toEqual([
    expect.objectContaining({ status: "yellow", advice: expect.stringContaining("ulimit -c 0") }),
  ]);
});

test("no core file is well, and a system that does not tell says nothing", () => {
  expect(checkCoreDumps(limits("0"))).toEqual([expect.objectContaining({ status: "green" })]);
  expect(checkCoreDumps("")).toEqual([]);
});
