// What a child says. It has read a stranger's file, so each of its messages is checked here before anything believes it.
// A file of its own: a child checks nothing, and would load the checker at each of its starts.
import { z } from "zod";
import { catalogue, type FailureCode } from "../../failure/catalogue.ts";
import { MOST_ITEMS } from "./child-protocol.ts";

const segment = z.object({
  seq: z.int().positive(),
  content: z.string().min(1),
  pageNumber: z.int().positive().nullable(),
  section: z.string().nullable(),
  speaker: z.string().nullable(),
  startedMs: z.int().nonnegative().nullable(),
  endedMs: z.int().nonnegative().nullable(),
});

const extraction = z.object({
  mediaType: z.string(),
  pages: z.int().nonnegative().nullable(),
  title: z.string().nullable(),
  decisions: z.array(z.string()),
});

const item = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("segment"), segment }),
  z.object({ kind: z.literal("extraction"), extraction }),
  z.object({ kind: z.literal("progress"), page: z.int(), pages: z.int() }),
]);

const failureCode = z.custom<FailureCode>(
  (code) => typeof code === "string" && Object.hasOwn(catalogue, code),
);

const fromChild = z.discriminatedUnion("type", [
  /** It has loaded its code. A child that ends before it says so did not meet a file yet. */
  z.object({ type: z.literal("ready") }),
  z.object({ type: z.literal("items"), items: z.array(item).max(MOST_ITEMS) }),
  /** The last items. The resident memory tells whether the child is worth keeping. */
  z.object({ type: z.literal("done"), items: z.array(item).max(MOST_ITEMS), rssBytes: z.number() }),
  z.object({
    type: z.literal("failed"),
    code: failureCode,
    /** A sentence that says more than the catalogue's; not a word of it comes from the file. */
    says: z.string().max(300).optional(),
    facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  }),
]);

export type FromChild = z.infer<typeof fromChild>;

/** Throws a ZodError for anything but a message of ours. */
export function decodeFromChild(message: unknown): FromChild {
  return fromChild.parse(message);
}
