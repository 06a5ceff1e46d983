import { expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import { describeError } from "./describe-error.ts";

const TEXT = "Dear Ms Ferreira, the diagnosis";

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (thrown) {
    return thrown;
  }
  throw new Error("it did not throw");
}

test("a failure is told by code, kind, sentence and facts, with its causes", () => {
  const cause = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:5432"), {
    code: "ECONNREFUSED",
    syscall: "connect",
    errno: -111,
  });

  const fields = describeError(new Failure("database.unreachable", { cause, facts: { attempt: 2 } }));

  expect(fields).toMatchObject({
    type: "Failure",
    code: "database.unreachable",
    kind: "transient",
    facts: { attempt: 2 },
    cause: { type: "Error", code: "ECONNREFUSED", message: "connect ECONNREFUSED 127.0.0.1:5432" },
  });
  expect(fields.stack?.[0]).toMatch(/^at /);
});

test.each([
  ["a JSON parser", () => JSON.parse(TEXT)],
  ["a property set on a string", () => Object.defineProperty(JSON.parse(JSON.stringify(TEXT)), "x", {})],
  ["the in operator", () => "x" in (TEXT as unknown as object)],
  [
    "a database",
    () => {
      throw Object.assign(new Error(`invalid input syntax: "${TEXT}"`), {
        code: "22P02",
        detail: TEXT,
        routine: "x",
      });
    },
  ],
  [
    "an error whose stack imitates frames",
    () => {
      throw new Error(`${TEXT}\n    at ${TEXT}`);
    },
  ],
  [
    "an aggregate",
    () => {
      throw new AggregateError([new Error(TEXT)], TEXT, { cause: new Error(TEXT) });
    },
  ],
])("the text that %s quotes is not told, the place is", (_who, act) => {
  const fields = describeError(thrownBy(act));

  expect(JSON.stringify(fields)).not.toContain("Ferreira");
  expect(fields.stack?.length).toBeGreaterThan(0);
});

test("a mistake of the program keeps V8's own words", () => {
  const nothing = JSON.parse("null") as { length: number };

  const fields = describeError(thrownBy(() => nothing.length));

  expect(fields).toMatchObject({
    type: "TypeError",
    message: "Cannot read properties of null (reading 'length')",
  });
});

test("causes in a circle end", () => {
  const one = new Error("one");
  one.cause = new Error("two", { cause: one });

  const depth = JSON.stringify(describeError(one)).split('"cause"').length - 1;

  expect(depth).toBe(5);
});

test.each([
  [null],
  [undefined],
  ["words"],
  [42],
  [{ message: TEXT }],
])("%j thrown is told by its type alone", (thrown) => {
  expect(describeError(thrown)).toEqual({ type: thrown === null ? "null" : typeof thrown });
});
