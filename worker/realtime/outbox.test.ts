import { expect, test } from "vitest";
import { openOutbox } from "./outbox.ts";

const progress = (done: number) => ({ user_id: "ann", type: "job.progress", payload: { done } });
const status = (status: string) => ({ user_id: "ann", type: "job.status_updated", payload: { status } });
const payloads = (outbox: ReturnType<typeof openOutbox>) => outbox.take(100).map(({ payload }) => payload);

test("of one job only the newest progress waits, and statuses keep their order", () => {
  const outbox = openOutbox(() => {});

  outbox.put(status("processing"), "a");
  outbox.put(progress(1), "a");
  outbox.put(progress(2), "a");
  outbox.put(progress(7), "b");
  outbox.put(status("complete"), "a");

  expect(payloads(outbox)).toEqual([
    { status: "processing" },
    { done: 2 },
    { done: 7 },
    { status: "complete" },
  ]);
});

test("what could not be sent comes back before what followed it, but not over newer progress", () => {
  const outbox = openOutbox(() => {});
  outbox.put(status("processing"), "a");
  outbox.put(progress(1), "a");
  const sent = outbox.take(10);
  outbox.put(progress(2), "a");
  outbox.put(status("complete"), "a");

  outbox.putBack(sent);

  expect(payloads(outbox)).toEqual([{ status: "processing" }, { done: 2 }, { status: "complete" }]);
});

test("with no room left progress goes before statuses, and is counted", () => {
  const outbox = openOutbox(() => {}, 3);

  outbox.put(status("1"), "a");
  outbox.put(progress(1), "a");
  outbox.put(status("2"), "b");
  outbox.put(status("3"), "c");
  outbox.put(status("4"), "d");

  expect(payloads(outbox)).toEqual([{ status: "2" }, { status: "3" }, { status: "4" }]);
  expect(outbox.dropped()).toBe(2);
});
