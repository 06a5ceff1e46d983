// rag ingest PATH…: files into the queue and, with --wait, to the end, with progress bars.
import { resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { findFiles } from "../ingress/files/find-files.ts";
import {
  type CommandContext,
  commaList,
  type DefineCommand,
  type ExitCode,
  exitCodes,
  wholeNumber,
} from "./command.ts";
import { type IngestRequest, type IngestSummary, ingestFiles } from "./ingest/ingest-files.ts";
import { openProgress } from "./ingest/progress.ts";
import { configOf, withParts } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { count, counted } from "./words.ts";

type Options = {
  readonly json?: boolean;
  readonly wait?: boolean;
  readonly tenant?: string;
  readonly tags?: readonly string[];
  readonly collection?: string;
  readonly title?: string;
  readonly again?: boolean;
  readonly deleteMissing?: boolean;
  readonly priority: number;
};

export const defineIngest: DefineCommand = (command, context) => {
  command
    .argument("<path...>", 'files, folders (with all below them) and globs such as "docs/**/*.pdf"')
    .option("--wait", "stay until everything is searchable, and show how far it is")
    .option("--tenant <id>", "whose documents they are")
    .option("--collection <name>", "the collection they belong to")
    .option("--tags <a,b>", "tags for all of them", commaList)
    .option("--title <text>", "title of the document, when it is one")
    .option("--again", "enqueue every file, also those that are as they were")
    .option("--delete-missing", "delete the documents of files that are gone from the folders")
    .option("--priority <0-9>", "the higher goes first", wholeNumber(0, 9), 0)
    .addHelpText(
      "after",
      "\nFiles below RAG_DOCUMENT_ROOT are taken by reference; others travel with their bytes." +
        "\nA file ingested again is compared by size and time, then by content: what did not change costs nothing." +
        "\nA file under another name keeps its document; what becomes of files that are gone: RAG_ON_MISSING_FILE." +
        "\nOn the embedded database --wait does the work in this process, unless a worker runs already.",
    )
    .action((paths: readonly string[], options: Options) => ingest(paths, options, context));
};

async function ingest(paths: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const config = configOf();
  const request: IngestRequest = {
    paths,
    folder: process.cwd(),
    wait: options.wait === true,
    again: options.again === true,
    deleteMissing: options.deleteMissing === true,
    labels: {
      tenant: options.tenant ?? null,
      collection: options.collection ?? null,
      tags: options.tags ?? null,
      title: options.title ?? null,
      priority: options.priority,
      traceparent: config.traceparent,
    },
  };
  if (options.title !== undefined && (paths.length > 1 || (await leadsToSeveral(paths))))
    throw usage("--title is for one file; here are several. Without it each is called by its name.");
  const progress = openProgress(terminal.stderr);
  const summary = await untilStopped(
    (signal) => withParts(context, (parts) => ingestFiles(parts, request, progress, signal), config),
    () => progress.notice("Stopping. Press Ctrl-C again to leave at once."),
  ).finally(() => progress.end());

  const code = codeOf(summary, request);
  if (options.json) terminal.record(summary);
  // With nothing found there is nothing to sum up; the progress has said why, path by path.
  else if (code === exitCodes.unusable) terminal.error("No file was found.");
  else printSummary(summary, request, config, terminal);
  context.end(code);
}

async function leadsToSeveral(paths: readonly string[]): Promise<boolean> {
  let files = 0;
  for await (const { kind } of findFiles(paths, process.cwd())) {
    if (kind === "file") files += 1;
    if (files > 1) return true;
  }
  return false;
}

function codeOf(summary: IngestSummary, request: IngestRequest): ExitCode {
  const { documents, queued, failed } = summary;
  const nothingThere =
    failed.length > 0 &&
    failed.every(({ code, source }) => code === "source.not-found" && request.paths.includes(source));
  if (nothingThere && documents === 0 && queued === 0) return exitCodes.unusable;
  if (failed.length > 0) return exitCodes.someFailed;
  return request.wait && queued > 0 ? exitCodes.someFailed : exitCodes.done;
}

export function printSummary(
  summary: IngestSummary,
  request: Pick<IngestRequest, "wait">,
  config: Pick<Config, "embeddedDir" | "databaseUrl" | "supabaseUrl">,
  terminal: Terminal,
): void {
  const { say } = terminal;
  const documents = counted(summary.documents, "document");
  if (!request.wait) {
    if (summary.documents === 0 && summary.unchanged + summary.moved > 0) say("Nothing had changed.");
    else say(`${documents} in the queue. A worker takes them: npm run worker:rag, or add --wait.`);
  } else {
    const parts = [
      `${counted(summary.chunks, "chunk")}: ${count(summary.embedded)} embedded, ${count(summary.reused)} reused`,
      summary.rejected > 0 ? `${count(summary.rejected)} left out (rag job says why)` : null,
      summary.unchanged > 0 ? `${counted(summary.unchanged, "document")} unchanged` : null,
    ].filter((part) => part !== null);
    say(`${documents} in ${summary.seconds.toFixed(1)} s  ${parts.join(", ")}`);
    if (summary.documents > 0 && summary.embedded === 0 && summary.queued === 0)
      say("Nothing had changed: nothing was embedded again.");
    if (summary.queued > 0)
      say(
        `${counted(summary.queued, "document")} still in the queue${isEmbedded(config) ? ` (${resolve(config.embeddedDir)} keeps them)` : ""}: rag worker goes on.`,
      );
  }
  if (summary.moved > 0) say(`${counted(summary.moved, "file")} found under another name.`);
  if (summary.gone > 0)
    say(
      `${counted(summary.gone, "file")} gone: ${summary.deleted > 0 ? `${counted(summary.deleted, "document")} deleted` : "the documents are kept (--delete-missing deletes them)"}.`,
    );
  const skipped = Object.entries(summary.skipped);
  if (skipped.length > 0)
    say(`Left out as no documents: ${skipped.map(([why, many]) => `${why} ${count(many)}`).join(", ")}`);
  if (summary.failed.length > 0)
    say(terminal.style("red", `${counted(summary.failed.length, "file")} failed:`));
  for (const { source, code, message } of summary.failed) say(`  ${source}\n    ${code}: ${message}`);
}

const isEmbedded = ({ databaseUrl, supabaseUrl }: Pick<Config, "databaseUrl" | "supabaseUrl">) =>
  databaseUrl === null && supabaseUrl === null;
