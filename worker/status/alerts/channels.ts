// Where alerts go: Slack, Discord, or any address, signed. None of them can hold anything up: each request has ten
// seconds, three tries, and an answer that nobody reads.
import { createHmac, randomUUID } from "node:crypto";
import { networkCode } from "../../failure/network-code.ts";
import { sleep } from "../../timing/durations.ts";

export type Notice = {
  readonly name: string;
  readonly state: "firing" | "resolved" | "test";
  /** Codes, counts and ids; never a title or a text. */
  readonly says: string;
};

export type Message = {
  readonly notices: readonly Notice[];
  /** The dashboard; null where nobody said where it is. */
  readonly link: string | null;
};

export type Channel = {
  readonly name: "slack" | "discord" | "webhook";
  /** Throws NotTaken. */
  send(message: Message): Promise<void>;
};

/** Why a message was not taken (`answered 500`), and what to do about it; neither names the address, which is a key. */
export class NotTaken extends Error {
  override readonly name = "NotTaken";
  readonly advice: string;

  constructor(says: string, advice: string) {
    super(says);
    this.advice = advice;
  }
}

export type ChannelSettings = {
  readonly alertSlackUrl: string | null;
  readonly alertDiscordUrl: string | null;
  readonly alertWebhookUrl: string | null;
  readonly alertWebhookSecret: string | null;
};

const ANSWER_MS = 10_000;
const PAUSES_MS = [1_000, 4_000];
/** For whoever waits for it. */
export const LONGEST_SECONDS =
  PAUSES_MS.reduce((sum, ms) => sum + ms, (PAUSES_MS.length + 1) * ANSWER_MS) / 1000;
// Discord refuses more; whoever has so much to read looks at the dashboard.
const MOST_CHARS = 1_900;

const signs = { firing: "🔴", resolved: "🟢", test: "🔵" } as const;
const words = { firing: "", resolved: "Over: ", test: "Test: " } as const;

export function openChannels(
  settings: ChannelSettings,
  pausesMs: readonly number[] = PAUSES_MS,
): readonly Channel[] {
  const { alertSlackUrl: slack, alertDiscordUrl: discord, alertWebhookUrl: webhook } = settings;
  const channel = (
    name: Channel["name"],
    url: string | null,
    request: (message: Message) => Outgoing,
  ): Channel[] =>
    url === null ? [] : [{ name, send: (message) => deliver(url, request(message), pausesMs) }];
  return [
    ...channel("slack", slack, (message) => plain({ text: escapeSlack(textOf(message)) })),
    ...channel("discord", discord, (message) =>
      // Nobody is called by a name that stands in a message.
      plain({ content: textOf(message), allowed_mentions: { parse: [] } }),
    ),
    ...channel("webhook", webhook, (message) => signed(message, settings.alertWebhookSecret)),
  ];
}

function textOf({ notices, link }: Message): string {
  const lines = notices.map(({ state, says, name }) => `${signs[state]} ${words[state]}${says} [${name}]`);
  return [...lines, ...(link === null ? [] : [link])].join("\n").slice(0, MOST_CHARS);
}

// https://docs.slack.dev/messaging/formatting-message-text#escaping
const escapeSlack = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

type Outgoing = { readonly body: string; readonly headers: Readonly<Record<string, string>> };

const plain = (body: unknown): Outgoing => ({ body: JSON.stringify(body), headers: {} });

/** By the Standard Webhooks specification (standardwebhooks.com): HMAC-SHA256 over id, time and body. */
function signed({ notices, link }: Message, secret: string | null): Outgoing {
  const id = `msg_${randomUUID()}`;
  const timestamp = String(Math.floor(Date.now() / 1000));
  const body = JSON.stringify({
    type: "rag.alerts",
    timestamp: new Date().toISOString(),
    data: { alerts: notices, link },
  });
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp };
  if (secret === null) return { body, headers };
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { body, headers: { ...headers, "webhook-signature": `v1,${signature}` } };
}

async function deliver(url: string, { body, headers }: Outgoing, pausesMs: readonly number[]): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const refused = await post(url, body, headers);
    if (refused === null) return;
    const pauseMs = pausesMs[attempt];
    if (pauseMs === undefined || !refused.mayPass) throw new NotTaken(refused.says, refused.advice);
    await sleep(pauseMs);
  }
}

type Refused = { readonly says: string; readonly advice: string; readonly mayPass: boolean };

/** null: taken. */
async function post(
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Refused | null> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "user-agent": "rag-ingestion-worker", ...headers },
      body,
      // What we were told to call is what we call.
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await response.body?.cancel();
    return response.ok ? null : refusedBy(response.status);
  } catch (thrown) {
    return notReached(thrown);
  }
}

function refusedBy(status: number): Refused {
  if (status >= 500)
    return {
      says: `answered ${status}`,
      advice: "It was reached and failed by itself: try again later, or look into its log.",
      mayPass: true,
    };
  if (status === 429)
    return { says: "answered 429", advice: "It is asked too often: try again in a minute.", mayPass: true };
  const advice =
    status < 400
      ? "It leads elsewhere: set the address that it leads to."
      : "Check its address: it may be mistyped, or revoked.";
  return { says: `refused with ${status}`, advice, mayPass: false };
}

// Only the code is repeated: what else the error says may quote the address, and the address is the key.
function notReached(thrown: unknown): Refused {
  if (thrown instanceof Error && thrown.name === "TimeoutError")
    return {
      says: `did not answer within ${ANSWER_MS / 1000} s`,
      advice: "Check its address, and whether this machine may reach it.",
      mayPass: true,
    };
  const code = networkCode(thrown);
  const advice = networkAdvice[code] ?? "Check its address, and whether this machine may reach it.";
  return { says: `could not be reached${code === "network" ? "" : ` (${code})`}`, advice, mayPass: true };
}

const networkAdvice: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Nothing listens there: start the receiver, or correct host and port.",
  ENOTFOUND: "There is no such host: correct the name in its address.",
  EAI_AGAIN: "Its name cannot be looked up from here: check this machine's DNS.",
};
