import { expect, test } from "vitest";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import { outcomeOf } from "./outcome-of.ts";

test.each<[FailureCode, string]>([
  ["extract.encrypted", "fail"],
  ["embed.input-rejected", "fail"],
  ["embed.unavailable", "retry"],
  ["job.stalled", "retry"],
  ["embed.rate-limited", "release"],
  ["worker.stopping", "release"],
  ["embed.denied", "release"],
  ["database.unreachable", "release"],
  ["job.lease-lost", "lost"],
  ["unexpected", "retry"],
])("%s ends as %s", (code, kind) => {
  expect(outcomeOf(new Failure(code)).kind).toBe(kind);
});

test("what nobody expected is tried again under its own code", () => {
  const outcome = outcomeOf(new TypeError("x is not a function"));

  expect(outcome).toMatchObject({ kind: "retry", failure: { code: "unexpected" } });
});

test("a provider that says when is believed", () => {
  const outcome = outcomeOf(new Failure("embed.rate-limited", { retryAfterMs: 7000 }));

  expect(outcome).toMatchObject({ kind: "release", delayMs: 7000 });
});

test("a stopping worker gives jobs back at once", () => {
  expect(outcomeOf(new Failure("worker.stopping"))).toMatchObject({ kind: "release", delayMs: 0 });
});

test("a thrown string is still an outcome", () => {
  expect(outcomeOf("no")).toMatchObject({ kind: "retry", failure: { code: "unexpected" } });
});
