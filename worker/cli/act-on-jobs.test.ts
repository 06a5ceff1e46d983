import { expect, test } from "vitest";
import { whyLeft } from "./act-on-jobs.ts";
import type { JobStatus } from "./job-row.ts";
import { retry } from "./retry.ts";

const jobs = (...statuses: JobStatus[]) => statuses.map((status) => ({ status }));

test("a complete job that is to be retried is told as such, with how it is ingested again", () => {
  expect(whyLeft(retry, jobs("complete"), undefined, 0)).toEqual([
    expect.stringMatching(/^1 job is complete: there is nothing to retry\. .* rag ingest PATH --again/),
  ]);
});

test("jobs that were left alone are told by why, and those that were touched are not", () => {
  const rows = jobs("complete", "failed", "queued", "failed", "complete", "processing");

  expect(whyLeft(retry, rows, undefined, 1)).toEqual([
    expect.stringMatching(/^1 job is in the queue already: /),
    expect.stringMatching(/^1 job is at work: --status processing/),
    expect.stringMatching(/^2 jobs are complete: /),
    expect.stringMatching(/^1 job is left alone: the document has a newer job, /),
  ]);
});

test("a job at work that was asked for by its status and taken is no reason", () => {
  expect(whyLeft(retry, jobs("processing", "queued"), ["processing"], 1)).toEqual([
    expect.stringMatching(/^1 job is in the queue already: /),
  ]);
});
