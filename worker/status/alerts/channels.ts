// Where alerts go: Slack, Discord, or any address, signed. None of them can hold anything up: each request has ten
// seconds, three tries, and an answer that nobody reads.
import { createHmac, randomUUID } from "node:crypto";
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
  /** Throws a sentence, without the address, when it was not taken. */
  send(message: Message): Promise<void>;
};

export type ChannelSettings = {
  readonly alertSlackUrl: string | null;
  readonly alertDiscordUrl: string | null;
  readonly alertWebhookUrl: string | null;
  readonly alertWebhookSecret: string | null;
};

const ANSWER_MS = 10_000;
const PAUSES_MS = [1_000, 4_000];
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
    const answer = await post(url, body, headers);
    if (answer === "taken") return;
    const pauseMs = pausesMs[attempt];
    if (pauseMs === undefined || answer === "refused (for good)") throw new Error(answer);
    await sleep(pauseMs);
  }
}

async function post(url: string, body: string, headers: Readonly<Record<string, string>>): Promise<string> {
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
    if (response.ok) return "taken";
    return response.status === 429 || response.status >= 500
      ? `answered ${response.status}`
      : "refused (for good)";
  } catch {
    // The reason may quote the address, and the address is the key.
    return "could not be reached in time";
  }
}
