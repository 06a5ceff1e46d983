// The fault suite is only worth something if it notices: with one guard taken out, the checker must say so.
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../services.ts";
import { variants } from "./faults/broken-variants.ts";
import { catchVariant } from "./faults/catch-variant.ts";
import { type OwnPostgres, startOwnPostgres } from "./faults/own-postgres.ts";

const SEED = 20261122;
// A busy machine needs ten seconds to start a worker; a quiet one catches each within twenty.
const LIMIT_MS = 120_000;

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
