import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { final, retrying } from "./retrying.ts";

function failing(times: number, failure: Failure) {
  const attempts = { made: 0 };
  const attempt = async () => {
    attempts.made += 1;
    if (attempts.made <= times) throw failure;
    return "answer";
  };
  return { attempt, attempts };
}

test.each(["database.unreachable", "database.conflict"] as const)("%s is tried again", async (code) => {
  const { attempt, attempts } = failing(1, new Failure(code));

  expect(await retrying(attempt, undefined)).toBe("answer");
  expect(attempts.made).toBe(2);
});

test("gives up after four attempts with the last failure", async () => {
  const failure = new Failure("database.conflict");
  const { attempt, attempts } = failing(99, failure);

  await expect(retrying(attempt, undefined)).rejects.toBe(failure);
  expect(attempts.made).toBe(4);
});

test.each([
  "database.denied",
  "database.rejected",
  "database.timeout",
  "database.not-migrated",
] as const)("%s is not tried again", async (code) => {
  const { attempt, attempts } = failing(1, new Failure(code));

  await expect(retrying(attempt, undefined)).rejects.toMatchObject({ code });
  expect(attempts.made).toBe(1);
});

test("a failure that has used up its time is not tried again", async () => {
  const { attempt, attempts } = failing(1, final(new Failure("database.unreachable")));

  await expect(retrying(attempt, undefined)).rejects.toMatchObject({ code: "database.unreachable" });
  expect(attempts.made).toBe(1);
});

test("a signal that fires between two attempts ends with its reason", async () => {
  const stop = new AbortController();
  const reason = new Failure("worker.stopping");
  const attempt = async () => {
    stop.abort(reason);
    throw new Failure("database.unreachable");
  };

  await expect(retrying(attempt, stop.signal)).rejects.toBe(reason);
});
