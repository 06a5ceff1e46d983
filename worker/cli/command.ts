// What the command line hands to a command, and how commander's texts become values.
// A command does not touch process.stdout itself; it prints to the terminal it is given.
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Terminal } from "./terminal.ts";

export const exitCodes = { done: 0, someFailed: 1, unusable: 2 } as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export type CommandContext = {
  readonly terminal: Terminal;
  /** Says how the command ended; the last one said counts. */
  end(code: ExitCode): void;
};

/** Adds arguments, options and what to do to a command that has its name and description already. */
export type DefineCommand = (command: Command, context: CommandContext) => void;

/** Reads a whole number within bounds; commander prints the sentence beside the option's name. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

/** Reads a number within bounds. */
export function numberWithin(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !(value >= least && value <= most))
      throw new InvalidArgumentError(`It must be a number from ${least} to ${most}.`);
    return value;
  };
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;
// A hundred years; what is older is a mistake in typing.
const LONGEST_SECONDS = 3_153_600_000;

/** Reads `90s`, `15m`, `2h`, `30d` or `2w` as seconds. */
export function durationSeconds(text: string): number {
  const seconds = secondsIn(text);
  if (seconds === null) throw new InvalidArgumentError("It must be a time such as 90s, 15m, 2h, 30d or 2w.");
  return seconds;
}

/** null for what is no time. */
export function secondsIn(text: string): number | null {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([smhdw])$/i.exec(text.trim()) ?? [];
  const seconds = Number(amount) * SECONDS[(unit ?? "s").toLowerCase() as keyof typeof SECONDS]; // SAFETY: as matched.
  return seconds >= 0 && seconds <= LONGEST_SECONDS ? seconds : null;
}

/** Reads a document's id. */
export function documentId(text: string): string {
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError("It must be a document's whole id; rag job ID shows it.");
}

/** An option that takes some of a closed list, separated by commas; help and completion name them. */
export function someOf<const Known extends string>(
  flags: string,
  says: string,
  known: readonly Known[],
  what: string,
): Option {
  return new Option(flags, says).choices(known).argParser((text): readonly Known[] =>
    commaList(text).map((item) => {
      const found = known.find((candidate) => candidate === item);
      if (found !== undefined) return found;
      throw new InvalidArgumentError(
        `There is no ${what} "${item}". Allowed choices are ${known.join(", ")}.`,
      );
    }),
  );
}

/** Reads `a,b, c`. */
export function commaList(text: string): string[] {
  const items = text
    .split(",")
    .map((item) => item.trim())
    .filter(Boolean);
  if (items.length === 0) throw new InvalidArgumentError("It must name at least one, separated by commas.");
  return items;
}
