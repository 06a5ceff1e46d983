// Replicas share a provider's limits through the database, alike over every transport.
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { shareThrough } from "../../embedders/pacing/shared-share.ts";
import { describeEveryDatabase } from "./open-databases.ts";

const hungry = { hungry: true, used: 1, blockedMs: 0 };
const sated = (used: number) => ({ hungry: false, used, blockedMs: 0 });

describeEveryDatabase("shares of a provider's limits", (leg) => {
  const budget = () => `openai api.openai.com ${randomUUID()}`;
  const replica = (name: string, of: string) => shareThrough(leg().database.call, of, name);

  test("a replica that is alone has all of it", async () => {
    expect(await replica("a", budget())(hungry)).toEqual({ share: 1, replicas: 1, blockedMs: 0 });
  });

  test("three that could use more have a third each", async () => {
    const of = budget();
    for (const name of ["a", "b"]) await replica(name, of)(hungry);

    const { share, replicas } = await replica("c", of)(hungry);

    expect(share).toBeCloseTo(1 / 3);
    expect(replicas).toBe(3);
  });

  test("what one does not use, the others have; it keeps enough to begin again", async () => {
    const of = budget();
    await replica("idle", of)(sated(0));
    await replica("some", of)(sated(0.1));
    await replica("busy", of)(hungry);

    const shares = [
      await replica("idle", of)(sated(0)),
      await replica("some", of)(sated(0.1)),
      await replica("busy", of)(hungry),
    ].map(({ share }) => share);

    expect(shares[0]).toBeCloseTo(1 / 30);
    expect(shares[1]).toBeCloseTo(0.15);
    expect(shares[2]).toBeCloseTo(1 - 1 / 30 - 0.15);
  });

  test("a replica that is gone leaves its share to the others when its row runs out", async () => {
    const of = budget();
    for (const name of ["a", "gone"]) await replica(name, of)(hungry);
    await leg().sql.query(
      "update public.rag_provider_shares set alive_until = now() - interval '2 minutes' where replica = 'gone' and budget = $1",
      [of],
    );

    const { share } = await replica("a", of)(hungry);
    const rows = await leg().sql.query("select replica from public.rag_provider_shares where budget = $1", [
      of,
    ]);

    expect(share).toBe(1);
    expect(rows).toEqual([{ replica: "a" }]);
  });

  test("a wait that one was told is heard by the others, and is not told back to it", async () => {
    const of = budget();
    const own = await replica("told", of)({ ...hungry, blockedMs: 30_000 });

    const { blockedMs } = await replica("other", of)(hungry);

    expect(own.blockedMs).toBe(0);
    expect(blockedMs).toBeGreaterThan(20_000);
    expect(blockedMs).toBeLessThanOrEqual(30_000);
  });

  test("the limits of two providers have nothing to do with each other", async () => {
    await replica("a", budget())({ ...hungry, blockedMs: 30_000 });

    expect(await replica("b", budget())(hungry)).toEqual({ share: 1, replicas: 1, blockedMs: 0 });
  });
});
