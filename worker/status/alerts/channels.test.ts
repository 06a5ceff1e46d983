import { createHmac } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { startWebhook } from "../../tests/stand-ins/webhook.ts";
import { type ChannelSettings, type Message, openChannels } from "./channels.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const nowhere: ChannelSettings = {
  alertSlackUrl: null,
  alertDiscordUrl: null,
  alertWebhookUrl: null,
  alertWebhookSecret: null,
};
const message: Message = {
  notices: [
    { name: "failed-jobs", state: "firing", says: "2 jobs failed: <b> & @everyone (2)." },
    { name: "provider", state: "resolved", says: "openai is away." },
  ],
  link: "https://rag.example.com/",
};

async function open(answer?: (number: number) => number | "hang") {
  const webhook = await startWebhook(answer);
  closers.push(webhook.close);
  return webhook;
}

test("nowhere set, nowhere sent", () => {
  expect(openChannels(nowhere)).toEqual([]);
});

test("Slack gets one text for all notices, in which nothing is markup, with the link", async () => {
  const { url, received } = await open();

  await openChannels({ ...nowhere, alertSlackUrl: `${url}/services/T0/B0/key` })[0]?.send(message);

  expect(received).toHaveLength(1);
  expect(received[0]?.path).toBe("/services/T0/B0/key");
  const { text } = JSON.parse(received[0]?.body ?? "");
  expect(text).toContain("2 jobs failed: &lt;b&gt; &amp; @everyone (2).");
  expect(text).toContain("Over: openai is away.");
  expect(text).toContain("https://rag.example.com/");
});

test("Discord calls nobody by name, and gets no more than it takes", async () => {
  const { url, received } = await open();
  const long = { ...message, notices: [{ name: "x", state: "firing" as const, says: "y".repeat(5000) }] };

  await openChannels({ ...nowhere, alertDiscordUrl: url })[0]?.send(long);

  const body = JSON.parse(received[0]?.body ?? "");
  expect(body.allowed_mentions).toEqual({ parse: [] });
  expect(body.content.length).toBeLessThan(2000);
});

test.each([
  ["a text", "canary-secret", Buffer.from("canary-secret")],
  ["whsec_ and base64", `whsec_${Buffer.from("bytes").toString("base64")}`, Buffer.from("bytes")],
])("the webhook is signed with id and time, the key being %s", async (_what, secret, key) => {
  const { url, received } = await open();

  await openChannels({ ...nowhere, alertWebhookUrl: url, alertWebhookSecret: secret })[0]?.send(message);

  const headers = received[0]?.headers ?? {};
  const body = received[0]?.body ?? "";
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  expect(headers["webhook-signature"]).toBe(
    `v1,${createHmac("sha256", key).update(signed).digest("base64")}`,
  );
  expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(60);
  expect(JSON.parse(body)).toMatchObject({
    type: "rag.alerts",
    data: { alerts: message.notices, link: message.link },
  });
  expect(body + JSON.stringify(headers)).not.toContain(secret);
});

test("an answer of 500 or 429 is tried again, and then taken", async () => {
  const { url, received } = await open((number) => [500, 429, 200][number] ?? 200);

  await openChannels({ ...nowhere, alertWebhookUrl: url }, [1, 1])[0]?.send(message);

  expect(received).toHaveLength(3);
});

test("an answer of 500 for ever ends after three tries, with a sentence without the address", async () => {
  const { url, received } = await open(() => 500);

  await expect(
    openChannels({ ...nowhere, alertSlackUrl: `${url}/canary` }, [1, 1])[0]?.send(message),
  ).rejects.toMatchObject({ message: "answered 500", advice: expect.stringContaining("failed by itself") });
  expect(received).toHaveLength(3);
});

test.each([404, 302])("%i is not tried again, and a redirect is not followed", async (status) => {
  const { url, received } = await open(() => status);

  await expect(openChannels({ ...nowhere, alertSlackUrl: url }, [1, 1])[0]?.send(message)).rejects.toThrow(
    `refused with ${status}`,
  );
  expect(received).toHaveLength(1);
});

test("an address that hangs is given up", async () => {
  const { url } = await open(() => "hang");

  await expect(openChannels({ ...nowhere, alertSlackUrl: url }, [])[0]?.send(message)).rejects.toThrow(
    "did not answer within 10 s",
  );
}, 40_000);

test("an address where nothing listens is told at once, as that and without the address", async () => {
  const { url, close } = await startWebhook();
  await close();

  await expect(
    openChannels({ ...nowhere, alertSlackUrl: `${url}/canary` }, [])[0]?.send(message),
  ).rejects.toMatchObject({
    message: "could not be reached (ECONNREFUSED)",
    advice: expect.stringContaining("Nothing listens there"),
  });
});
