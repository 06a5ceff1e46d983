import { expect, test, vi } from "vitest";
import { openSettling } from "./settling.ts";

const file = (modifiedUs: number, byteSize = 5) =>
  ({ kind: "file", path: "/a", byteSize, modifiedUs }) as const;
const now = () => Date.now() * 1000;

test("a file that has stood still for long is taken at once", () => {
  const settling = openSettling(1000);

  expect(settling.isSettled(file(now() - 5_000_000))).toBe(true);
  expect(settling.dueMs()).toBeNull();
});

test("a file that is being written is taken when two looks see the same, and not while it grows", async () => {
  const settling = openSettling(50);
  // A clock that is ahead: its age says nothing.
  const at = now() + 60_000_000;

  const looks = [settling.isSettled(file(at, 1)), settling.isSettled(file(at, 2))];

  expect(looks).toEqual([false, false]);
  expect(settling.dueMs()).toBeGreaterThan(0);
  await vi.waitFor(() => expect(settling.isSettled(file(at, 2))).toBe(true));
  expect(settling.dueMs()).toBeNull();
});

test("without a time to settle every file is taken as it is", () => {
  expect(openSettling(0).isSettled(file(now() + 60_000_000))).toBe(true);
});
