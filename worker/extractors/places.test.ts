import { expect, test } from "vitest";
import { openPlaces } from "./places.ts";

const never = new AbortController().signal;

/** Takes places and notes its name when it has them. */
function takers(places: ReturnType<typeof openPlaces>) {
  const entered: string[] = [];
  const take = (name: string, count: number, signal = never) =>
    places.take(count, signal).then((leave) => {
      entered.push(name);
      return leave;
    });
  return { entered, take };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("who asks for many is not overtaken by who asks for few", async () => {
  const { entered, take } = takers(openPlaces(4));
  const leave = await take("first", 3);

  void take("many", 4);
  const few = take("few", 1);
  await settle();

  expect(entered).toEqual(["first"]);
  leave();
  await settle();
  expect(entered).toEqual(["first", "many"]);
  void few;
});

test("who asks for more than there are gets them all", async () => {
  const { entered, take } = takers(openPlaces(4));

  const leave = await take("huge", 9);
  const next = take("next", 1);
  await settle();

  expect(entered).toEqual(["huge"]);
  leave();
  await next;
  expect(entered).toEqual(["huge", "next"]);
});

test("places given back twice are free once", async () => {
  const { entered, take } = takers(openPlaces(1));
  const leave = await take("first", 1);

  leave();
  leave();
  await take("second", 1);
  void take("third", 1);
  await settle();

  expect(entered).toEqual(["first", "second"]);
});

test("a waiter whose signal fires leaves the line with its reason, and those behind it come in", async () => {
  const { entered, take } = takers(openPlaces(2));
  await take("first", 1);
  const abort = new AbortController();
  const leaving = take("leaving", 2, abort.signal);
  const behind = take("behind", 1);

  abort.abort(new Error("gone"));

  await expect(leaving).rejects.toThrow("gone");
  await behind;
  expect(entered).toEqual(["first", "behind"]);
});

test("a signal that fired before takes no place", async () => {
  const { entered, take } = takers(openPlaces(1));

  await expect(take("late", 1, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  await take("next", 1);

  expect(entered).toEqual(["next"]);
});
