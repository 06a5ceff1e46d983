// What becomes of one delivered message: a job, a dead letter, or another try. It is acknowledged only when the
// database has committed the one or the other.
import { createHash } from "node:crypto";
import type { Activity } from "../activity/activity.ts";
import { sanitise } from "../document/sanitise.ts";
import type { SqlCall } from "../document/sql-call.ts";
import type { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { acceptMessage } from "./accept-message.ts";
import { type Group, type Message, readMessage } from "./message.ts";

export type Delivery = {
  readonly way: "nats" | "jetstream";
  readonly group: Group;
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** 1 for the first time. */
  readonly times: number;
};

/** `retry`: not now; deliver it again. */
export type Taken =
  | { readonly state: "accepted"; readonly jobId: string | null; readonly documentId: string | null }
  | { readonly state: "buried"; readonly letter: Letter }
  | { readonly state: "retry"; readonly failure: Failure };

export type Letter = {
  readonly id: string;
  readonly subject: string;
  readonly messageId: string | null;
  readonly code: string;
};

export type Taker = {
  readonly call: SqlCall;
  readonly activity: Activity;
};

/** What nobody expected is tried so often before it counts as the message's own fault. */
const MOST_DEFECTS = 5;
const LETTER_CHARS = 65_536;

/** Never throws. */
export async function takeMessage(taker: Taker, delivery: Delivery): Promise<Taken> {
  let message: Message | null = null;
  try {
    message = readMessage(delivery.subject, delivery.bytes);
    const { jobId, documentId, state } = await acceptMessage(taker.call, delivery.group, message);
    taker.activity.say("message.accepted", { way: delivery.way, group: delivery.group, state, jobId });
    return { state: "accepted", jobId, documentId };
  } catch (thrown) {
    const failure = failureFromUnknown(thrown);
    if (!isPoison(failure, delivery.times)) return { state: "retry", failure };
    return await bury(taker, delivery, message, failure).catch((again: unknown): Taken => {
      // Without a database there is no letter either: the message stays where it is.
      return { state: "retry", failure: failureFromUnknown(again) };
    });
  }
}

/** The database's own refusal is about the request; so is ours. Everything else may pass. */
function isPoison(failure: Failure, times: number): boolean {
  if (failure.code.startsWith("ingress.")) return true;
  if (failure.code === "database.rejected")
    return REFUSALS.has(String(failure.facts.sqlstate)) || times >= MOST_DEFECTS;
  return failure.kind === "defect" && times >= MOST_DEFECTS;
}

// Our functions' own sentence, no such document, text or numbers that no column takes, a check.
const REFUSALS = new Set(["22023", "P0002", "22P02", "22P05", "22003", "23514"]);

async function bury(
  taker: Taker,
  delivery: Delivery,
  message: Message | null,
  failure: Failure,
): Promise<Taken> {
  const { subject, way, bytes } = delivery;
  const code = failure.code.startsWith("ingress.") ? failure.code : "ingress.refused";
  const messageId = message?.messageId ?? null;
  const { id } = (await taker.call("rag_bury_message", {
    p_letter: {
      way,
      subject,
      message_id: messageId,
      ...(message !== null && { tenant_id: message.data.tenant_id, user_id: userOf(message) }),
      code,
      detail: sanitise(failure.message),
      payload: sanitise(new TextDecoder().decode(bytes.subarray(0, LETTER_CHARS))),
      payload_bytes: bytes.byteLength,
      payload_sha256: createHash("sha256").update(bytes).digest("hex"),
    },
  })) as { id: string };
  taker.activity.say("message.buried", { way, group: delivery.group, code, letterId: id });
  return { state: "buried", letter: { id, subject, messageId, code } };
}

const userOf = (message: Message) => (message.kind === "entity" ? message.data.user_id : null);
