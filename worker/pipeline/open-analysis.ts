// The process's one way to the analyst: at once or in batches, with what it costs.
import type { Activity } from "../activity/activity.ts";
import type { Analyst } from "../analysts/analyst.ts";
import { type AnalystConfig, claudeOptions, openAnalyst } from "../analysts/open-analyst.ts";
import type { Config } from "../config/config.ts";
import type { Ledger } from "../costs/ledger.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { Analysing } from "./analyse-segments.ts";
import { openAnalysisBatches } from "./analysis-batches.ts";
import { startLlmBatches } from "./llm-batches.ts";

export type Analysis = {
  /** null where nothing is analysed. */
  readonly analysing: Analysing | null;
  stop(): Promise<void>;
};

export type AnalysisParts = {
  readonly activity: Activity;
  readonly call: SqlCall;
  readonly ledger: Ledger;
  readonly workerId: string;
  readonly signal: AbortSignal;
};

const CHECK_MS = 30_000;

/** Throws `config.invalid` or `analyse.*` when no analysis could succeed with this configuration. */
export async function openAnalysis(
  config: AnalystConfig & Pick<Config, "claudeMode">,
  { activity, call, ledger, workerId, signal }: AnalysisParts,
): Promise<Analysis> {
  const analyst = await openAnalyst(config, activity);
  if (analyst === null) return { analysing: null, stop: async () => {} };
  await checkAnalyst(analyst, AbortSignal.any([signal, AbortSignal.timeout(CHECK_MS)]));
  if (config.claudeMode === "direct")
    return { analysing: { analyst, ledger, workerId, batches: null }, stop: async () => {} };
  const [{ openMessageBatches }, { openMessageBatchWork }] = await Promise.all([
    import("../analysts/claude-batches.ts"),
    import("./message-batches.ts"),
  ]);
  const admit = () => {
    if (analyst.isPriced) ledger.admit();
  };
  const work = openMessageBatchWork({
    call,
    activity,
    workerId,
    model: analyst.model,
    api: openMessageBatches(claudeOptions(config)),
    ledger: { admit, note: (costUsd) => ledger.note(costUsd) },
  });
  const { stop } = startLlmBatches(work, activity);
  return {
    analysing: { analyst, ledger, workerId, batches: openAnalysisBatches({ analyst, ledger }) },
    stop,
  };
}

/** Throws only what no job could succeed with: a provider that is away for a moment is no reason not to start. */
export async function checkAnalyst(analyst: Analyst, signal: AbortSignal): Promise<void> {
  try {
    await analyst.check(signal);
  } catch (thrown) {
    const failure = failureFromUnknown(thrown);
    if (failure.kind === "misconfigured") throw failure;
    if (failure.code === "analyse.input-rejected")
      throw new Failure("config.invalid", {
        says: `${analyst.model} refuses the requests of an analysis. RAG_CLAUDE_MODEL must take structured outputs.`,
      });
  }
}
