// POST /search and POST /embed, for applications that have no model of their own to ask with, and POST /jobs/actions.
// Only for whoever has the token, and switched off without one: a search tells what is stored, embedding may cost
// money, an action changes something.
import { z } from "zod";
import {
  type Answer,
  type AnswerPost,
  invalid,
  json,
  readJsonBody,
  refusal,
} from "../document/http-answer.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { Log } from "../log/log.ts";
import { DEFAULT_WEIGHT, findPassages, type Searchable, searchModes } from "../search/find-passages.ts";
import { answerFailure } from "./answer-failure.ts";
import { actOnJobs } from "./dashboard/act-on-jobs.ts";

const MOST_BODY_BYTES = 1024 * 1024;
const MOST_TEXTS = 64;
const MOST_CHARS = 32_000;
const MOST_FOUND = 100;
const ANSWER_MS = 30_000;
// Each holds a database connection and a place at the provider; jobs need both too.
const AT_ONCE = 8;

const names = z.string().max(1000);
const searchBody = z.strictObject({
  query: z.string().trim().min(1).max(4000),
  limit: z.int().min(1).max(MOST_FOUND).default(10),
  mode: z.enum(searchModes).default("hybrid"),
  weight: z.number().min(0).max(1).default(DEFAULT_WEIGHT),
  filter: z
    .strictObject({
      tenant_id: names,
      collection: names,
      document_ids: z.array(z.uuid()).max(1000),
      tags: z.array(names).max(100),
      metadata: z.record(z.string(), z.unknown()),
    })
    .partial()
    .default({}),
});
const embedBody = z.strictObject({
  texts: z.array(z.string().min(1).max(MOST_CHARS)).min(1).max(MOST_TEXTS),
});

export type Asked = Searchable & {
  /** Has this replica look at the queue now. */
  readonly wake: () => void;
};

/** What can be asked, by path. */
export function openQuestions(parts: Asked, log: Log): ReadonlyMap<string, AnswerPost> {
  let underWay = 0;
  const bounded =
    (ask: (body: unknown, signal: AbortSignal) => Promise<Answer>): AnswerPost =>
    async (request) => {
      if (underWay >= AT_ONCE)
        return refusal(503, "http.busy", "Too many questions at once.", { "retry-after": "1" });
      underWay += 1;
      try {
        const body = await readJsonBody(request, MOST_BODY_BYTES);
        return "refused" in body ? body.refused : await ask(body.value, AbortSignal.timeout(ANSWER_MS));
      } catch (thrown) {
        const failure = failureFromUnknown(thrown);
        log.warn({ code: failure.code, path: request.url?.split("?", 1)[0] ?? "" }, "question failed");
        return answerFailure(failure);
      } finally {
        underWay -= 1;
      }
    };
  return new Map([
    ["/search", bounded((body, signal) => search(parts, body, signal))],
    ["/embed", bounded((body, signal) => embed(parts, body, signal))],
    ["/jobs/actions", bounded((body, signal) => actOnJobs(parts, body, signal, log))],
  ]);
}

async function search(parts: Searchable, body: unknown, signal: AbortSignal): Promise<Answer> {
  const asked = searchBody.safeParse(body);
  if (!asked.success) return invalid(asked.error);
  const { passages } = await findPassages(parts, asked.data, signal);
  return json(200, { hits: passages });
}

async function embed(parts: Searchable, body: unknown, signal: AbortSignal): Promise<Answer> {
  const asked = embedBody.safeParse(body);
  if (!asked.success) return invalid(asked.error);
  const embedder = await parts.embedder();
  const { vectors } = await embedder.embed(asked.data.texts, signal);
  return json(200, { model: embedder.model, embeddings: vectors.map((vector) => [...vector]) });
}
