// What a message from outside must look like, read once at the border. Nothing of it is believed further than its
// schema goes: ids become values, never parts of a statement.
import { z } from "zod";
import { sanitise, sanitiseJson } from "../document/sanitise.ts";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";

/** Who shares the work on a subject: NATS gives each message to one member of a queue group. */
export const groups = {
  vector_indexing: ["vector.index.request", "mcp.*.created", "mcp.*.updated"],
  relationship_analysis: ["relationship.analyze.request", "mcp.*.created", "mcp.*.updated"],
  data_sync: ["data.sync.request", "data.validate.request"],
} as const;

export type Group = keyof typeof groups;
export const groupNames = Object.keys(groups) as readonly Group[]; // SAFETY: the keys of the constant above.

/** Every subject that is listened to, once. */
export const subjects: readonly string[] = [...new Set(Object.values(groups).flat())];

/** The groups that a message on this subject is for; none when nobody listens to it. */
export const groupsOf = (subject: string): readonly Group[] =>
  groupNames.filter((group) => groups[group].some((pattern) => matches(pattern, subject)));

function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split(".");
  const given = subject.split(".");
  return (
    wanted.length === given.length &&
    wanted.every((word, place) => (word === "*" ? given[place] !== "" : word === given[place]))
  );
}

/** A broker's own limit is 1 MiB by default; what is larger was never meant to travel in a message. */
export const MOST_MESSAGE_BYTES = 1024 * 1024;
// As many as one sync may name.
const MOST_ENTITIES = 1000;

const text = (most: number) => z.string().min(1).max(most).transform(sanitise);
const id = z.union([text(500), z.number().transform(String)]);
const loose = z.record(z.string(), z.unknown());
// SAFETY: a record stays one.
const clean = loose.transform((given) => sanitiseJson(given) as Record<string, unknown>);

// As rag_upsert_entity takes it.
const entityType = z.string().regex(/^[a-z][a-z0-9_-]{0,62}$/);

const entity = z.object({
  entity_id: id,
  entity_type: entityType,
  title: z.string().max(2000).transform(sanitise).nullish(),
  content: z.string().transform(sanitise).nullish(),
  metadata: clean.nullish(),
  context: z
    .unknown()
    .transform((given) => sanitiseJson(given))
    .optional(),
  tenant_id: id.nullish(),
  user_id: id.nullish(),
  tags: z.array(text(200)).max(100).nullish(),
});
const sync = z.object({
  sync_type: z.enum(["incremental_sync", "full_sync", "conflict_resolution", "data_validation"]),
  // A plain id is a document's, or of the type that the context names; `task:42` says its type itself.
  entity_ids: z
    .array(z.union([id, z.object({ entity_type: entityType, entity_id: id })]))
    .max(MOST_ENTITIES)
    .nullish(),
  context: z.looseObject({ entity_type: entityType.nullish(), repair: z.boolean().nullish() }).nullish(),
  tenant_id: id.nullish(),
});

const envelope = z.object({
  message_id: z.union([text(200), z.number().transform(String)]),
  timestamp: z.union([z.string().max(64), z.number()]).nullish(),
  source: z.string().max(200).nullish(),
  // What is none is as good as absent (rag_enqueue): no trace is worth a message.
  traceparent: z.string().max(100).nullish().catch(null),
  data: loose,
});

export type EntityData = z.infer<typeof entity>;
export type SyncData = z.infer<typeof sync>;
export type Message = {
  readonly messageId: string;
  /** When its sender says that it happened, as ISO 8601; null where no time could be read. */
  readonly at: string | null;
  /** The span of its sender (W3C Trace Context), where it says one. */
  readonly traceparent: string | null;
} & (
  | { readonly kind: "entity"; readonly data: EntityData }
  | { readonly kind: "sync"; readonly data: SyncData }
);

/** Throws `ingress.malformed`, `ingress.too-large` or `ingress.unknown-subject`; never quotes what was sent. */
export function readMessage(subject: string, bytes: Uint8Array): Message {
  if (bytes.byteLength > MOST_MESSAGE_BYTES)
    throw refused("ingress.too-large", `${bytes.byteLength} bytes; at most ${MOST_MESSAGE_BYTES}.`);
  return readEnvelope(subject, parseJson(bytes));
}

/** As `readMessage`, for what is an object already. */
export function readEnvelope(subject: string, value: unknown): Message {
  const [group] = groupsOf(subject);
  if (group === undefined) throw refused("ingress.unknown-subject", "Nobody listens to this subject.");
  const read = checked(envelope, value, "");
  const shared = {
    messageId: read.message_id,
    at: timeOf(read.timestamp),
    traceparent: read.traceparent ?? null,
  };
  if (group === "data_sync") {
    const given = subject === "data.validate.request" ? { sync_type: "data_validation" } : {};
    return { ...shared, kind: "sync", data: checked(sync, { ...given, ...read.data }, "data") };
  }
  // mcp.task.created says what it is about in its subject too.
  const named = subject.startsWith("mcp.") ? { entity_type: subject.split(".")[1] } : {};
  return { ...shared, kind: "entity", data: checked(entity, { ...named, ...read.data }, "data") };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw refused("ingress.malformed", "It is not JSON.");
  }
}

function checked<Value>(schema: z.ZodType<Value>, value: unknown, below: string): Value {
  const read = schema.safeParse(value);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const where = [below, ...(issue?.path ?? [])].filter((step) => step !== "").join(".");
  throw refused(
    "ingress.malformed",
    `${where === "" ? "The message" : where}: ${issue?.message ?? "not valid"}.`,
  );
}

function timeOf(timestamp: string | number | null | undefined): string | null {
  if (timestamp === null || timestamp === undefined) return null;
  const at = new Date(timestamp);
  const year = at.getUTCFullYear();
  // A sender's broken clock must not put news before or after everything for ever.
  return year >= 2000 && year < 2200 ? at.toISOString() : null;
}

const refused = (code: FailureCode, says: string) => new Failure(code, { says });
