import { expect, test, vi } from "vitest";
import { backoffMs } from "./backoff.ts";
import { inWords, orAborted, sleep } from "./durations.ts";
import { watchForStall } from "./stall-watch.ts";

test("a wait lies between nothing and a ceiling that doubles up to its most", () => {
  const limits = { firstMs: 100, mostMs: 1000 };
  expect(backoffMs(1, limits, () => 1)).toBe(100);
  expect(backoffMs(3, limits, () => 1)).toBe(400);
  expect(backoffMs(60, limits, () => 1)).toBe(1000);
  expect(backoffMs(60, limits, () => 0)).toBe(0);
});

test("a fired signal ends a sleep without an error", async () => {
  const abort = new AbortController();
  const sleeping = sleep(3_600_000, abort.signal);
  abort.abort();
  await expect(sleeping).resolves.toBeUndefined();
});

test("work that takes too long ends with the signal's reason, work that is done with its answer", async () => {
  const stop = new AbortController();
  const never = orAborted(new Promise(() => {}), stop.signal);
  expect(await orAborted(Promise.resolve("answer"), stop.signal)).toBe("answer");
  stop.abort("enough");
  await expect(never).rejects.toBe("enough");
  await expect(orAborted(new Promise(() => {}), stop.signal)).rejects.toBe("enough");
});

test.each([
  [450, "0.45 s"],
  [45_200, "45.2 s"],
  [119_700, "2 min 0 s"],
  [200_000, "3 min 20 s"],
  [3_900_000, "1 h 5 min"],
])("%i ms reads %s", (ms, words) => {
  expect(inWords(ms)).toBe(words);
});

test("a step without a sign of life is stalled, one with them is not", async () => {
  const stalled = vi.fn();
  const lively = vi.fn();
  const silent = watchForStall(40, stalled);
  const busy = watchForStall(40, lively);
  const pulse = setInterval(busy.touch, 5);

  await vi.waitFor(() => expect(stalled).toHaveBeenCalledTimes(1));

  expect(lively).not.toHaveBeenCalled();
  clearInterval(pulse);
  silent.stop();
  busy.stop();
});
