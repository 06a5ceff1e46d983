// The process's log: JSON lines for machines, one readable line an event on a terminal.
// Everything that is written passes the redactor here, messages and bindings included; a line that cannot be
// written loses its facts, never its caller.
import { Writable } from "node:stream";
import { type DestinationStream, type Level, type Logger, destination as openFile, pino } from "pino";
import { cleanFields } from "./fields.ts";
import { openRedactor, type Redact } from "./redact.ts";
import { openTerminalStream, type TerminalOutput } from "./terminal-stream.ts";

/** Facts first, then a constant sentence. */
export type WriteLine = {
  (facts: object, message: string): void;
  (message: string): void;
};

export type Log = {
  /** Whether a person reads along: lines may then carry a sentence under `terminalLine`. */
  readonly terminal: boolean;
  readonly trace: WriteLine;
  readonly debug: WriteLine;
  readonly info: WriteLine;
  readonly warn: WriteLine;
  readonly error: WriteLine;
  readonly fatal: WriteLine;
  /** The same log with these facts on each of its lines. */
  child(facts: object): Log;
};

export type LogOptions = {
  readonly level: Level | "silent";
  readonly terminal: boolean;
  /** Values that never leave: `secretsOf(config)`. */
  readonly secrets: readonly string[];
  /** stdout when not given. `rag … --json` keeps stdout for its answer and logs to stderr. */
  readonly destination?: "stdout" | "stderr" | Writable;
};

/**
 * Under this key a caller may hand over the whole line for the terminal, which may name a document's title.
 * A symbol, so that no JSON line can ever hold it.
 */
export const terminalLine: unique symbol = Symbol("terminalLine");

export function openLog(options: LogOptions): Log {
  const redact = openRedactor(options.secrets);
  const root = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // Errors are plain fields by now; pino's own serializer would take them for errors again.
      serializers: { err: (fields: unknown) => fields },
    },
    options.terminal ? openTerminalStream(outputOf(options.destination)) : fileOf(options.destination),
  );
  return wrap(root, redact, options.terminal);
}

function wrap(logger: Logger<never>, redact: Redact, terminal: boolean): Log {
  const lineOf =
    (level: Level): WriteLine =>
    (first: object | string, message?: string) => {
      if (!logger.isLevelEnabled(level)) return;
      if (typeof first === "string") {
        logger[level](redact(first));
        return;
      }
      const fields = cleanFields(first, redact);
      const line = terminal ? (first as { [terminalLine]?: unknown })[terminalLine] : undefined;
      if (typeof line === "string") fields.line = redact(line);
      logger[level](fields, redact(message ?? ""));
    };
  return {
    terminal,
    trace: lineOf("trace"),
    debug: lineOf("debug"),
    info: lineOf("info"),
    warn: lineOf("warn"),
    error: lineOf("error"),
    fatal: lineOf("fatal"),
    child: (facts) => wrap(logger.child(cleanFields(facts, redact)), redact, terminal),
  };
}

// Synchronous: the last line before a crash is the one that matters. A closed pipe is pino's to bear.
function fileOf(destination: LogOptions["destination"] = "stdout"): DestinationStream {
  if (destination instanceof Writable) return destination;
  return openFile({ fd: destination === "stderr" ? 2 : 1, sync: true });
}

function outputOf(destination: LogOptions["destination"] = "stdout"): TerminalOutput {
  if (destination instanceof Writable) return destination;
  return destination === "stderr" ? process.stderr : process.stdout;
}
