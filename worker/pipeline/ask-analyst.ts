// Asks some questions about one window of a document at once. The first is asked alone, so that the document is in the
// provider's cache before the others come side by side; each answer is stored as soon as it is there.
import type { Analyst, Question, Reply } from "../analysts/analyst.ts";
import type { Ledger } from "../costs/ledger.ts";
import type { TokenUse } from "../document/analysis.ts";
import { type StepContext, waitInLine } from "./step-context.ts";

export type Asked = {
  readonly question: Question;
  /** Throws when it cannot be stored. */
  readonly store: (reply: Reply) => Promise<void>;
};

export type AskParts = {
  readonly analyst: Analyst;
  readonly ledger: Pick<Ledger, "admit" | "add" | "note">;
};

/** Where a provider's cache begins differs by model (512 to 4,096 tokens); of this many bytes all of them keep it. */
const SURELY_CACHED_BYTES = 20_000;

/**
 * Answers when every question is answered and stored. The first failure of the job ends the asking; what is on its way
 * by then is still waited for, for it is paid, and then the failure is thrown.
 */
export async function askAll(asked: readonly Asked[], parts: AskParts, step: StepContext): Promise<void> {
  const failed: { thrown: unknown }[] = [];
  const uncached: Reply[] = [];
  const attempt = async (one: Asked, isFirst: boolean): Promise<boolean> => {
    if (failed.length > 0) return false;
    try {
      const reply = await askOne(one, parts, step);
      if (isMissed(one.question, reply, isFirst)) uncached.push(reply);
      return reply.said !== null;
    } catch (thrown) {
      failed.push({ thrown });
      return false;
    }
  };
  let next = 0;
  let isWarm = false;
  for (const one of asked) {
    if (isWarm || failed.length > 0) break;
    next += 1;
    isWarm = await attempt(one, true);
  }
  await Promise.all(asked.slice(next).map((one) => attempt(one, false)));
  if (uncached.length > 0)
    step.activity.say("analysis.uncached", {
      jobId: step.job.id,
      documentId: step.document.id,
      model: parts.analyst.model,
      requests: uncached.length,
    });
  const [first] = failed;
  if (first !== undefined) throw first.thrown;
}

/** The first of several should be kept, and the others should find it. */
function isMissed({ shared, prefix }: Question, { use, said }: Reply, isFirst: boolean): boolean {
  if (!shared || said === null || Buffer.byteLength(prefix) < SURELY_CACHED_BYTES) return false;
  return isFirst ? use.cacheWrite + use.cacheRead === 0 : use.cacheRead === 0;
}

async function askOne({ question, store }: Asked, parts: AskParts, step: StepContext): Promise<Reply> {
  const { analyst, ledger } = parts;
  const ask = async (given: Question): Promise<Reply> => {
    if (analyst.isPriced) ledger.admit();
    return await waitInLine(step, analyst.ask(given, step.signal));
  };
  const spend = (reply: Reply) =>
    ledger.add({
      tenantId: step.job.tenantId,
      model: analyst.model,
      tokens: sum(reply.use),
      costUsd: reply.costUsd,
    });
  let reply = await ask(question);
  const again = secondTry(question, reply);
  if (again !== null) {
    const first = reply;
    const second = await ask(again).catch((thrown: unknown) => {
      spend(first);
      throw thrown;
    });
    reply = { ...second, use: plus(first.use, second.use), costUsd: first.costUsd + second.costUsd };
  }
  try {
    await store(reply);
  } catch (thrown) {
    // Nobody has it, and it was paid all the same.
    spend(reply);
    throw thrown;
  }
  ledger.note(reply.costUsd);
  return reply;
}

/** Twice as long where it was cut off; once more where it was nonsense. */
export function secondTry(question: Question, { code }: Reply): Question | null {
  if (code === "analyse.truncated") return { ...question, maxTokens: question.maxTokens * 2 };
  return code === "analyse.bad-answer" ? question : null;
}

const plus = (one: TokenUse, other: TokenUse): TokenUse => ({
  input: one.input + other.input,
  cacheWrite: one.cacheWrite + other.cacheWrite,
  cacheRead: one.cacheRead + other.cacheRead,
  output: one.output + other.output,
});

const sum = ({ input, cacheWrite, cacheRead, output }: TokenUse): number =>
  input + cacheWrite + cacheRead + output;
