// What the owner of the embedded database and its clients say to each other: one JSON object a line.
import type { Socket } from "node:net";
import { z } from "zod";
import { catalogue, type FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";

/** First line of a client: the word from the owner's lock file, which only the same user can read. */
export const Hello = z.object({ word: z.string() });

export const Request = z.union([
  z.object({ id: z.number(), fn: z.string(), args: z.record(z.string(), z.unknown()) }),
  z.object({ id: z.number(), sql: z.string(), parameters: z.array(z.unknown()) }),
  z.object({ id: z.number(), script: z.string() }),
]);
export type Request = z.infer<typeof Request>;

const WireFailure = z.object({
  code: z.string().refine((code): code is FailureCode => code in catalogue),
  message: z.string(),
  facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

/** `id` 0 greets. */
export const Reply = z.union([
  z.object({ id: z.number(), failure: WireFailure }),
  z.object({ id: z.number(), answer: z.unknown() }),
]);
export type Reply = z.infer<typeof Reply>;

export function failureToWire(failure: Failure): z.input<typeof WireFailure> {
  return { code: failure.code, message: failure.message, facts: JSON.parse(JSON.stringify(failure.facts)) };
}

export const failureFromWire = ({ code, message, facts }: z.output<typeof WireFailure>): Failure =>
  new Failure(code, { says: message, facts });

/** Far above any batch that is written; whoever sends more is not one of us. */
const MOST_BYTES = 256 * 1024 * 1024;
const NEW_LINE = 10;

export function sendLine(socket: Socket, message: unknown): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(message)}\n`);
}

/** Hands each line to `receive`, in order. A line that is no JSON, or that `receive` throws on, ends the connection. */
export function readLines(socket: Socket, receive: (message: unknown) => void): void {
  let parts: Buffer[] = [];
  let bytes = 0;
  socket.on("data", (data: Buffer) => {
    let rest = data;
    try {
      for (let end = rest.indexOf(NEW_LINE); end >= 0; end = rest.indexOf(NEW_LINE)) {
        const line = Buffer.concat([...parts, rest.subarray(0, end)]).toString("utf8");
        parts = [];
        bytes = 0;
        rest = rest.subarray(end + 1);
        receive(JSON.parse(line));
      }
      if (rest.length > 0) parts.push(rest);
      bytes += rest.length;
      if (bytes > MOST_BYTES) throw new RangeError("line too long");
    } catch (thrown) {
      socket.destroy(thrown as Error); // SAFETY: only Errors are thrown above.
    }
  });
}
