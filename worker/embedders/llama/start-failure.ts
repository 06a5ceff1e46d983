// What it means that a llama-server of ours did not start: whose fault it is, and in its own words why.
import { Failure } from "../../failure/failure.ts";
import type { KeptProgram, ProgramEnd } from "./kept-program.ts";
import type { ServerSetup } from "./server-setup.ts";

// What an operating system or an operator does to a program; with any other end it refused what it was given.
const FROM_OUTSIDE = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGBUS", "SIGSEGV", "SIGABRT"]);

/** The failure of a program that ended before it was ready. Nothing of a document can be in its words yet. */
export function failureOfEnd(
  { code, signal }: ProgramEnd,
  program: KeptProgram,
  setup: ServerSetup,
): Failure {
  const words = program.lastWords();
  if (signal !== null && FROM_OUTSIDE.has(signal))
    return new Failure("embed.server-down", { facts: { reason: "ended while starting", signal } });
  if (/couldn't bind|address already in use/i.test(words)) return portTaken(setup);
  if (/out of memory|(failed|unable) to allocate/i.test(words)) return new Failure("embed.no-memory");
  return new Failure("embed.model-missing", {
    says: `llama-server (${setup.program}) did not start with the model ${setup.model.path} (${signal ?? `exit code ${code ?? "unknown"}`}): ${reasonIn(words)}`,
  });
}

export function portTaken({ where }: Pick<ServerSetup, "where">): Failure {
  if (where.port === null)
    return new Failure("embed.server-down", { facts: { reason: "its port was taken meanwhile" } });
  return new Failure("config.invalid", {
    says: `LLAMA_SERVER_PORT ${where.port} cannot be had: another program listens there. Choose another port, or none for a UNIX socket.`,
  });
}

export function notInTime({ startupMs }: Pick<ServerSetup, "startupMs">): Failure {
  return new Failure("embed.server-down", {
    facts: { reason: "not ready in time", seconds: Math.round(startupMs / 1000) },
  });
}

const MOST_SIGNS = 300;

/** The line that says why, without time and level. */
function reasonIn(words: string): string {
  const lines = words
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/usage, run with|cleaning up before exit|exiting due to/.test(line));
  const telling = lines.findLast((line) => /error|invalid|fail|unknown|not found|denied/i.test(line));
  return (telling ?? lines.at(-1) ?? "it said nothing").replace(/^[\d.]+ [A-Z] +/, "").slice(0, MOST_SIGNS);
}
