// The day's account beside a database that answers what the test wants: midnight, and trouble.
import { expect, test, vi } from "vitest";
import { openLedger } from "./ledger.ts";

type Told = {
  readonly p_day: string | null;
  readonly p_costs: readonly { tokens: number; cost_usd: string }[];
};

/** A database whose days end when the test says so. */
function openDatabase(answer: () => object) {
  const told: Told[] = [];
  return {
    told,
    call: async (name: string, args: object) => {
      if (name === "rag_end_budget_wait") return { resumed: 0 };
      told.push(args as Told);
      return answer();
    },
  };
}

const paid = (tokens: number, costUsd: number) => ({ tenantId: "acme", model: "m", tokens, costUsd });

test("a day that ends takes its sums along: the next begins with what was not told", async () => {
  let day = { day: "2026-11-22", ends_in_seconds: 0, spent_usd: 0.9 };
  const { call, told } = openDatabase(() => day);
  const ledger = await openLedger({ call, workerId: "w", budgetUsd: null });
  ledger.add(paid(100, 0.5));
  await vi.waitFor(() => expect(told.length).toBe(2), { timeout: 20_000, interval: 50 });
  day = { day: "2026-11-23", ends_in_seconds: 1000, spent_usd: 0 };
  ledger.add(paid(10, 0.1));
  await vi.waitFor(() => expect(told.length).toBe(3), { timeout: 20_000, interval: 50 });
  ledger.add(paid(1, 0.01));
  await ledger.close();

  expect(told.map(({ p_day, p_costs }) => [p_day, p_costs.map(({ tokens }) => tokens)])).toEqual([
    [null, []],
    ["2026-11-22", [100]],
    ["2026-11-22", [110]],
    ["2026-11-23", [1]],
  ]);
}, 60_000);

test("what a failing database was not told is told with the next", async () => {
  let fails = false;
  const { call, told } = openDatabase(() => {
    if (fails) throw new Error("away");
    return { day: "2026-11-22", ends_in_seconds: 1000, spent_usd: 0 };
  });
  const ledger = await openLedger({ call, workerId: "w", budgetUsd: 1 });
  fails = true;
  ledger.add(paid(5, 0.95));
  await vi.waitFor(() => expect(told.length).toBe(2), { timeout: 20_000, interval: 50 });
  fails = false;
  ledger.add(paid(5, 0.95));

  expect(() => ledger.admit()).toThrow("budget");
  await ledger.close();
  expect(told.at(-1)?.p_costs).toEqual([
    { tenant_id: "acme", model: "m", tokens: 10, cost_usd: "1.90000000" },
  ]);
}, 60_000);

test("what somebody else wrote down counts for the budget at once, and is not told again", async () => {
  const { call, told } = openDatabase(() => ({ day: "2026-11-22", ends_in_seconds: 1000, spent_usd: 0.9 }));
  const ledger = await openLedger({ call, workerId: "w", budgetUsd: 1 });
  ledger.admit();

  ledger.note(0.2);

  expect(() => ledger.admit()).toThrow(expect.objectContaining({ code: "embed.budget-spent" }));
  await ledger.close();
  expect(told.flatMap(({ p_costs }) => p_costs)).toEqual([]);
});
