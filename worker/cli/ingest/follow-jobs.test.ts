import { expect, test } from "vitest";
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import type { JobRow } from "../job-row.ts";
import { someJob } from "../testing/some-job.ts";
import { followJobs } from "./follow-jobs.ts";

const never = new AbortController().signal;

/** Answers each look with the next picture of statuses; the last one stays. */
function pictures(...looks: (Readonly<Record<string, string>> | Failure)[]) {
  const asked: string[][] = [];
  const call: SqlCall = async (_, args) => {
    const { job_ids: ids } = args.p_filter as { job_ids: string[] };
    asked.push(ids);
    const picture = looks.length > 1 ? looks.shift() : looks[0];
    if (picture instanceof Failure) throw picture;
    return ids.flatMap((id) => (picture?.[id] ? [someJob(id, { status: picture[id] })] : []));
  };
  return { asked, call };
}

async function follow(call: SqlCall, ids: readonly string[], signal = never) {
  const seen: string[] = [];
  const see = (rows: readonly JobRow[], gone: readonly string[]) => {
    seen.push(
      [...rows.map(({ id, status }) => `${id} ${status}`), ...gone.map((id) => `${id} gone`)].join(", "),
    );
  };
  await followJobs(call, { ids: () => ids, isAll: () => true, see, everyMs: 1 }, signal);
  return seen;
}

test("each job is asked about until it has ended, and told once that it has", async () => {
  const { asked, call } = pictures(
    { a: "processing", b: "queued" },
    { a: "complete", b: "processing" },
    { b: "failed" },
  );

  const seen = await follow(call, ["a", "b"]);

  expect(seen).toEqual(["a processing, b queued", "a complete, b processing", "b failed"]);
  expect(asked).toEqual([["a", "b"], ["a", "b"], ["b"]]);
});

test("a job whose row is gone does not hold the others for ever", async () => {
  const { call } = pictures({ a: "complete" });

  expect(await follow(call, ["a", "deleted"])).toEqual(["a complete, deleted gone"]);
});

test("many jobs are asked about a page at a time", async () => {
  const ids = Array.from({ length: 450 }, (_, place) => `job-${place}`);
  const { asked, call } = pictures(Object.fromEntries(ids.map((id) => [id, "complete"])));

  await follow(call, ids);

  expect(asked.map((page) => page.length)).toEqual([200, 200, 50]);
});

test("a database that is away for a moment is waited for", async () => {
  const { call } = pictures(new Failure("database.unreachable"), { a: "complete" });

  expect(await follow(call, ["a"])).toEqual(["a complete"]);
});

test("a database that refuses us is not", async () => {
  const { call } = pictures(new Failure("database.denied"));

  await expect(follow(call, ["a"])).rejects.toMatchObject({ code: "database.denied" });
});

test("a stop ends the following while jobs are still at work", async () => {
  const stop = new AbortController();
  const { call } = pictures({ a: "processing" });
  const stopping: SqlCall = async (name, args) => {
    stop.abort();
    return await call(name, args);
  };

  expect(await follow(stopping, ["a"], stop.signal)).toEqual(["a processing"]);
});

test("no job at all ends at once", async () => {
  const { asked, call } = pictures({});

  await follow(call, []);

  expect(asked).toEqual([]);
});
