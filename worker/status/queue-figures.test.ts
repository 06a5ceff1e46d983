import { expect, test, vi } from "vitest";
import { Failure } from "../failure/failure.ts";
import { openQueueFigures } from "./queue-figures.ts";
import { someFigures } from "./testing/some-figures.ts";

test("many who look at once cost one question", async () => {
  const ask = vi.fn(async () => someFigures);
  const read = openQueueFigures(ask);

  const answers = await Promise.all([read(), read(), read()]);
  await read();

  expect(ask).toHaveBeenCalledTimes(1);
  expect(answers[2]).toMatchObject({ figures: { queued: 5 }, trouble: null });
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
  const read = openQueueFigures(() =>
    broken ? Promise.reject(new Error("no")) : Promise.resolve(someFigures),
  );
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

  expect(later.figures).toMatchObject({ queued: 5 });
  expect(later.ageMs).toBeGreaterThanOrEqual(2_000);
});

test("a question that throws at once is an answer too", async () => {
  const read = openQueueFigures(() => {
    throw new Failure("database.denied");
  });

  expect((await read()).trouble).toBe("database.denied");
});
