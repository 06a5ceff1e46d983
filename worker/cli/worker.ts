// rag worker: polls and works until SIGTERM or SIGINT, or with --once until the queue is empty.
// What it says while it works is the log's: JSON lines, or lines for people on a terminal.
import { InvalidArgumentError, Option } from "commander";
import type { Parts } from "../assemble.ts";
import type { Config } from "../config/config.ts";
import { settings } from "../config/settings.ts";
import { type Log, openLog } from "../log/log.ts";
import { logActivity } from "../log/log-activity.ts";
import { secretsOf } from "../log/redact.ts";
import type { WorkerSummary } from "../queue/worker-state.ts";
import { type CommandContext, commaList, type DefineCommand, exitCodes } from "./command.ts";
import { configOf, warnOfUnknownSettings } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import { withWorker } from "./with-worker.ts";

type Options = {
  readonly json?: boolean;
  readonly once?: boolean;
  readonly concurrency?: number;
  readonly kinds?: Config["kinds"];
};

export const defineWorker: DefineCommand = (command, context) => {
  command
    .option("--once", "work until no job is ready, then end")
    .option("--concurrency <n>", "jobs at once (RAG_JOB_CONCURRENCY)", concurrencyOf)
    .addOption(
      // All there are is what is taken where nothing is said.
      new Option("--kinds <a,b>", "job kinds to take (RAG_KINDS)")
        .choices(settings.kinds.fallback)
        .argParser(kindsOf),
    )
    .addHelpText("after", "\nEnds with 0 after SIGTERM or SIGINT; a second signal ends it at once.")
    .action((options: Options) => worker(options, context));
};

async function worker(options: Options, context: CommandContext): Promise<void> {
  const config = configOf({
    ...(options.concurrency !== undefined && { jobConcurrency: options.concurrency }),
    ...(options.kinds !== undefined && { kinds: options.kinds }),
  });
  const json = options.json === true;
  const log = openLog({
    level: config.logLevel,
    terminal: !json && context.terminal.stdout.isTTY === true,
    secrets: secretsOf(config),
    destination: json ? "stderr" : "stdout",
  });
  warnOfUnknownSettings(log);
  let stopped: NodeJS.Signals | null = null;
  const summary = await untilStopped(
    (signal) => work(config, log, options, { signal, reason: () => stopped ?? "stop" }),
    (name) => {
      stopped = name;
      // The platform kills a little later; what was released until then is what counts.
      setTimeout(
        () => process.exit(exitCodes.someFailed),
        (config.graceSeconds + OVERTIME_SECONDS) * 1000,
      ).unref();
    },
  );
  if (json) context.terminal.record({ ...summary, seconds: Math.round(summary.seconds * 1000) / 1000 });
  // With --once what was given back undone is no success either, unless somebody stopped us.
  const undone = stopped === null && summary.released > 0 && summary.completed === 0;
  context.end(options.once && (summary.failed > 0 || undone) ? exitCodes.someFailed : exitCodes.done);
}

const OVERTIME_SECONDS = 2;
const NOTHING_DONE = { completed: 0, failed: 0, retried: 0, released: 0, lost: 0, seconds: 0 };

type Stop = { readonly signal: AbortSignal; readonly reason: () => string };

async function work(config: Config, log: Log, options: Options, stop: Stop): Promise<WorkerSummary> {
  const { openParts } = await import("../assemble.ts");
  const parts = await openParts(config, log);
  const silence = logActivity(parts.activity, log);
  try {
    return await workWith(parts, options, stop);
  } catch (thrown) {
    if (thrown !== stop.signal.reason) throw thrown;
    // Told to stop while it started.
    parts.activity.say("worker.stopped", { released: 0, seconds: 0 });
    return NOTHING_DONE;
  } finally {
    await parts.close();
    silence();
  }
}

async function workWith(parts: Parts, options: Options, { signal, reason }: Stop): Promise<WorkerSummary> {
  const start = { once: options.once === true, signal };
  return await withWorker(parts, start, async (worker, status) => {
    const embedder = await parts.embedder();
    parts.activity.say("worker.started", {
      workerId: worker.state().workerId,
      database: parts.database.transport,
      provider: embedder.provider,
      model: embedder.model,
      http: status.url,
    });
    const stop = () => void worker.stop(reason());
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    return await worker.ended;
  });
}

function concurrencyOf(text: string): number {
  const { parse, accepts } = settings.jobConcurrency;
  const parsed = parse.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It must be a whole number, ${accepts}.`);
}

function kindsOf(text: string): Config["kinds"] {
  const names = commaList(text);
  const parsed = settings.kinds.parse.safeParse(names.join(","));
  if (parsed.success) return parsed.data;
  throw new InvalidArgumentError(`It must be a ${settings.kinds.accepts}.`);
}
