import { expect, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { openQueueFigures } from "./queue-figures.ts";

const figures = {
  queued: 1,
  delayed: 0,
  processing: 0,
  oldest_queued_seconds: null,
  last_day: { complete: 0, failed: 0, cancelled: 0, chunks: 0, reused_chunks: 0, tokens: 0, cost_usd: 0 },
  last_hour_complete: 0,
  workers: [],
};

test("many who look at once cost one question", async () => {
  const ask = vi.fn(async () => figures);
  const read = openQueueFigures(ask);

  const answers = await Promise.all([read(), read(), read()]);
  await read();

  expect(ask).toHaveBeenCalledTimes(1);
  expect(answers[2]).toMatchObject({ figures: { queued: 1 }, trouble: null });
});

test("a refusal is remembered as long as an answer, so that a dead database is not stormed", async () => {
  const ask = vi.fn(() => Promise.reject(new Failure("database.unreachable")));
  const read = openQueueFigures(ask);

  const answers = [await read(), await read()];

  expect(ask).toHaveBeenCalledTimes(1);
  expect(answers).toEqual([
    { figures: null, ageMs: null, trouble: "database.unreachable" },
    { figures: null, ageMs: null, trouble: "database.unreachable" },
  ]);
});

test("the last figures are kept when a later look fails, with their age", async () => {
  let broken = false;
  const read = openQueueFigures(() => (broken ? Promise.reject(new Error("no")) : Promise.resolve(figures)));
  await read();

  broken = true;
  const later = await vi.waitFor(
    async () => {
      const answer = await read();
      expect(answer.trouble).toBe("unexpected");
      return answer;
    },
    { timeout: 20_000, interval: 100 },
  );

  expect(later.figures).toMatchObject({ queued: 1 });
  expect(later.ageMs).toBeGreaterThanOrEqual(2_000);
});

test("a question that throws at once is an answer too", async () => {
  const read = openQueueFigures(() => {
    throw new Failure("database.denied");
  });

  expect((await read()).trouble).toBe("database.denied");
});
