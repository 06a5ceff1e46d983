// What an HTTP path of ours takes and gives, for the rooms that answer some. Who may ask is decided before, by the
// server that hands the request on.
import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import type { Failure } from "../failure/failure.ts";

export type Answer = {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
};

/** Answers a POST whose sender has the token; never throws. */
export type AnswerPost = (request: IncomingMessage) => Promise<Answer>;

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: "application/json; charset=utf-8", body: `${JSON.stringify(value)}\n`, headers };
}

/** The body of every refusal: `{error: {code, message}}`. */
export function refusal(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return json(status, { error: { code, message } }, headers);
}

/** Names the field and what is expected; never quotes what was sent. `what`: where there is no field. */
export function invalid(error: z.ZodError, what = "The body", code = "http.invalid-body"): Answer {
  const [issue] = error.issues;
  const where = issue?.path.join(".") ?? "";
  return refusal(400, code, `${where === "" ? what : where}: ${issue?.message ?? "not valid"}.`);
}

/**
 * What the database cannot store or read as a value (SQLSTATE class 22: a NUL in a text, a date that is none), or
 * what a constraint forbids (23), came in with the request: it is the sender's to correct, and no trouble of ours.
 */
export const isRefusedValue = ({ code, facts }: Failure): boolean =>
  code === "database.rejected" && /^2[23]/.test(String(facts.sqlstate));

export const refusedValue = ({ facts, message }: Failure): Answer =>
  refusal(
    400,
    "http.invalid-value",
    // Our functions' own sentence about the request.
    facts.sqlstate === "22023" ? message : "A value of the request cannot be stored or looked for as it is.",
  );

export type JsonBody = { readonly value: unknown } | { readonly refused: Answer };

// A body of the size that is allowed takes no longer over any connection worth having.
const BODY_MS = 10_000;

/** The media type without its parameters, in small letters. */
export const mediaTypeOf = (request: IncomingMessage): string =>
  request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase() ?? "";

/** Throws when the connection breaks. */
export async function readJsonBody(request: IncomingMessage, mostBytes: number): Promise<JsonBody> {
  if (mediaTypeOf(request) !== "application/json")
    return {
      refused: refusal(415, "http.unsupported-type", "Send JSON, with content-type: application/json."),
    };
  const parts: Buffer[] = [];
  let bytes = 0;
  const tooSlow = setTimeout(() => request.destroy(), BODY_MS);
  try {
    // Not left half read by an error: the answer goes out on the same connection, which then ends.
    for await (const part of request.iterator({ destroyOnReturn: false })) {
      bytes += part.length;
      if (bytes > mostBytes)
        return { refused: refusal(413, "http.too-large", `At most ${mostBytes} bytes.`) };
      parts.push(part);
    }
  } finally {
    clearTimeout(tooSlow);
  }
  try {
    return { value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts))) };
  } catch {
    return { refused: refusal(400, "http.invalid-body", "The body is not JSON.") };
  }
}
