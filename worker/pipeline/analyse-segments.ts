// Has a document analysed, window by window and group by group, and then as a whole. What is known is not asked again:
// a run that follows a crash goes on where the last answer was stored.
import type { Analyst, Question, Reply } from "../analysts/analyst.ts";
import { failedReply } from "../analysts/claude-request.ts";
import {
  type ChunkHead,
  digestPrefix,
  documentPrefix,
  documentQuestion,
  groupQuestion,
  groupSha,
} from "../analysts/prompt.ts";
import { type Group, WINDOW_BYTES, type Window, windowsOf } from "../analysts/windows.ts";
import type { GroupAnalysis } from "../document/analysis.ts";
import { type AnalysisBatches, batchPending, type Named } from "./analysis-batches.ts";
import { type AskParts, askAll } from "./ask-analyst.ts";
import type { Generation } from "./begin-generation.ts";
import { readSegments } from "./read-segments.ts";
import type { StepContext } from "./step-context.ts";
import { beginAnalyses, type GroupKey, type KnownGroup, storeAnalyses } from "./store-analyses.ts";

export type Analysing = AskParts & {
  readonly workerId: string;
  /** Where questions go to the provider in batches; null: at once. */
  readonly batches: AnalysisBatches | null;
};

/**
 * Answers the context line of each chunk in `heads`, in order; empty where there is none. Throws `analyse.*` when
 * nothing can be asked now, or `analyse.batch-pending` until a batch has come back; then all that was answered is stored.
 */
export async function analyseSegments(
  generation: Generation,
  heads: readonly ChunkHead[],
  parts: Analysing,
  step: StepContext,
): Promise<readonly string[]> {
  const run = new AnalysisRun(heads, parts, step);
  const windows = windowsOf(readSegments(generation, step))[Symbol.asyncIterator]();
  let next = await windows.next();
  for (let isFirst = true; !next.done; isFirst = false) {
    const window = next.value;
    next = await windows.next();
    await run.analyse(window, isFirst && next.done === true);
  }
  return await run.finish();
}

type Planned = {
  readonly group: Group;
  readonly key: GroupKey;
  readonly heads: readonly ChunkHead[];
};

class AnalysisRun {
  readonly #heads: readonly ChunkHead[];
  readonly #parts: Analysing;
  readonly #step: StepContext;
  readonly #groups: number[] = [];
  readonly #known = new Map<number, KnownGroup>();
  readonly #contexts: (() => readonly string[])[] = [];
  #headsTaken = 0;
  #isDocumentKnown = false;
  #done = 0;
  #left = 0;
  /** Questions that are in a batch. */
  #pending = 0;

  constructor(heads: readonly ChunkHead[], parts: Analysing, step: StepContext) {
    this.#heads = heads;
    this.#parts = parts;
    this.#step = step;
  }

  /** `isWhole`: the window is the whole document, which can be asked about with the same prompt. */
  async analyse(window: Window, isWhole: boolean): Promise<void> {
    const planned = window.groups.map((group) => this.#plan(group));
    const begun = await beginAnalyses(
      planned.map(({ key }) => key),
      this.#analyst.plan,
      this.#step,
    );
    for (const [from, known] of begun.known) this.#known.set(from, known);
    this.#isDocumentKnown = begun.document;
    const unknown = planned.filter(({ key }) => !begun.known.has(key.segmentFrom));
    for (const { group, key } of unknown)
      if (group.isTooLong) await this.#storeGroup(key, failedReply("analyse.too-long"));
    const open = unknown.filter(({ group }) => !group.isTooLong);
    const asksWhole = isWhole && !begun.document;
    const prefix = documentPrefix(
      this.#step.document.title,
      window.groups.filter(({ isTooLong }) => !isTooLong).flatMap(({ segments }) => segments),
    );
    const shared = open.length + (asksWhole ? 1 : 0) > 1;
    const asked = open.map(({ group, key, heads }) => ({
      name: key.sha256,
      question: groupQuestion(prefix, group, heads, shared),
      store: (reply: Reply) => this.#storeGroup(key, reply),
    }));
    const whole = asksWhole ? [this.#askDocument(documentQuestion(prefix, shared))] : [];
    this.#done += begun.known.size;
    this.#left = open.length;
    await this.#ask([...asked, ...whole]);
  }

  async finish(): Promise<readonly string[]> {
    if (this.#pending > 0) throw batchPending(this.#pending);
    if (!this.#isDocumentKnown) {
      const summaries = this.#groups.flatMap((from) => this.#known.get(from)?.summary ?? []);
      const prefix = digestPrefix(this.#step.document.title, summaries, WINDOW_BYTES);
      await this.#ask([this.#askDocument(documentQuestion(prefix, false))]);
      if (this.#pending > 0) throw batchPending(this.#pending);
    }
    const { model, plan } = this.#analyst;
    await storeAnalyses({ model, plan, workerId: null, allGroups: this.#groups }, this.#step);
    return this.#contexts.flatMap((contexts) => contexts());
  }

  get #analyst(): Analyst {
    return this.#parts.analyst;
  }

  #plan(group: Group): Planned {
    const [first, last] = [group.segments[0]?.seq ?? 0, group.segments.at(-1)?.seq ?? 0];
    const heads: ChunkHead[] = [];
    for (let head = this.#heads[this.#headsTaken]; head !== undefined && head.segmentFrom <= last; ) {
      heads.push(head);
      this.#headsTaken += 1;
      head = this.#heads[this.#headsTaken];
    }
    this.#groups.push(first);
    const none = heads.map(() => "");
    this.#contexts.push(() => {
      const said = this.#known.get(first)?.chunkContexts ?? [];
      return said.length === heads.length ? said : none;
    });
    return {
      group,
      key: { segmentFrom: first, segmentTo: last, sha256: groupSha(group, heads) },
      heads,
    };
  }

  async #ask(asked: readonly Named[]): Promise<void> {
    if (asked.length === 0) return;
    const { batches } = this.#parts;
    if (batches === null) await askAll(asked, this.#parts, this.#step);
    else this.#pending += await batches.ask(asked, this.#step);
  }

  #askDocument(question: Question): Named {
    return {
      name: "document",
      question,
      store: async (reply: Reply) => {
        await storeAnalyses({ ...this.#owner(), document: reply }, this.#step);
        this.#isDocumentKnown = true;
      },
    };
  }

  async #storeGroup(key: GroupKey, reply: Reply): Promise<void> {
    await storeAnalyses({ ...this.#owner(), group: { key, reply } }, this.#step);
    // SAFETY: as where it is stored: a question about a group is answered by an analysis of one.
    const said = reply.said as GroupAnalysis | null;
    this.#known.set(key.segmentFrom, {
      summary: said?.summary ?? null,
      chunkContexts: said?.chunkContexts ?? [],
    });
    this.#done += 1;
    this.#left = Math.max(0, this.#left - 1);
    const { job, document, activity } = this.#step;
    activity.say("group.analysed", {
      jobId: job.id,
      documentId: document.id,
      code: reply.code ?? "",
      done: this.#done,
      left: this.#left,
    });
  }

  #owner() {
    const { batches, workerId, analyst } = this.#parts;
    return { model: analyst.model, plan: analyst.plan, workerId: batches === null ? workerId : null };
  }
}
