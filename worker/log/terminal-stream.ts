// pino's JSON lines as lines a person reads: level where it is not info, sentence, facts. An event that brings a
// line of its own is printed as it is (CONTRACTS, terminal lines); its colour says the level.
import { styleText } from "node:util";
import { z } from "zod";
import { printable } from "./printable.ts";

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

type ShownError = {
  readonly type: string;
  readonly code?: string | undefined;
  readonly message?: string | undefined;
  readonly kind?: string | undefined;
  readonly stack?: string[] | undefined;
  readonly cause?: ShownError | undefined;
};
const errorFields: z.ZodType<ShownError> = z.lazy(() =>
  z.looseObject({
    type: z.string(),
    code: z.string().optional(),
    message: z.string().optional(),
    kind: z.string().optional(),
    stack: z.array(z.string()).optional(),
    cause: errorFields.optional().catch(undefined),
  }),
);

function errorOf(value: unknown): string {
  const error = errorFields.safeParse(value);
  if (!error.success) return `err=${plain(value)}`;
  return [error.data.code ?? error.data.type, error.data.message].filter(Boolean).join(": ");
}

/** What an error nobody expected comes from, and where that was thrown. An expected one has said enough. */
function stackOf(fields: Readonly<Record<string, unknown>>): string {
  const error = errorFields.safeParse(fields.err);
  if (!error.success || (error.data.kind !== undefined && error.data.kind !== "defect")) return "";
  let root = error.data;
  while (root.cause !== undefined) root = root.cause;
  const from = root === error.data ? [] : [[root.type, root.message].filter(Boolean).join(": ")];
  return [...from, ...(root.stack ?? [])].map((line) => `    ${printable(line)}\n`).join("");
}
