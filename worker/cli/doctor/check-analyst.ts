// Whether Claude would answer, without a request that costs anything.

import { openAnalyst } from "../../analysts/open-analyst.ts";
import type { Parts } from "../../assemble.ts";
import { attempt, type Finding, green, yellow } from "./finding.ts";

const LIMIT_MS = 30_000;

export async function checkAnalyst({ config, activity }: Parts): Promise<readonly Finding[]> {
  return await attempt("analysis", async () => {
    const analyst = await openAnalyst(config, activity);
    if (analyst === null) return [green("analysis", "off: RAG_ENABLE_CLAUDE_ANALYSIS is not set")];
    await analyst.check(AbortSignal.timeout(LIMIT_MS));
    const mode = config.claudeMode === "batch" ? "in batches, at half the price" : "at once";
    const says = `${analyst.model} takes our requests and the key; asked ${mode}`;
    if (analyst.isPriced) return [green("analysis", says)];
    return [
      yellow(
        "analysis",
        `${says}; its price is not known`,
        `Set RAG_PRICES, as in {"${analyst.model}": {"input": 0.1, "output": 0.5}}, or costs show as 0.`,
      ),
    ];
  });
}
