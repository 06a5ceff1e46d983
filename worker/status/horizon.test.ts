import { expect, test } from "vitest";
import { HELD_LONG_SECONDS, judgeHorizon, MANY_DEAD_ROWS } from "./horizon.ts";
import type { OldestSnapshot } from "./queue-figures.ts";

const session: OldestSnapshot = {
  kind: "session",
  pid: 4711,
  name: "report",
  state: "idle in transaction",
  seconds: HELD_LONG_SECONDS,
  transactions: 50_000,
};
const judge = (holder: OldestSnapshot | null, dead = 12) =>
  judgeHorizon({ dead_rows: dead, oldest_snapshot: holder });

test("nobody who holds vacuum back is nothing to do", () => {
  expect(judge(null)).toEqual({
    held: false,
    says: "Nobody keeps vacuum from its work; 12 dead rows in the queue.",
  });
});

test.each<[string, Partial<OldestSnapshot>, string]>([
  ["a forgotten session", {}, "end it: select pg_terminate_backend(4711);"],
  [
    "a prepared transaction",
    { kind: "prepared", pid: null, name: "it's", state: "prepared" },
    "rollback prepared 'it''s';",
  ],
  // Nobody can say since when: then the dead rows tell.
  [
    "a slot",
    { kind: "slot", pid: null, name: "old", state: "inactive", seconds: null },
    "select pg_drop_replication_slot('old');",
  ],
  ["a standby", { kind: "standby", seconds: null }, "hot_standby_feedback"],
  [
    "a session that this role may not see",
    { state: "not visible", seconds: null },
    "not visible to this role",
  ],
])("%s is named with what ends it", (_what, holder, advice) => {
  const { held, says } = judge({ ...session, ...holder }, MANY_DEAD_ROWS);

  expect(held).toBe(true);
  expect(says).toContain(advice);
});

test.each<[string, Partial<OldestSnapshot>]>([
  ["one that began a moment ago", { seconds: HELD_LONG_SECONDS - 1 }],
  ["one behind which next to nothing happened", { transactions: 3 }],
  ["one whose age cannot be seen, while few rows are dead", { seconds: null }],
])("%s is no alarm, but is shown", (_what, holder) => {
  const { held, says } = judge({ ...session, ...holder });

  expect(held).toBe(false);
  expect(says).toContain("Session 4711");
});

test("dead rows that nobody holds mean that vacuum does not keep up", () => {
  expect(judge(null, MANY_DEAD_ROWS)).toMatchObject({
    held: true,
    says: expect.stringContaining("vacuum does not keep up"),
  });
});
