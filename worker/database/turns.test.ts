import { expect, test } from "vitest";
import { openTurns } from "./turns.ts";

const a = { name: "a" };
const b = { name: "b" };

test("a caller with many wishes waits for the other's one", async () => {
  const turns = openTurns();
  const order: string[] = [];
  const wish = (caller: object, name: string) => turns.take(caller, async () => void order.push(name));

  await Promise.all([wish(a, "a1"), wish(a, "a2"), wish(a, "a3"), wish(a, "a4"), wish(b, "b1")]);

  expect(order.indexOf("b1")).toBeLessThan(order.indexOf("a3"));
  expect(order.filter((name) => name.startsWith("a"))).toStrictEqual(["a1", "a2", "a3", "a4"]);
});

test("never runs two at once", async () => {
  const turns = openTurns();
  let running = 0;
  let most = 0;
  const work = async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  };

  await Promise.all([turns.take(a, work), turns.take(b, work), turns.take(a, work)]);

  expect(most).toBe(1);
});

test("one that throws does not stop the next", async () => {
  const turns = openTurns();
  const bad = turns.take(a, () => Promise.reject(new Error("bad")));
  const good = turns.take(a, async () => "good");

  await expect(bad).rejects.toThrow("bad");
  expect(await good).toBe("good");
});

test("a signal takes out the one that waits, and only that one", async () => {
  const turns = openTurns();
  const stop = new AbortController();
  const first = Promise.withResolvers<void>();
  const order: string[] = [];
  const running = turns.take(a, () => first.promise);
  const waiting = turns.take(a, async () => void order.push("stopped"), stop.signal);
  const after = turns.take(a, async () => void order.push("after"));

  stop.abort(new Error("enough"));
  first.resolve();

  await expect(waiting).rejects.toThrow("enough");
  await Promise.all([running, after, turns.idle()]);
  expect(order).toStrictEqual(["after"]);
});

test("is idle only when nothing runs or waits", async () => {
  const turns = openTurns();
  const order: string[] = [];
  const work = turns.take(a, async () => {
    await new Promise((resolve) => setImmediate(resolve));
    order.push("done");
  });

  await turns.idle();

  expect(order).toStrictEqual(["done"]);
  await work;
});
