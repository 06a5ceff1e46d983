// POST /documents and POST /messages: ways in for whoever has the token. An answer of 202 means that the job is
// committed; any other, that nothing was accepted.
import type { IncomingMessage } from "node:http";
import { z } from "zod";
import {
  type Answer,
  type AnswerPost,
  invalid,
  isRefusedValue,
  json,
  mediaTypeOf,
  readJsonBody,
  refusal,
  refusedValue,
} from "../document/http-answer.ts";
import type { SqlCall } from "../document/sql-call.ts";
import type { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { Log } from "../log/log.ts";
import type { CopyLimits } from "../sources/temporary-copy.ts";
import { acceptMessage } from "./accept-message.ts";
import { groupsOf, MOST_MESSAGE_BYTES, readEnvelope } from "./message.ts";
import { readUpload } from "./read-upload.ts";
import { type Originals, storeUpload } from "./store-upload.ts";
import { documentBody, uploadFields } from "./upload-fields.ts";

export type HttpWaysOptions = {
  readonly call: SqlCall;
  readonly log: Log;
  readonly copies: CopyLimits;
  readonly originals: Originals;
  /** Makes the folder for temporary copies, safely; called before the first upload. */
  readonly prepare: () => Promise<unknown>;
  /** Wakes the workers, after the commit. */
  readonly wake: (jobId: string) => void;
};

const MOST_JSON_BYTES = 16 * 1024 * 1024;
// 55 signs, and a little for versions to come; what is none is ignored further in.
const MOST_TRACEPARENT = 100;
const ANSWER_MS = 30 * 60_000;
// Each holds a database connection now and then, and a temporary file; jobs need both too.
const AT_ONCE = 8;

const enqueued = z.object({
  job_id: z.string().nullable(),
  document_id: z.string().nullable(),
  state: z.string(),
});
const subjectOf = z.looseObject({ subject: z.string().min(1).max(200) });

/** By path. */
export function openHttpWays(options: HttpWaysOptions): ReadonlyMap<string, AnswerPost> {
  let underWay = 0;
  const bounded =
    (take: (request: IncomingMessage, options: HttpWaysOptions) => Promise<Answer>): AnswerPost =>
    async (request) => {
      if (underWay >= AT_ONCE)
        return refusal(503, "http.busy", "Too many uploads at once.", { "retry-after": "1" });
      underWay += 1;
      try {
        return await take(request, options);
      } catch (thrown) {
        const failure = failureFromUnknown(thrown);
        options.log.warn(
          { code: failure.code, path: request.url?.split("?", 1)[0] ?? "" },
          "request refused",
        );
        return answerFailure(failure);
      } finally {
        underWay -= 1;
      }
    };
  return new Map([
    ["/documents", bounded(takeDocument)],
    ["/messages", bounded(takeMessage)],
  ]);
}

async function takeDocument(request: IncomingMessage, options: HttpWaysOptions): Promise<Answer> {
  if (mediaTypeOf(request) === "application/json") return await takeJson(request, options);
  const signal = AbortSignal.timeout(ANSWER_MS);
  await options.prepare();
  const { original, fields } = await readUpload(request, options.copies, signal);
  try {
    const given = uploadFields.safeParse(fields);
    if (!given.success) return invalid(given.error);
    if (original.byteSize === 0) return refusal(400, "extract.empty", "The file is empty.");
    // All of it has come; storing it is not the sender's silence.
    request.socket.setTimeout(0);
    return accepted(
      await storeUpload(
        options.call,
        original,
        { ...given.data, ...traceOf(request) },
        options.originals,
        signal,
      ),
      options,
    );
  } finally {
    await original.dispose();
  }
}

async function takeJson(request: IncomingMessage, options: HttpWaysOptions): Promise<Answer> {
  const body = await readJsonBody(request, MOST_JSON_BYTES);
  if ("refused" in body) return body.refused;
  const read = documentBody.safeParse(body.value);
  if (!read.success) return invalid(read.error);
  return accepted(
    await options.call("rag_enqueue", { p_request: { ...traceOf(request), ...read.data } }),
    options,
  );
}

/** The span of whoever asks (W3C Trace Context): the trace of the job goes on from there. */
function traceOf({ headers: { traceparent } }: IncomingMessage): { readonly traceparent?: string } {
  return typeof traceparent === "string" && traceparent.length <= MOST_TRACEPARENT ? { traceparent } : {};
}

function accepted(answer: unknown, { wake }: HttpWaysOptions): Answer {
  const { job_id, document_id, state } = enqueued.parse(answer);
  if (job_id !== null) wake(job_id);
  return json(202, { job_id, document_id, state });
}

async function takeMessage(request: IncomingMessage, options: HttpWaysOptions): Promise<Answer> {
  const body = await readJsonBody(request, MOST_MESSAGE_BYTES);
  if ("refused" in body) return body.refused;
  const read = subjectOf.safeParse(body.value);
  if (!read.success) return invalid(read.error);
  const { subject } = read.data;
  const message = readEnvelope(subject, { ...traceOf(request), ...read.data });
  const jobs = [];
  for (const group of groupsOf(subject)) {
    const { documentId, jobId, state } = await acceptMessage(options.call, group, message);
    if (jobId !== null) options.wake(jobId);
    jobs.push({ group, job_id: jobId, document_id: documentId, state });
  }
  return json(202, { message_id: message.messageId, jobs });
}

function answerFailure(failure: Failure): Answer {
  const { code, kind, message } = failure;
  if (code === "source.too-large" || code === "ingress.too-large") return refusal(413, code, message);
  if (code.startsWith("ingress.")) return refusal(400, code, message);
  // Our functions' own sentence about the request.
  if (code === "database.rejected" && ["22023", "P0002"].includes(String(failure.facts.sqlstate)))
    return refusal(400, "ingress.refused", message);
  if (isRefusedValue(failure)) return refusedValue(failure);
  const willPass = kind === "transient" || kind === "waiting";
  return refusal(willPass ? 503 : 500, code, message, willPass ? { "retry-after": "5" } : {});
}
