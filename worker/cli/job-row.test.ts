import { expect, test } from "vitest";
import type { SqlCall } from "../document/sql-call.ts";
import { resolveJobIds } from "./job-row.ts";

const ids = ["6f2c0000-0000-4000-8000-000000000001", "6f2c1111-0000-4000-8000-000000000002"];

function listing() {
  let asked = 0;
  const call: SqlCall = async () => {
    asked += 1;
    return ids.map((id) => ({
      id,
      kind: "document",
      document_id: null,
      title: null,
      source_uri: null,
      tenant_id: "default",
      status: "queued",
      stage: null,
      attempts: 0,
      max_attempts: 5,
      total_chunks: null,
      processed_chunks: 0,
      reused_chunks: 0,
      total_segments: null,
      processed_segments: 0,
      error_code: null,
      error_detail: null,
      submitted_at: "2026-11-22T00:00:00Z",
    }));
  };
  return { call, asked: () => asked };
}

test("an id as the logs show it, with its ellipsis, finds its job", async () => {
  const { call, asked } = listing();

  expect(await resolveJobIds(call, ["6F2C1…", "6f2c0"])).toEqual([ids[1], ids[0]]);
  expect(asked()).toBe(1);
});

test("a whole id is taken without a look-up, for it may be older than the newest 1,000", async () => {
  const { call, asked } = listing();

  expect(await resolveJobIds(call, ["00000000-0000-4000-8000-00000000dead"])).toHaveLength(1);
  expect(asked()).toBe(0);
});

test.each([
  ["6f2c", "2 jobs' ids start with"],
  ["abcd", 'No job\'s id starts with "abcd"'],
  ["6f", "is no job id"],
  ["'; drop", "is no job id"],
])("%s is told apart: %s", async (typed, sentence) => {
  await expect(resolveJobIds(listing().call, [typed])).rejects.toMatchObject({
    code: "usage.invalid",
    message: expect.stringContaining(sentence),
  });
});
