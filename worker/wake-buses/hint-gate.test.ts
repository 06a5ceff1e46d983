import { expect, test, vi } from "vitest";
import { openHintGate } from "./hint-gate.ts";

const HINT = '{"job_id":"1"}';

test("the first hint wakes before hear returns", () => {
  const wake = vi.fn();
  const gate = openHintGate(wake);

  gate.hear(HINT);

  expect(wake).toHaveBeenCalledTimes(1);
});

test("hints close behind it wake once more, after the last of them", async () => {
  let heardAtWake = 0;
  const wake = vi.fn(() => {
    heardAtWake = gate.counters().received;
  });
  const gate = openHintGate(wake);

  for (let hint = 0; hint < 100; hint += 1) gate.hear(HINT);

  await vi.waitFor(() => expect(heardAtWake).toBe(100));
  expect(wake).toHaveBeenCalledTimes(2);
  expect(gate.counters()).toEqual({ received: 100, malformed: 0, coalesced: 99 });
});

test("a hint after a quiet while wakes at once again", async () => {
  const wake = vi.fn();
  const gate = openHintGate(wake);
  gate.hear(HINT);
  gate.hear(HINT);
  await vi.waitFor(() => expect(wake).toHaveBeenCalledTimes(2));

  await vi.waitFor(() => {
    const before = wake.mock.calls.length;
    gate.hear(HINT);
    expect(wake.mock.calls.length).toBe(before + 1);
  });
});

test("an endless flood wakes twenty times a second, not two hundred", async () => {
  const times: number[] = [];
  const gate = openHintGate(() => times.push(performance.now()));
  const flood = setInterval(() => gate.hear(HINT), 1);

  await vi.waitFor(() => expect(times.length).toBeGreaterThan(10), { timeout: 10_000 });

  clearInterval(flood);
  gate.close();
  const steady = (times[9] ?? 0) - (times[8] ?? 0);
  // A timer may be late, never early (but for the clock's own millisecond).
  expect(steady).toBeGreaterThanOrEqual(49);
});

test("what cannot be a hint wakes nobody, however much of it comes", () => {
  const wake = vi.fn();
  const gate = openHintGate(wake);

  for (let hint = 0; hint < 1000; hint += 1) gate.hear("garbage");

  expect(wake).not.toHaveBeenCalled();
  expect(gate.counters()).toEqual({ received: 1000, malformed: 1000, coalesced: 0 });
});

test("a wake-up that is owed when the gate closes is not given", async () => {
  const wake = vi.fn();
  const gate = openHintGate(wake);
  gate.hear(HINT);
  gate.hear(HINT);

  gate.close();
  gate.hear(HINT);
  const other = vi.fn();
  const open = openHintGate(other);
  open.hear(HINT);
  open.hear(HINT);

  // Who is owed one at the same time gets it.
  await vi.waitFor(() => expect(other).toHaveBeenCalledTimes(2));
  expect(wake).toHaveBeenCalledTimes(1);
});
