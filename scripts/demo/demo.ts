// npm run demo: real documents in, answers out, on a fresh machine, offline.
// Always the embedded database and the embedded model, whatever the environment is set to: nobody's real
// database meets the samples. Its documents are the collection `demo` of RAG_EMBEDDED_DIR (.rag).
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { openParts, type Parts } from "../../worker/assemble.ts";
import { exitCodes } from "../../worker/cli/command.ts";
import { environmentOfRun } from "../../worker/cli/environment.ts";
import { ingestFiles } from "../../worker/cli/ingest/ingest-files.ts";
import { openProgress } from "../../worker/cli/ingest/progress.ts";
import { printSummary } from "../../worker/cli/ingest.ts";
import { runToEnd } from "../../worker/cli/run-to-end.ts";
import { printPassage } from "../../worker/cli/search.ts";
import { untilStopped } from "../../worker/cli/stop-signals.ts";
import { openProcessTerminal } from "../../worker/cli/terminal.ts";
import { withWorker } from "../../worker/cli/with-worker.ts";
import { type Config, type Environment, readConfig } from "../../worker/config/config.ts";
import { adviseOperator } from "../../worker/failure/describe.ts";
import { failureFromUnknown } from "../../worker/failure/from-unknown.ts";
import { openLog } from "../../worker/log/log.ts";
import { DEFAULT_WEIGHT, findPassages, type Passage } from "../../worker/search/find-passages.ts";

const COLLECTION = "demo";
const SEARCH_LIMIT_MS = 60_000;
// What the demo obeys; every other setting is left at its default.
const OBEYED = ["RAG_EMBEDDED_DIR", "PORT", "RAG_HTTP_HOST", "LOG_LEVEL"];
const UNTOUCHED = ["DATABASE_URL", "SUPABASE_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL", "LLAMA_SERVER_URL"];

const searches = z.array(
  z.object({
    query: z.string(),
    expect: z.object({
      source: z.string(),
      page: z.number().optional(),
      section: z.string().optional(),
      speaker: z.string().optional(),
    }),
  }),
);
type Search = z.infer<typeof searches>[number];

const terminal = openProcessTerminal();
const { say, style } = terminal;

await runToEnd(main().catch(explain));

async function main(): Promise<number> {
  const environment = environmentOfRun();
  const config = readConfig(Object.fromEntries(OBEYED.map((name) => [name, environment[name]])));
  introduce(environment, config);
  const log = openLog({
    level: environment.LOG_LEVEL ? config.logLevel : "warn",
    terminal: process.stderr.isTTY === true,
    secrets: [],
    destination: "stderr",
  });
  const parts = await openParts(config, log);
  try {
    return await untilStopped(
      (signal) => perform(parts, signal),
      () => terminal.note("Stopping."),
    );
  } finally {
    await parts.close();
  }
}

function introduce(environment: Environment, config: Config): void {
  const set = UNTOUCHED.filter((name) => (environment[name] ?? "").trim() !== "");
  if (set.length > 0) say(`${set.join(", ")}: set, and not touched by the demo.`);
  const isThere = existsSync(join(config.embeddedDir, "database", "data"));
  say(
    isThere
      ? `Opening the embedded database in ${config.embeddedDir}…`
      : `Making the embedded database in ${config.embeddedDir} (once, some seconds)…`,
  );
}

async function perform(parts: Parts, signal: AbortSignal): Promise<number> {
  say("Loading the embedding model all-MiniLM-L6-v2 (it comes with the package, nothing is downloaded)…");
  return await withWorker(parts, {}, async (worker, status) => {
    const ingested = await ingestSamples(parts, worker, signal);
    if (signal.aborted) return exitCodes.someFailed;
    const answered = await answerSearches(parts);
    await showHealth(status.url);
    sayWhatNext();
    return ingested && answered ? exitCodes.done : exitCodes.someFailed;
  });
}

async function ingestSamples(
  parts: Parts,
  worker: Awaited<ReturnType<Parts["startWorker"]>>,
  signal: AbortSignal,
): Promise<boolean> {
  say("Ingesting scripts/demo/samples through the queue:\n");
  const progress = openProgress(process.stderr);
  const request = {
    paths: [join(import.meta.dirname, "samples")],
    folder: process.cwd(),
    wait: true,
    again: false,
    deleteMissing: false,
    worker,
    labels: { tenant: null, collection: COLLECTION, tags: null, title: null, priority: 0 },
  };
  const summary = await ingestFiles(parts, request, progress, signal).finally(() => progress.end());
  printSummary(summary, request, parts.config, terminal);
  return summary.failed.length === 0;
}

async function answerSearches(parts: Parts): Promise<boolean> {
  const asked = searches.parse(
    JSON.parse(await readFile(join(import.meta.dirname, "searches.json"), "utf8")),
  );
  let right = 0;
  for (const search of asked) {
    say(`\n${style("cyan", `? ${search.query}`)}`);
    const question = {
      query: search.query,
      mode: "hybrid",
      limit: 3,
      weight: DEFAULT_WEIGHT,
      filter: { collection: COLLECTION },
    } as const;
    const found = await findPassages(parts, question, AbortSignal.timeout(SEARCH_LIMIT_MS));
    const [best] = found.passages;
    if (best !== undefined) printPassage(best, 1, search.query, terminal);
    const expected = best !== undefined && isExpected(best, search);
    if (expected) right += 1;
    say(
      expected
        ? style("green", "   ✓ the expected place")
        : style("red", `   ✗ expected ${describe(search)}`),
    );
  }
  say(`\n${right} of ${asked.length} searches found the expected place.`);
  return right === asked.length;
}

function isExpected(passage: Passage, { expect }: Search): boolean {
  const source = basename(passage.source_uri ?? "");
  const sections = (passage.section ?? "").split(" > ");
  return (
    source === expect.source &&
    (expect.page === undefined || passage.page_number === expect.page) &&
    (expect.section === undefined || sections.includes(expect.section)) &&
    (expect.speaker === undefined || passage.speaker === expect.speaker)
  );
}

function describe({ expect }: Search): string {
  const { source, page, section, speaker } = expect;
  return [source, page === undefined ? null : `p. ${page}`, section, speaker].filter(Boolean).join(", ");
}

/** Asked for real, as a platform would. */
async function showHealth(url: string): Promise<void> {
  const response = await fetch(`${url}/health`, { signal: AbortSignal.timeout(10_000) });
  const { status } = z.object({ status: z.string() }).parse(await response.json());
  say(`While it ran, the worker showed itself at ${url}/health: ${response.status} ${status}`);
}

function sayWhatNext(): void {
  say(`
What next:
  npm run rag -- search "how long may I keep a drill?" --collection ${COLLECTION}
  npm run rag -- ingest PATH --wait          your own files, folders or globs
  npm run worker:rag                         a worker that stays, with its page at http://127.0.0.1:8080
  npm run rag -- status                      the queue; jobs and job ID say more
  npm run rag -- doctor                      checks everything; DATABASE_URL or SUPABASE_URL moves it to a server`);
}

function explain(thrown: unknown): number {
  const failure = failureFromUnknown(thrown);
  terminal.note(`demo: ${adviseOperator(failure)} [${failure.code}]`);
  if (failure.kind === "defect") terminal.note(String(failure.cause));
  if (failure.code === "embed.model-mismatch")
    terminal.note(
      "The folder holds vectors of another model. Give the demo its own: RAG_EMBEDDED_DIR=.rag-demo npm run demo",
    );
  return exitCodes.unusable;
}
