// Whatever a caller hands over as facts, as JSON that may be written: bounded, without secrets, never throwing.
import { describeError } from "./describe-error.ts";
import type { Redact } from "./redact.ts";

export type Fields = Record<string, unknown>;

const DEEPEST = 6;
const MOST_ITEMS = 50;

// A second net under the rule that these are never fields; lease tokens are ours and numbers pass.
const SECRET_NAME =
  /^(authorization|cookie|set-cookie|password|secret|token|jwt|api[-_]?key|x-api-key|apikey)$/i;
const TEXT_NAME = /^(content|text|texts|body|title|embedding|embeddings|vector|vectors|bytes)$/i;

// What pino and the terminal write themselves; a second key of the same name would replace it in every reader.
const OWN_NAMES = new Set(["level", "time", "msg", "line"]);

/** The facts of one line. Never throws. */
export function cleanFields(facts: object, redact: Redact): Fields {
  try {
    if (facts instanceof Error) return { err: clean(facts, redact, 0) };
    const fields = cleanObject(facts, redact, 0);
    const named = Object.entries(fields).map(([name, value]) => [
      OWN_NAMES.has(name) ? `fact_${name}` : name,
      value,
    ]);
    return Object.fromEntries(named);
  } catch (thrown) {
    // A getter that throws must not take the line's sentence with it, nor the caller.
    return { unloggable: describeError(thrown).type };
  }
}

function clean(value: unknown, redact: Redact, depth: number): unknown {
  switch (typeof value) {
    case "string":
      return redact(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
      return value;
    case "bigint":
      return value.toString();
    case "object":
      return value === null ? null : cleanThing(value, redact, depth);
    default:
      return undefined;
  }
}

function cleanThing(value: object, redact: Redact, depth: number): unknown {
  if (depth >= DEEPEST) return "[deeper]";
  if (value instanceof Error) return cleanObject(describeError(value), redact, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof URL) return redact(value.href);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (!Array.isArray(value)) return cleanObject(value, redact, depth);
  const items = value.slice(0, MOST_ITEMS).map((item) => clean(item, redact, depth + 1) ?? null);
  return value.length > MOST_ITEMS ? [...items, `… ${value.length} in all`] : items;
}

function cleanObject(value: object, redact: Redact, depth: number): Fields {
  const fields: Fields = {};
  for (const [name, item] of Object.entries(value).slice(0, MOST_ITEMS)) {
    const hidden = hides(name, item);
    const cleaned = hidden ?? clean(item, redact, depth + 1);
    if (cleaned !== undefined) fields[redact(name)] = cleaned;
  }
  return fields;
}

function hides(name: string, value: unknown): string | null {
  const holdsWords = typeof value === "string" || (typeof value === "object" && value !== null);
  if (!holdsWords) return null;
  if (SECRET_NAME.test(name)) return "[secret]";
  return TEXT_NAME.test(name) ? "[withheld]" : null;
}
