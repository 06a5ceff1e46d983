// The fault suite is only worth something if it notices: with one guard taken out, the checker must say so.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../services.ts";
import { variants } from "./faults/broken-variants.ts";
import { catchVariant } from "./faults/catch-variant.ts";
import { type OwnPostgres, startOwnPostgres } from "./faults/own-postgres.ts";

const SEED = 20261122;
// A quiet machine catches each within twenty seconds, but for the fence of rag_begin_generation: a call must be held
// up in the moment between a claim and its first chunk, which took a minute. A busy machine needs several times that.
const LIMIT_MS = 300_000;

describeWith(["postgres", "pgbouncer"], "a queue with one guard taken out", () => {
  let own: OwnPostgres;
  beforeAll(async () => {
    own = await startOwnPostgres();
  });
  afterAll(() => own.close());

  test.each(variants)("is caught: $name", { timeout: 2 * LIMIT_MS }, async (variant) => {
    const found = await catchVariant(variant, own, SEED, LIMIT_MS);

    expect(found.map((violation) => violation.rule)).toEqual(
      expect.arrayContaining([expect.toBeOneOf([...variant.rules])]),
    );
  });
});
