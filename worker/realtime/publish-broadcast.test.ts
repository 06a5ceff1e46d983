// Events to Supabase Realtime's broadcast endpoint; the server is a stand-in at the network's edge.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { publishToSupabase } from "./publish-broadcast.ts";
import type { Publisher } from "./publisher.ts";

type Sent = { topic: string; event: string; payload: Record<string, unknown>; private: boolean };
let server: Server;
let url: string;
let status = 202;
let requests: { messages: Sent[]; headers: Record<string, unknown>; path: string | undefined }[] = [];
const open: Publisher[] = [];

beforeEach(async () => {
  status = 202;
  requests = [];
  server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    if (status === 202) requests.push({ ...JSON.parse(body), headers: request.headers, path: request.url });
    response.writeHead(status).end();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // SAFETY: it listens on a port.
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  server.close();
});

function publisher() {
  const news = { connected: vi.fn(), failed: vi.fn() };
  const one = publishToSupabase({ url, key: "service-key", again: { firstMs: 1, mostMs: 2 } }, news);
  open.push(one);
  return { one, news };
}
const status1 = (text: string) => ({
  user_id: "ann",
  type: "job.status_updated",
  payload: { job_id: "j", status: text },
});

test("an event goes to its user's and its job's private topic, with the service key", async () => {
  const { one } = publisher();

  one.publish(status1("processing"), "j");

  await vi.waitFor(() => expect(requests).toHaveLength(1));
  expect(requests[0]?.path).toBe("/realtime/v1/api/broadcast");
  expect(requests[0]?.headers).toMatchObject({ apikey: "service-key", authorization: "Bearer service-key" });
  expect(requests[0]?.messages).toEqual(
    ["rag:user:ann", "rag:job:j"].map((topic) => ({
      topic,
      event: "job.status_updated",
      payload: status1("processing"),
      private: true,
    })),
  );
});

test("what is said together travels together", async () => {
  const { one } = publisher();

  for (let event = 0; event < 20; event += 1) one.publish(status1(String(event)), "j");

  await vi.waitFor(() => expect(requests.flatMap(({ messages }) => messages)).toHaveLength(40));
  expect(requests).toHaveLength(1);
});

test.each([
  429, 503, 401,
])("after an answer of %i the events are sent again, in order, when it is over", async (bad) => {
  const { one, news } = publisher();
  status = bad;
  one.publish(status1("processing"), "j");
  await vi.waitFor(() => expect(news.failed).toHaveBeenCalled());
  one.publish(status1("complete"), "j");

  status = 202;

  await vi.waitFor(() => expect(requests.flatMap(({ messages }) => messages)).toHaveLength(4), 5000);
  const told = requests.flatMap(({ messages }) => messages).map(({ payload }) => payload);
  expect(told.map(({ payload }) => (payload as { status: string }).status)).toEqual([
    "processing",
    "processing",
    "complete",
    "complete",
  ]);
});

test("an event that is refused as it is is left out, and the next one goes on", async () => {
  const { one, news } = publisher();
  status = 400;
  one.publish(status1("bad"), "j");
  await vi.waitFor(() => expect(news.failed).toHaveBeenCalledTimes(1));

  status = 202;
  one.publish(status1("good"), "j");

  await vi.waitFor(() => expect(requests).toHaveLength(1));
  expect(JSON.stringify(requests)).not.toContain('"bad"');
});

test("closing sends what waits, and does not wait for a server that is away", async () => {
  const { one } = publisher();
  one.publish(status1("last"), "j");
  await one.close();
  expect(requests).toHaveLength(1);

  server.close();
  server.closeAllConnections();
  const { one: other } = publisher();
  other.publish(status1("lost"), "j");
  await other.close();
});
