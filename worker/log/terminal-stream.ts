// pino's JSON lines as lines a person reads: level where it is not info, sentence, facts. An event that brings a
// line of its own is printed as it is (CONTRACTS, terminal lines); its colour says the level.
import { styleText } from "node:util";
import { z } from "zod";

export type TerminalOutput = {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  hasColors?(): boolean;
};

const written = z.looseObject({
  level: z.string(),
  time: z.string(),
  msg: z.string().default(""),
  line: z.string().optional(),
});

type Colour = "dim" | "yellow" | "red";
const colours: Readonly<Record<string, Colour>> = {
  warn: "yellow",
  error: "red",
  fatal: "red",
  debug: "dim",
  trace: "dim",
};
const LONGEST_LINE = 600;

/** A destination for pino. Colours only where the output is a TTY that wants them: NO_COLOR is obeyed. */
export function openTerminalStream(output: TerminalOutput): { write(json: string): void } {
  const coloured = output.isTTY === true && (output.hasColors?.() ?? false);
  const paint = (colour: Colour | undefined, text: string) =>
    coloured && colour !== undefined ? styleText(colour, text, { validateStream: false }) : text;
  return {
    write(json) {
      const { level, time: _, msg, line, ...fields } = written.parse(JSON.parse(json));
      const label = level === "info" ? "" : `${level}  `;
      const text = printable(line ?? label + [msg, factsOf(fields)].filter(Boolean).join("   "));
      const cut = text.length > LONGEST_LINE ? `${text.slice(0, LONGEST_LINE)}…` : text;
      output.write(`${paint(colours[level], cut)}\n${stackOf(fields)}`);
    },
  };
}

function factsOf(fields: Readonly<Record<string, unknown>>): string {
  return Object.entries(fields)
    .filter(([name, value]) => name !== "event" && value !== null)
    .map(([name, value]) => (name === "err" ? errorOf(value) : `${name}=${plain(value)}`))
    .join(" ");
}

const plain = (value: unknown) => (typeof value === "object" ? JSON.stringify(value) : String(value));

const errorFields = z.looseObject({
  type: z.string(),
  code: z.string().optional(),
  message: z.string().optional(),
  stack: z.array(z.string()).optional(),
  kind: z.string().optional(),
});

function errorOf(value: unknown): string {
  const error = errorFields.safeParse(value);
  if (!error.success) return `err=${plain(value)}`;
  return [error.data.code ?? error.data.type, error.data.message].filter(Boolean).join(": ");
}

/** Where an error nobody expected was thrown. An expected one has said enough. */
function stackOf(fields: Readonly<Record<string, unknown>>): string {
  const error = errorFields.safeParse(fields.err);
  if (!error.success || (error.data.kind !== undefined && error.data.kind !== "defect")) return "";
  return (error.data.stack ?? []).map((frame) => `          ${printable(frame)}\n`).join("");
}

/** No escape sequence, line break or change of direction from a title or a file name reaches the terminal. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to go.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]+/g, " ");
}
