// rag extract FILE…: what a worker would read and cut, without a database.
// Files are read some at once, and told in the order they were given.
import { resolve } from "node:path";
import type { Chunk } from "../document/chunk.ts";
import { describeFailure } from "../failure/describe.ts";
import type { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { findFiles, shownPath } from "../ingress/files/find-files.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { openReading } from "./extract/open-reading.ts";
import { type ExtractProgress, openExtractProgress } from "./extract/progress.ts";
import { type ReadDocument, type Reading, readFile } from "./extract/read-file.ts";
import { configOf } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import { clip, type Terminal, widthOf } from "./terminal.ts";
import { counted, placeOf } from "./words.ts";

type Options = { readonly json?: boolean; readonly explain?: boolean };

/** A file that waits for its turn to be told; `read` never rejects. */
type Answer = { readonly file: string; readonly read: Promise<ReadDocument | { readonly failure: Failure }> };

export const defineExtract: DefineCommand = (command, context) => {
  command
    .argument("<file...>", "files; folders and globs too")
    .option("--explain", "what was decided while reading: encoding, what was left out and why")
    .action((files: readonly string[], options: Options) => extract(files, options, context));
};

async function extract(files: readonly string[], options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const config = configOf();
  let failed = 0;
  const opened = await openReading(config);
  const progress = openExtractProgress(terminal.stderr);
  try {
    await untilStopped(
      async (signal) => {
        for await (const { file, read } of readInOrder(files, opened, progress, signal)) {
          const answer = await read;
          progress.wipe();
          if (signal.aborted) return;
          if ("failure" in answer) failed += 1;
          if (options.json) terminal.record(recordOf(file, answer, options));
          else printAnswer(file, answer, options, terminal);
        }
      },
      () => {},
    );
  } finally {
    await opened.close();
  }
  context.end(failed > 0 ? exitCodes.someFailed : exitCodes.done);
}

/** At most `atOnce` files are read or wait to be told, so that memory does not grow with their number. */
async function* readInOrder(
  paths: readonly string[],
  opened: Reading & { readonly atOnce: number },
  progress: ExtractProgress,
  signal: AbortSignal,
): AsyncIterable<Answer> {
  const folder = process.cwd();
  const underway: Answer[] = [];
  for await (const found of findFiles(paths, folder)) {
    if (signal.aborted) return;
    if (found.kind === "skipped") continue;
    const file = found.kind === "missing" ? found.source : shownPath(found.path, folder);
    const read =
      found.kind === "missing"
        ? Promise.resolve({ failure: found.failure })
        : readOne(found.path, opened, progress, signal);
    underway.push({ file, read });
    if (underway.length >= opened.atOnce) yield* underway.splice(0, 1);
  }
  yield* underway;
}

async function readOne(
  path: string,
  opened: Reading,
  progress: ExtractProgress,
  signal: AbortSignal,
): Answer["read"] {
  const { tell, ended } = progress.begin(path);
  try {
    return await readFile(resolve(path), opened, tell, signal);
  } catch (thrown) {
    return { failure: failureFromUnknown(thrown) };
  } finally {
    ended();
  }
}

function recordOf(file: string, answer: Awaited<Answer["read"]>, options: Options): object {
  if ("failure" in answer)
    return { file, error: { code: answer.failure.code, message: describeFailure(answer.failure) } };
  const { extraction, chunks } = answer;
  return {
    file,
    media_type: extraction?.mediaType ?? null,
    pages: extraction?.pages ?? null,
    ...(options.explain && { title: extraction?.title ?? null, decisions: extraction?.decisions ?? [] }),
    chunks: chunks.map(chunkRecord),
  };
}

const chunkRecord = (chunk: Chunk) => ({
  chunk_index: chunk.chunkIndex,
  content: chunk.content,
  token_count: chunk.tokenCount,
  char_start: chunk.charStart,
  char_end: chunk.charEnd,
  page_number: chunk.pageNumber,
  section: chunk.section,
  ...(chunk.embedPrefix !== "" && { embed_prefix: chunk.embedPrefix }),
  ...(chunk.speaker !== null && { speaker: chunk.speaker }),
  ...(chunk.startedMs !== null && { started_ms: chunk.startedMs, ended_ms: chunk.endedMs }),
});

function printAnswer(
  file: string,
  answer: Awaited<Answer["read"]>,
  options: Options,
  terminal: Terminal,
): void {
  const { say, style } = terminal;
  if ("failure" in answer) {
    say(
      `${style("bold", file)}  ${style("red", `${answer.failure.code}: ${describeFailure(answer.failure)}`)}`,
    );
    return;
  }
  const { extraction, chunks } = answer;
  const pages = extraction?.pages == null ? "" : `  ${counted(extraction.pages, "page")}`;
  say(
    `${style("bold", file)}  ${extraction?.mediaType ?? "unknown type"}${pages}  ${counted(chunks.length, "chunk")}`,
  );
  if (options.explain)
    for (const decision of extraction?.decisions ?? []) say(style("cyan", `  ${decision}`));
  for (const chunk of chunks) {
    const where = placeOf({
      page_number: chunk.pageNumber,
      section: chunk.section,
      speaker: chunk.speaker,
      started_ms: chunk.startedMs,
    });
    const head = `  #${chunk.chunkIndex}  ${counted(chunk.tokenCount, "token")}  ${chunk.charStart}–${chunk.charEnd}  ${clip(where, 60)}`;
    say(style("dim", head.trimEnd()));
    say(`    ${clip(chunk.content, 2 * widthOf(terminal.stdout) - 8)}`);
  }
}
