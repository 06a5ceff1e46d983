// The command line: one row a command, and the one place that turns a failure into a sentence and an exit code.
// Only the file of the command that was asked for is loaded, so that `rag --help` answers at once.
import { Command, CommanderError } from "commander";
import { adviseOperator, describeFailure } from "../failure/describe.ts";
import type { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import type { Redact } from "../log/redact.ts";
import { type CommandContext, type DefineCommand, type ExitCode, exitCodes } from "./command.ts";
import { openProcessTerminal, type Terminal } from "./terminal.ts";
import { versionOf } from "./version.ts";

type Row = { readonly says: string; readonly load: () => Promise<DefineCommand> };

const commands: Readonly<Record<string, Row>> = {
  worker: {
    says: "poll the queue and work until SIGTERM or SIGINT",
    load: async () => (await import("./worker.ts")).defineWorker,
  },
  gateway: {
    says: "serve users' WebSockets with the progress of their documents",
    load: async () => (await import("./gateway.ts")).defineGateway,
  },
  ingest: {
    says: "put files, folders or globs into the queue",
    load: async () => (await import("./ingest.ts")).defineIngest,
  },
  extract: {
    says: "read and cut files without a database, to see what would be embedded",
    load: async () => (await import("./extract.ts")).defineExtract,
  },
  search: {
    says: "find passages by words and meaning",
    load: async () => (await import("./search.ts")).defineSearch,
  },
  analysis: {
    says: "what Claude says of a document",
    load: async () => (await import("./analysis.ts")).defineAnalysis,
  },
  status: {
    says: "counts, rates and the oldest job of the queue",
    load: async () => (await import("./status.ts")).defineStatus,
  },
  cost: {
    says: "what was paid, by day, tenant and model",
    load: async () => (await import("./cost.ts")).defineCost,
  },
  jobs: { says: "list jobs, newest first", load: async () => (await import("./jobs.ts")).defineJobs },
  job: {
    says: "one job: its stages, errors, cost and why it waits",
    load: async () => (await import("./job.ts")).defineJob,
  },
  logs: {
    says: "what happened to one job",
    load: async () => (await import("./logs.ts")).defineLogs,
  },
  top: {
    says: "the queue as it works, live",
    load: async () => (await import("./top.ts")).defineTop,
  },
  retry: {
    says: "put failed or cancelled jobs back into the queue",
    load: async () => (await import("./retry.ts")).defineRetry,
  },
  cancel: {
    says: "cancel jobs that wait or run",
    load: async () => (await import("./cancel.ts")).defineCancel,
  },
  "reset-stuck": {
    says: "put jobs back into the queue whose worker is gone",
    load: async () => (await import("./reset-stuck.ts")).defineResetStuck,
  },
  pause: {
    says: "let no job be taken, of all, of a kind or of a tenant",
    load: async () => (await import("./pause.ts")).definePause,
  },
  resume: {
    says: "end a pause",
    load: async () => (await import("./pause.ts")).defineResume,
  },
  model: {
    says: "which model the vectors are of, and changing it while the old one serves",
    load: async () => (await import("./model.ts")).defineModel,
  },
  prune: {
    says: "delete jobs that ended long ago",
    load: async () => (await import("./prune.ts")).definePrune,
  },
  delete: {
    says: "delete documents with everything that hangs on them",
    load: async () => (await import("./delete.ts")).defineDelete,
  },
  relate: {
    says: "find how documents relate to each other",
    load: async () => (await import("./relate.ts")).defineRelate,
  },
  sync: {
    says: "look through everything that is stored, and repair what is wrong",
    load: async () => (await import("./sync.ts")).defineSync,
  },
  migrate: {
    says: "bring the database schema up to date",
    load: async () => (await import("./migrate.ts")).defineMigrate,
  },
  alert: {
    says: "test where alerts go",
    load: async () => (await import("./alert.ts")).defineAlert,
  },
  doctor: {
    says: "check everything, and say what to do about what is wrong",
    load: async () => (await import("./doctor.ts")).defineDoctor,
  },
  completion: {
    says: "a script that completes commands and options, for bash, zsh or fish",
    load: async () => (await import("./completion.ts")).defineCompletion,
  },
};

/** Runs one command line (without the program's own name) and answers the exit code. Never throws. */
export async function run(
  argv: readonly string[],
  terminal: Terminal = openProcessTerminal(),
): Promise<ExitCode> {
  let code: ExitCode = exitCodes.done;
  const context: CommandContext = {
    terminal,
    end: (said) => {
      code = said;
    },
  };
  try {
    const program = await buildProgram(argv, context);
    await program.parseAsync(argv.length === 0 ? ["--help"] : [...argv], { from: "user" });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return exitCodes.done;
      // Commander has told people; a script reads stdout.
      if (argv.includes("--json")) recordError("usage.invalid", thrown.message, terminal);
      return exitCodes.unusable;
    }
    return await report(failureFromUnknown(thrown), argv, terminal);
  }
}

