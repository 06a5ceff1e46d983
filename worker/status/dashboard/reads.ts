// What the page reads beside its stream: a page of jobs, one job, one document and its chunks.
import { z } from "zod";
import { type Answer, invalid, json, refusal } from "../../document/http-answer.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import { failureFromUnknown } from "../../failure/from-unknown.ts";
import type { Log } from "../../log/log.ts";
import { answerFailure } from "../answer-failure.ts";
import { advised } from "./advice.ts";
import { jobFilter } from "./job-filter.ts";

/** Answers GET of one address; null where there is no such thing. Never throws. */
export type Read = (path: string, query: URLSearchParams, log: Log) => Promise<Answer> | null;

const ONE = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})";
const routes = {
  jobs: /^\/jobs$/,
  job: new RegExp(`^/jobs/${ONE}$`),
  document: new RegExp(`^/documents/${ONE}$`),
  chunks: new RegExp(`^/documents/${ONE}/chunks$`),
} as const;

// Each holds a database connection, and so does every job.
const AT_ONCE = 4;
const ANSWER_MS = 20_000;

const jobsQuery = z.strictObject({
  filter: z
    .string()
    .default("{}")
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue("not JSON");
        return z.NEVER;
      }
    })
    .pipe(jobFilter),
  // As the last page said: with all of the database's microseconds, which a Date would lose.
  before: z
    .string()
    .regex(/^\d{4}-[\d:T.+-]{10,40}$/)
    .optional(),
  before_id: z.uuid().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
const chunksQuery = z.strictObject({
  after: z.coerce.number().int().min(-1).max(2_000_000_000).default(-1),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

const MOST_RELATED = 30;
const described = z.looseObject({});
const withError = z.looseObject({ error_code: z.string().nullable() });
const page = z.object({
  jobs: z.array(withError),
  next: z.unknown(),
  looked_back_to: z.string().nullable(),
});

export function openReads(call: SqlCall): Read {
  let underWay = 0;
  const ask = async (log: Log, path: string, answer: (signal: AbortSignal) => Promise<Answer>) => {
    if (underWay >= AT_ONCE)
      return refusal(503, "http.busy", "Too many questions at once.", { "retry-after": "1" });
    underWay += 1;
    try {
      return await answer(AbortSignal.timeout(ANSWER_MS));
    } catch (thrown) {
      const failure = failureFromUnknown(thrown);
      log.warn({ code: failure.code, path }, "page could not be read");
      return answerFailure(failure);
    } finally {
      underWay -= 1;
    }
  };
  return (path, query, log) => {
    const given = Object.fromEntries(query);
    const reading = (answer: (signal: AbortSignal) => Promise<Answer>) => ask(log, path, answer);
    if (routes.jobs.test(path)) return reading((signal) => jobs(call, given, signal));
    const job = routes.job.exec(path)?.[1];
    if (job !== undefined)
      return reading(async (signal) =>
        found(await call("rag_describe_job", { p_job_id: job }, { signal }), "job", (row) =>
          advised(withError.parse(row)),
        ),
      );
    const document = routes.document.exec(path)?.[1];
    if (document !== undefined) return reading((signal) => describe(call, document, signal));
    const owner = routes.chunks.exec(path)?.[1];
    return owner === undefined ? null : reading((signal) => chunks(call, owner, given, signal));
  };
}

async function jobs(call: SqlCall, given: unknown, signal: AbortSignal): Promise<Answer> {
  const asked = jobsQuery.safeParse(given);
  if (!asked.success) return invalid(asked.error, "The query", "http.invalid-query");
  const { filter, before, before_id, limit } = asked.data;
  const answer = page.parse(
    await call(
      "rag_browse_jobs",
      { p_filter: filter, p_limit: limit, p_before: before, p_before_id: before_id },
      { signal },
    ),
  );
  return json(200, { ...answer, jobs: answer.jobs.map(advised) });
}

/** A document with what was said of it and what it is related to; `analysis` is null where there is none. */
async function describe(call: SqlCall, id: string, signal: AbortSignal): Promise<Answer> {
  const [document, analysis, related] = await Promise.all([
    call("rag_describe_document", { p_document_id: id }, { signal }),
    call("rag_read_analysis", { p_document_id: id }, { signal }),
    call(
      "rag_related",
      { p_document_id: id, p_types: null, p_limit: MOST_RELATED, p_unresolved: true },
      { signal },
    ),
  ]);
  return found(document, "document", (row) => ({ ...described.parse(row), analysis, related }));
}

async function chunks(call: SqlCall, document: string, given: unknown, signal: AbortSignal): Promise<Answer> {
  const asked = chunksQuery.safeParse(given);
  if (!asked.success) return invalid(asked.error, "The query", "http.invalid-query");
  const { after, limit } = asked.data;
  const answer = await call(
    "rag_list_chunks",
    { p_document_id: document, p_after: after, p_limit: limit },
    { signal },
  );
  return json(200, { chunks: answer });
}

function found(answer: unknown, what: string, shown: (row: unknown) => unknown = (row) => row): Answer {
  return answer === null
    ? refusal(404, `${what}.unknown`, `There is no such ${what}, or it was deleted.`)
    : json(200, shown(answer));
}
