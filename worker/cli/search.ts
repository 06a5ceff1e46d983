// rag search "QUERY": the passages that answer, by words, by meaning, or by both.
import { Option } from "commander";
import {
  type CommandContext,
  commaList,
  type DefineCommand,
  exitCodes,
  numberWithin,
  wholeNumber,
} from "./command.ts";
import { withParts } from "./open.ts";
import { findPassages, type Passage, type SearchMode } from "./search/find-passages.ts";
import { snippetOf } from "./search/snippet.ts";
import { clip, type Terminal, widthOf } from "./terminal.ts";
import { usage } from "./usage.ts";
import { nameOf, placeOf } from "./words.ts";

type Options = {
  readonly json?: boolean;
  readonly limit: number;
  readonly tenant?: string;
  readonly collection?: string;
  readonly tags?: readonly string[];
  readonly mode: SearchMode;
  readonly weight: number;
};

export const defineSearch: DefineCommand = (command, context) => {
  command
    .argument("<query>", "what to look for, in plain words")
    .option("--limit <n>", "most passages", wholeNumber(1, 1000), 10)
    .option("--tenant <id>", "only this tenant's documents")
    .option("--collection <name>", "only this collection")
    .option("--tags <a,b>", "only documents with all of these tags", commaList)
    .addOption(
      new Option("--mode <mode>", "vector: by meaning; text: by words; hybrid: both")
        .choices(["vector", "text", "hybrid"])
        .default("hybrid"),
    )
    .option("--weight <share>", "share of meaning in hybrid, 0 to 1", numberWithin(0, 1), 0.5)
    .action((query: string, options: Options) => search(query, options, context));
};

async function search(query: string, options: Options, context: CommandContext): Promise<void> {
  if (query.trim() === "") throw usage("The query is empty.");
  const { terminal } = context;
  const passages = await withParts(context, async (parts) => {
    const found = await findPassages(parts, { ...options, query }, AbortSignal.timeout(SEARCH_LIMIT_MS));
    if (found.length === 0) await explainNothing(parts, options, terminal);
    return found;
  });
  for (const [place, passage] of passages.entries())
    if (options.json) terminal.record(passage);
    else printPassage(passage, place + 1, query, terminal);
  context.end(exitCodes.done);
}

// The embedded model's first query has to wait for its weights.
const SEARCH_LIMIT_MS = 120_000;

/** Three lines: what and where it is, its address, the words around the answer. */
export function printPassage(passage: Passage, place: number, query: string, terminal: Terminal): void {
  const width = widthOf(terminal.stdout);
  const { style } = terminal;
  const title = style("bold", clip(nameOf(passage.title, passage.source_uri), 60));
  const where = clip(placeOf(passage), 80);
  terminal.say(
    [`${place}.`, title, where, style("dim", passage.score.toFixed(2))].filter(Boolean).join("  "),
  );
  if (passage.source_uri !== null) terminal.say(`   ${style("dim", clip(passage.source_uri, width - 3))}`);
  const snippet = snippetOf(passage.content, query, 2 * (width - 3));
  const shown = snippet
    .map(({ text, matches }) => (matches ? style(["bold", "yellow"], text) : text))
    .join("");
  terminal.say(`   ${shown}\n`);
}

async function explainNothing(
  parts: Parameters<typeof findPassages>[0],
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const filtered = [options.tenant, options.collection, options.tags].some((given) => given !== undefined);
  const stored = await storedModel(parts);
  if (stored === null)
    return terminal.note("Nothing is stored yet. Put something in: rag ingest PATH --wait");
  const model = options.mode === "text" ? stored : (await parts.embedder()).model;
  if (stored !== model)
    return terminal.note(
      `The stored vectors are of the model ${stored}, and this search asked ${model}: see rag doctor.`,
    );
  terminal.note(`Nothing found${filtered ? " with these filters" : ""}.`);
}

async function storedModel(parts: Parameters<typeof findPassages>[0]): Promise<string | null> {
  const { queueStats } = await import("./queue-stats.ts");
  return (await queueStats(parts.database.call)).model?.model ?? null;
}