async function buildProgram(argv: readonly string[], context: CommandContext): Promise<Command> {
  const { stdout, stderr } = context.terminal;
  const program = new Command("rag")
    .description("Turns documents and transcripts into searchable, cited vectors in Postgres.")
    .version(versionOf(), "--version", "print the version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(text.replace(COMMANDERS_PREFIX, "rag: ")),
    })
    .showHelpAfterError("(rag --help shows what there is)")
    .addHelpText(
      "after",
      "\nEvery command has --help and --json. First steps: npm run demo, then rag doctor.",
    );
  const wanted = argv[0] === "help" ? argv[1] : argv[0];
  for (const [name, row] of Object.entries(commands)) {
    // A subcommand takes over exitOverride and the output, so it must be made after they are set.
    const command = program.command(name).description(row.says);
    // Completion tells of them all.
    if (name !== wanted && wanted !== "completion") continue;
    command.option("--json", "one JSON object a line on stdout, logs on stderr");
    command.showHelpAfterError(`(rag ${name} --help shows what there is)`);
    (await row.load())(command, context);
  }
  return program;
}

/** Prints what went wrong, once; with --json on stdout too, so that a script finds the code. */
async function report(failure: Failure, argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  // Not above: the settings take longer to load than `rag --help` to print.
  const { redactorOfRun } = await import("./environment.ts");
  const redact = redactorOfRun();
  // A wrong usage is told by its own sentence; everything else by the operator's, with the code to search for.
  const refused = failure.code === "usage.invalid" || isRefusal(failure);
  const sentence = refused ? failure.message : `${adviseOperator(failure)} [${failure.code}]`;
  terminal.error(redact(sentence));
  if (argv.includes("--json")) recordError(failure.code, redact(describeFailure(failure)), terminal);
  if (await wantsStack()) printStacks(failure, redact, terminal);
  else if (failure.kind === "defect" && !refused)
    terminal.note(`${redact(String(failure.cause))}\nLOG_LEVEL=debug shows where it came from.`);
  return !refused && (failure.kind === "permanent" || failure.kind === "defect")
    ? exitCodes.someFailed
    : exitCodes.unusable;
}

/** A function of ours could not mean what it was asked, and said so in its own sentence. */
const isRefusal = (failure: Failure) =>
  failure.code === "database.rejected" && failure.facts.sqlstate === "22023";

const recordError = (code: string, message: string, terminal: Terminal) =>
  terminal.record({ error: { code, message: message.replace(COMMANDERS_PREFIX, "") } });

const COMMANDERS_PREFIX = /^error: /;

function printStacks(failure: Failure, redact: Redact, terminal: Terminal): void {
  let at: unknown = failure;
  for (let depth = 0; depth < MOST_CAUSES && at instanceof Error; depth += 1, at = at.cause)
    terminal.note(redact(String(at.stack)));
}

const MOST_CAUSES = 10;

async function wantsStack(): Promise<boolean> {
  try {
    const { environmentOfRun } = await import("./environment.ts");
    return ["debug", "trace"].includes(environmentOfRun().LOG_LEVEL ?? "");
  } catch {
    return false; // The files that say so may be what could not be read.
  }
}
