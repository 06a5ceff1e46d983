import { expect, test } from "vitest";
import { settings } from "./settings.ts";
import { unknownSettings } from "./unknown-settings.ts";

test.each([
  ["RAG_JOB_CONCURENCY", "RAG_JOB_CONCURRENCY"],
  ["RAG_POLL_INTERVALL_MS", "RAG_POLL_INTERVAL_MS"],
  ["RAG_LEASE_SECS", "RAG_LEASE_SECONDS"],
  ["RAG_KIND", "RAG_KINDS"],
])("%s names %s as what was probably meant", (name, nearest) => {
  expect(unknownSettings({ [name]: "1" })).toEqual([{ name, nearest }]);
});

test("a name that is near to nothing is told without a guess", () => {
  expect(unknownSettings({ RAG_QUANTUM_FLUX: "on" })).toEqual([{ name: "RAG_QUANTUM_FLUX", nearest: null }]);
});

test("every setting is known, also by its other names", () => {
  const all = Object.values(settings).flatMap((setting) => setting.names.map((name) => [name, "1"]));

  expect(unknownSettings(Object.fromEntries(all))).toEqual([]);
});

test.each([
  ["other programs' names", { PATH: "/bin", DATABASE_URI: "x", FRAG_SIZE: "1" }],
  ["a name that is not set", { RAG_JOB_CONCURENCY: " " }],
  ["names of the project's own tests", { RAG_TEST_DATABASE_URL: "x", RAG_CORPUS_DIR: "y" }],
])("%s: nothing to say", (_what, environment) => {
  expect(unknownSettings(environment)).toEqual([]);
});
