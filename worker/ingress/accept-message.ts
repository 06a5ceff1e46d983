// A message becomes jobs: the one place for whatever brought it (NATS, JetStream, POST /messages). Every call may be
// repeated: the dedupe key is the message's id and the kind of the job.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import type { EntityData, Group, Message } from "./message.ts";

export type Accepted = {
  readonly group: Group;
  readonly documentId: string | null;
  /** null when nothing had to be done: this text is in the index already. */
  readonly jobId: string | null;
  readonly state: string;
};

const answer = z.object({
  document_id: z.string().nullable(),
  job_id: z.string().nullable(),
  state: z.string(),
});

/** Returns when the job is committed. Throws `ingress.*`, `database.*`. */
export async function acceptMessage(call: SqlCall, group: Group, message: Message): Promise<Accepted> {
  if (message.kind === "sync") return await enqueue(call, group, syncRequest(message));
  const upserted = answer.parse(await call("rag_upsert_entity", { p_request: entityRequest(message) }));
  const documentId = upserted.document_id;
  if (group === "vector_indexing")
    return { group, documentId, jobId: upserted.job_id, state: upserted.state };
  // Whichever group comes first creates the entity: neither waits for the other.
  return await enqueue(call, group, {
    kind: "relationships",
    document_id: documentId,
    dedupe_key: `${message.messageId}:relationships`,
    ...present({ traceparent: message.traceparent }),
  });
}

async function enqueue(call: SqlCall, group: Group, request: Readonly<Record<string, unknown>>) {
  const { document_id, job_id, state } = answer.parse(await call("rag_enqueue", { p_request: request }));
  return { group, documentId: document_id, jobId: job_id, state };
}

function entityRequest({ messageId, at, traceparent, data }: Extract<Message, { kind: "entity" }>) {
  const { entity_type, entity_id, title, content, metadata, tags } = data;
  if (isBlank(content) && isBlank(title))
    throw new Failure("ingress.malformed", { says: "data.content: an entity needs a content or a title." });
  return {
    ...present({ entity_type, entity_id, title, content, metadata, tags, changed_at: at, traceparent }),
    ...ownerOf(data),
    dedupe_key: `${messageId}:document`,
  };
}

function syncRequest({ messageId, traceparent, data }: Extract<Message, { kind: "sync" }>) {
  const { sync_type: type, entity_ids, context } = data;
  const named = (entity_ids ?? []).map((given) => namedBy(given, context?.entity_type ?? null));
  const entities = named.filter((one) => typeof one !== "string");
  const documentIds = named.filter((one) => typeof one === "string");
  return {
    kind: "sync",
    dedupe_key: `${messageId}:sync`,
    sync: {
      type,
      ...(entities.length > 0 && { entities }),
      ...(documentIds.length > 0 && { document_ids: documentIds }),
      ...(context?.repair === true && { repair: true }),
    },
    ...present({ tenant_id: data.tenant_id, traceparent }),
  };
}

type Named = string | { readonly entity_type: string; readonly entity_id: string };

/** A document by its id, or an entity by type and id. Throws `ingress.malformed` for what is neither. */
function namedBy(given: Named, type: string | null): Named {
  if (typeof given !== "string") return given;
  const [, prefix, rest] = /^([a-z][a-z0-9_-]{0,62}):(.+)$/s.exec(given) ?? [];
  if (prefix !== undefined && rest !== undefined) return { entity_type: prefix, entity_id: rest };
  if (type !== null) return { entity_type: type, entity_id: given };
  if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(given)) return given;
  throw new Failure("ingress.malformed", {
    says: "data.entity_ids: write type:id, say context.entity_type, or give whole ids of documents.",
  });
}

/** Senders that know of tenants say it beside the entity or in its metadata. */
function ownerOf({ tenant_id, user_id, metadata }: EntityData) {
  const known = (given: unknown) => (typeof given === "string" && given !== "" ? given : null);
  return present({
    tenant_id: tenant_id ?? known(metadata?.tenant_id),
    user_id: user_id ?? known(metadata?.user_id),
  });
}

const isBlank = (text: string | null | undefined) => text === null || text === undefined || !/\S/.test(text);

function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  );
}
