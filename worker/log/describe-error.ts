// An error as fields of a log line: type, code, where it was thrown, and what caused it.
// Its message is kept only where we know who wrote it: a JSON parser, a database or a provider likes to quote
// the text it choked on, and that text is somebody's document.
import { Failure } from "../failure/failure.ts";

export type ErrorFields = {
  readonly type: string;
  readonly code?: string;
  readonly kind?: string;
  readonly message?: string;
  readonly facts?: Readonly<Record<string, unknown>>;
  readonly constraint?: string;
  readonly routine?: string;
  readonly stack?: readonly string[];
  readonly cause?: ErrorFields;
  readonly errors?: readonly ErrorFields[];
};

const DEEPEST_CAUSE = 5;
const MOST_ERRORS = 3;
const MOST_FRAMES = 20;
const LONGEST_NAME = 80;

// What V8 itself says, with nothing in it but names of the program.
const PROGRAM_SAYS =
  /^(Cannot (read|set) properties of (undefined|null) \((reading|setting) '[\w$]{1,60}'\)|[\w$.]{1,80} is not (a function|defined|iterable|a constructor)|Maximum call stack size exceeded|Invalid (array|string) length|fetch failed|terminated)$/;

/** Never throws, whatever was thrown. `depth` counts the causes above this one. */
export function describeError(thrown: unknown, depth = 0): ErrorFields {
  if (!(thrown instanceof Error)) return { type: thrown === null ? "null" : typeof thrown };
  const code = wordOf(thrown, "code");
  // Postgres: which constraint, and which of its routines refused. Never `detail` or `where`: they quote rows.
  const constraint = wordOf(thrown, "constraint_name");
  const routine = wordOf(thrown, "routine");
  const stack = framesOf(thrown);
  const cause = depth < DEEPEST_CAUSE && thrown.cause !== undefined && thrown.cause !== null;
  return {
    type: String(thrown.name).slice(0, LONGEST_NAME),
    ...(code === null ? {} : { code }),
    ...(thrown instanceof Failure ? { kind: thrown.kind, facts: thrown.facts } : {}),
    ...(isOurs(thrown) ? { message: thrown.message } : {}),
    ...(constraint === null ? {} : { constraint }),
    ...(routine === null ? {} : { routine }),
    ...(stack.length === 0 ? {} : { stack }),
    ...(cause ? { cause: describeError(thrown.cause, depth + 1) } : {}),
    ...(thrown instanceof AggregateError && depth < DEEPEST_CAUSE
      ? { errors: thrown.errors.slice(0, MOST_ERRORS).map((error) => describeError(error, depth + 1)) }
      : {}),
  };
}

function isOurs(error: Error): boolean {
  // System errors ("connect ECONNREFUSED 127.0.0.1:5432") name a call, a path or a port.
  if (error instanceof Failure || ("syscall" in error && "errno" in error)) return true;
  return PROGRAM_SAYS.test(error.message);
}

function wordOf(error: Error, field: string): string | null {
  const value = (error as unknown as Record<string, unknown>)[field];
  return typeof value === "string" && /^[\w.:-]{1,80}$/.test(value) ? value : null;
}

/** The stack's frames without its first part, which repeats the message. */
function framesOf(error: Error): string[] {
  if (typeof error.stack !== "string") return [];
  const at = error.message === "" ? -1 : error.stack.indexOf(error.message);
  const frames = at === -1 ? error.stack : error.stack.slice(at + error.message.length);
  return frames
    .split("\n")
    .filter((line) => /^ {4}at /.test(line))
    .slice(0, MOST_FRAMES)
    .map((line) => line.trim());
}
