import { expect, test } from "vitest";
import type { SqlCall } from "../document/sql-call.ts";
import { resolveJobIds } from "./job-row.ts";
import { someJob } from "./testing/some-job.ts";

const ids = ["6f2c0000-0000-4000-8000-000000000001", "6f2c1111-0000-4000-8000-000000000002"];

/** A database with these jobs, which finds them by id or by its start. */
function listing() {
  const asked: Record<string, unknown>[] = [];
  const call: SqlCall = async (_, args) => {
    const filter = args.p_filter as { job_ids?: string[]; job_id_prefix?: string };
    asked.push(filter);
    return ids
      .filter((id) => filter.job_ids?.includes(id) ?? id.startsWith(filter.job_id_prefix ?? ""))
      .map((id) => someJob(id));
  };
  return { call, asked };
}

test("an id as the logs show it, with its ellipsis, finds its job", async () => {
  const { call } = listing();

  expect(await resolveJobIds(call, ["6F2C1…", "6f2c0"])).toMatchObject({
    ids: [ids[1], ids[0]],
    rows: [{ id: ids[1] }, { id: ids[0] }],
    unknown: [],
  });
});

test("whole ids are looked up in one question, and the one that no job has is told apart", async () => {
  const { call, asked } = listing();
  const strange = "00000000-0000-4000-8000-00000000dead";

  expect(await resolveJobIds(call, [...ids, strange])).toMatchObject({ ids, unknown: [strange] });
  expect(asked).toHaveLength(1);
});

test("the start of no job's id is unknown, not wrong", async () => {
  expect(await resolveJobIds(listing().call, ["abcd"])).toEqual({
    ids: [],
    rows: [],
    unknown: ["abcd"],
  });
});

test("the same job named twice is one job", async () => {
  expect((await resolveJobIds(listing().call, ["6f2c0", ids[0] ?? ""])).ids).toEqual([ids[0]]);
});

test.each([
  ["6f2c", "2 jobs' ids start with"],
  ["6f", "is too short: give at least the first four digits"],
  ["f", "is too short"],
  ["'; drop", "is no job id"],
  ["", "is no job id"],
])("%s is told apart: %s", async (typed, sentence) => {
  await expect(resolveJobIds(listing().call, [typed])).rejects.toMatchObject({
    code: "usage.invalid",
    message: expect.stringContaining(sentence),
  });
});
