// rag search "QUERY": the passages that answer, by words, by meaning, or by both.
import { Option } from "commander";
import { findNeighbours, MOST_NEIGHBOURS, type Surroundings } from "../search/find-neighbours.ts";
import {
  DEFAULT_WEIGHT,
  findPassages,
  type Passage,
  type SearchMode,
  searchModes,
} from "../search/find-passages.ts";
import {
  type CommandContext,
  commaList,
  type DefineCommand,
  exitCodes,
  numberWithin,
  wholeNumber,
} from "./command.ts";
import { withParts } from "./open.ts";
import { explainHit, explainSearch } from "./search/explain.ts";
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
  readonly neighbours?: number;
  readonly explain?: boolean;
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
        .choices(searchModes)
        .default("hybrid"),
    )
    .option("--weight <share>", "share of meaning in hybrid, 0 to 1", numberWithin(0, 1), DEFAULT_WEIGHT)
    .option("--neighbours <n>", "chunks before and after each passage", wholeNumber(1, MOST_NEIGHBOURS))
    .option("--explain", "where each passage comes from, and how long it took")
    .action((query: string, options: Options) => search(query, options, context));
};

async function search(query: string, options: Options, context: CommandContext): Promise<void> {
  if (query.trim() === "") throw usage("The query is empty.");
  const { terminal } = context;
  await withParts(context, async (parts) => {
    const signal = AbortSignal.timeout(SEARCH_LIMIT_MS);
    const { limit, mode, weight } = options;
    const { tenant, collection, tags } = options;
    const filter = { tenant_id: tenant, collection, tags };
    const found = await findPassages(parts, { query, limit, mode, weight, filter }, signal);
    if (found.passages.length === 0) await explainNothing(parts, options, terminal);
    const around =
      options.neighbours === undefined
        ? []
        : await findNeighbours(parts.database.call, found.passages, options.neighbours, signal);
    for (const [place, passage] of found.passages.entries())
      if (options.json) terminal.record({ ...passage, ...around[place] });
      else printHit(passage, around[place], place + 1, query, options, terminal);
    if (options.explain) terminal.note(await explainSearch(parts.database.call, mode, found, signal));
  });
  context.end(exitCodes.done);
}

function printHit(
  passage: Passage,
  around: Surroundings | undefined,
  place: number,
  query: string,
  options: Options,
  terminal: Terminal,
): void {
  const beside = (contents: readonly string[] = []) => {
    for (const content of contents)
      terminal.say(terminal.style("dim", `   | ${clip(content, widthOf(terminal.stdout) - 5)}`));
  };
  beside(around?.before);
  printPassage(passage, place, query, terminal);
  beside(around?.after);
  if (options.explain) terminal.say(`   ${terminal.style("dim", explainHit(passage, options.mode))}\n`);
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
