// Where a command prints. Answers go to stdout and everything else to stderr, so that `rag … --json | jq`
// never meets a progress bar or a log line.
import { stripVTControlCharacters, styleText } from "node:util";
import { printable } from "../log/printable.ts";

/** What we need of process.stdout and process.stderr; tests hand in their own. */
export type Stream = {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
};

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan" | "inverse";

export type Terminal = {
  readonly stdout: Stream;
  readonly stderr: Stream;
  /** Keys, for questions. */
  readonly stdin: NodeJS.ReadStream;
  /** A line of the answer, for people. */
  say(text: string): void;
  /** One JSON object on one line of stdout. */
  record(value: unknown): void;
  /** A line beside the answer: notices. */
  note(text: string): void;
  /** Why not everything that was asked for was done, in the one way that all commands say it. */
  error(text: string): void;
  /** Colours where stdout is a terminal that wants them (NO_COLOR is obeyed). */
  style(style: Style | readonly Style[], text: string): string;
};

const WIDTH_WITHOUT_TERMINAL = 100;

export function openTerminal(streams: Pick<Terminal, "stdout" | "stderr" | "stdin">): Terminal {
  const { stdout, stderr } = streams;
  return {
    ...streams,
    say: (text) => void stdout.write(`${text}\n`),
    record: (value) => void stdout.write(`${JSON.stringify(value)}\n`),
    note: (text) => void stderr.write(`${text}\n`),
    error: (text) => void stderr.write(`rag: ${text}\n`),
    style(style, text) {
      if (!stdout.isTTY) return text;
      return styleText(typeof style === "string" ? style : [...style], text, {
        stream: stdout as NodeJS.WriteStream, // SAFETY: only a TTY comes here, and that is a WriteStream.
      });
    },
  };
}

/** The terminal of this process. Whoever closes the pipe early (`rag jobs | head`) has read enough. */
export function openProcessTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      throw error;
    });
  return openTerminal({ stdout: process.stdout, stderr: process.stderr, stdin: process.stdin });
}

/** Columns that a line may take. */
export const widthOf = (stream: Stream): number => Math.max(40, stream.columns || WIDTH_WITHOUT_TERMINAL);

/** A line of our own making, with its spaces, cut to so many characters and safe to print. */
export function cut(text: string, columns: number): string {
  const characters = [...printable(text)];
  if (characters.length <= columns) return characters.join("");
  return `${characters.slice(0, Math.max(1, columns - 1)).join("")}…`;
}

/** Text from a row or a document as one line of at most so many characters, safe to print. */
export function clip(text: string, columns: number): string {
  return cut(printable(text).replace(/\s+/g, " ").trim(), columns);
}

/** Rows as columns that line up, separated by two spaces; the last column is never padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, shownLength(cell));
    });
  return rows.map((row) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - shownLength(cell)),
      )
      .join("  ")
      .trimEnd(),
  );
}

const shownLength = (text: string) => stripVTControlCharacters(text).length;
