// The gateway over real sockets, fed by a real Redis that goes away and comes back.
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { createClient } from "@redis/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { openActivity } from "../activity/activity.ts";
import { describeWith } from "../tests/services.ts";
import { ownServer } from "../wake-buses/testing/own-server.ts";
import { feedFromHere, feedFromRedis, type Heard } from "./event-feed.ts";
import { type Gateway, openGateway } from "./gateway.ts";
import { openRealtime } from "./open-realtime.ts";
import { CLOSE } from "./socket.ts";
import { SECRET, signIn } from "./testing/sign-in.ts";
import { openVerifyUser } from "./verify-user.ts";

const QUICK = { connectMs: 2000, probeMs: 100, answerMs: 500, againMs: () => 30 };
const PATIENCE = { timeout: 15_000, interval: 20 };
vi.setConfig({ testTimeout: 60_000 });

let server: Server;
let gateway: Gateway;
let url: string;
let hear: Heard;
const dropped: string[] = [];
const activity = openActivity();
activity.listen((name, facts) => {
  if (name === "gateway.dropped" && "why" in facts) dropped.push(String(facts.why));
});
const sockets: WebSocket[] = [];

async function serve(openFeed: Parameters<typeof openGateway>[0]["openFeed"], pingMs = 30_000) {
  gateway = openGateway({
    verify: openVerifyUser({ secret: SECRET, url: null }),
    activity,
    openFeed,
    times: { pingMs },
  });
  server = createServer((_, response) => response.end());
  server.on("upgrade", gateway.upgrade);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws`; // SAFETY: it listens on a port.
}
const local = (heard: Heard) => {
  hear = heard;
  return feedFromHere(() => () => {}, heard);
};

beforeEach(() => {
  dropped.length = 0;
});
afterEach(async () => {
  for (const one of sockets.splice(0)) one.terminate();
  await gateway?.close();
  server?.close();
});

type Client = { socket: WebSocket; heard: Record<string, unknown>[]; closed: Promise<[number, string]> };

function client(protocols: readonly string[], address = url): Client {
  const socket = new WebSocket(address, [...protocols]);
  sockets.push(socket);
  const heard: Record<string, unknown>[] = [];
  socket.on("message", (data) => heard.push(JSON.parse(String(data)) as Record<string, unknown>));
  socket.on("error", () => {});
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once("close", (code, reason) => resolve([code, String(reason)])),
  );
  return { socket, heard, closed };
}
async function signedIn(user: string, seconds?: number): Promise<Client> {
  const one = client(["bearer", await signIn(user, seconds)]);
  await vi.waitFor(() => expect(one.heard[0]).toMatchObject({ type: "gateway.ready" }), PATIENCE);
  return one;
}
async function statusOf(
  protocols: readonly string[],
  address = url,
): Promise<{ status: number; body: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number; body: string }>();
  const socket = new WebSocket(address, [...protocols]);
  sockets.push(socket);
  socket.on("error", () => {});
  socket.on("open", () => resolve({ status: 101, body: "" }));
  socket.on("unexpected-response", (_, response: IncomingMessage) => {
    let body = "";
    response.on("data", (part) => {
      body += part;
    });
    response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
  });
  return await promise;
}
const event = (user_id: string, type = "job.progress", payload: object = { job_id: "j" }) =>
  JSON.stringify({ user_id, type, payload });
const types = ({ heard }: Client) => heard.map(({ type }) => type);

test("every tab of a user hears his events and none of another's", async () => {
  await serve(local);
  const [ann, annToo, ben] = [await signedIn("ann"), await signedIn("ann"), await signedIn("ben")];

  hear.event("ann", event("ann"));
  hear.event("ben", event("ben", "job.status_updated"));

  await vi.waitFor(() => expect(types(ben)).toContain("job.status_updated"), PATIENCE);
  for (const tab of [ann, annToo]) expect(types(tab)).toEqual(["gateway.ready", "job.progress"]);
  expect(types(ben)).toEqual(["gateway.ready", "job.status_updated"]);
  expect(ann.socket.protocol).toBe("bearer");
});

test("users whose ids are SQL, a pattern or a prototype hear their own alone", async () => {
  await serve(local);
  const ids = ["' or true; --", "%", "*", "__proto__", "ann:ben"];
  const clients = await Promise.all(ids.map((id) => signedIn(id)));

  hear.event("%", event("%"));

  await vi.waitFor(() => expect(types(clients[1] as Client)).toContain("job.progress"), PATIENCE);
  expect(clients.map((one) => one.heard.length)).toEqual([1, 2, 1, 1, 1]);
});

test("a token in the address is as good, where a client can set no header", async () => {
  await serve(local);
  const one = client([], `${url}?access_token=${await signIn("ann")}`);

  await vi.waitFor(() => expect(types(one)).toEqual(["gateway.ready"]), PATIENCE);
});

test.each([
  ["no token", async () => []],
  ["an expired one", async () => ["bearer", await signIn("ann", -60)]],
  ["nonsense", async () => ["bearer", "abc"]],
  ["another scheme", async () => ["basic", await signIn("ann")]],
])("with %s nobody gets in, and is told so by a code", async (_, protocols) => {
  await serve(local);

  const { status, body } = await statusOf(await protocols());

  expect(status).toBe(401);
  expect(JSON.parse(body)).toMatchObject({ error: { code: "gateway.unauthorised" } });
  expect(gateway.figures()).toMatchObject({ sockets: 0, refused: 1 });
});

test("another path is not served", async () => {
  await serve(local);
  expect((await statusOf(["bearer", await signIn("ann")], url.replace("/ws", "/other"))).status).toBe(404);
});

test("a socket ends with its token, unless a new one of the same user came", async () => {
  await serve(local);
  const [short, renewed, other] = [await signedIn("ann", 2), await signedIn("ann", 2), await signedIn("ben")];

  renewed.socket.send(JSON.stringify({ type: "auth", access_token: await signIn("ann") }));
  other.socket.send(JSON.stringify({ type: "auth", access_token: await signIn("ann") }));

  expect(await other.closed).toEqual([CLOSE.policy, "token of another user"]);
  expect(await short.closed).toEqual([CLOSE.tokenExpired, "token expired"]);
  hear.event("ann", event("ann"));
  await vi.waitFor(() => expect(types(renewed)).toContain("job.progress"), PATIENCE);
});

test.each([
  ["something unknown", JSON.stringify({ type: "subscribe", user: "ben" }), CLOSE.policy],
  ["no JSON", "hello", CLOSE.policy],
  ["far too much", "x".repeat(100_000), 1009],
])("who says %s is dropped", async (_, said, code) => {
  await serve(local);
  const one = await signedIn("ann");

  one.socket.send(said);

  expect((await one.closed)[0]).toBe(code);
  await vi.waitFor(() => expect(gateway.figures().sockets).toBe(0));
});

test("who does not read is dropped with a reason, and others hear on", async () => {
  await serve(local);
  const [slow, quick] = [await signedIn("ann"), await signedIn("ben")];
  slow.socket.pause();
  const text = event("ann", "message.created", { text: "x".repeat(30_000) });

  for (let sent = 0; sent < 2000 && dropped.length === 0; sent += 1) {
    hear.event("ann", text);
    await new Promise((resolve) => setImmediate(resolve));
  }
  hear.event("ben", event("ben"));

  expect(dropped).toEqual(["too slow"]);
  await vi.waitFor(() => expect(types(quick)).toContain("job.progress"), PATIENCE);
  await vi.waitFor(() => expect(gateway.figures().sockets).toBe(1), PATIENCE);
});

test("a client that is gone without a word is found by its silence", async () => {
  await serve(local, 50);
  const token = await signIn("ann");
  const { hostname, port } = new URL(url);
  const silent = connectTcp({ host: hostname, port: Number(port) });
  silent.on("error", () => {});
  silent.write(
    `GET /ws HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n` +
      `sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-protocol: bearer, ${token}\r\n\r\n`,
  );
  const attentive = await signedIn("ben");

  await vi.waitFor(() => expect(dropped).toContain("no answer"), PATIENCE);

  expect(attentive.socket.readyState).toBe(WebSocket.OPEN);
  silent.destroy();
});

test("fifty sockets of one user are enough", async () => {
  await serve(local);
  await Promise.all(Array.from({ length: 50 }, () => signedIn("ann")));

  const one = client(["bearer", await signIn("ann")]);

  expect(await one.closed).toEqual([CLOSE.policy, "too many connections"]);
  await signedIn("ben");
});

test("a gateway that stops tells its clients", async () => {
  await serve(local);
  const one = await signedIn("ann");

  await gateway.close();

  expect(await one.closed).toEqual([CLOSE.stopping, "the gateway stops"]);
});

test("inside a worker without Redis its own jobs are heard", async () => {
  const config = { realtime: "auto", redisUrl: null, supabaseUrl: null, supabaseKey: null } as const;
  const said = openActivity();
  const realtime = openRealtime(config, said);
  await serve((heard) => feedFromHere(realtime.listen, heard));
  const ann = await signedIn("ann");

  said.say("job.claimed", {
    ...{ jobId: "j", documentId: "d", kind: "document", attempt: 1, documentKind: "file", title: null },
    version: null,
    userId: "ann",
  });

  await vi.waitFor(() => expect(types(ann)).toContain("job.status_updated"), PATIENCE);
  await realtime.close();
});

describeWith("redis", "a gateway on Redis", () => {
  const redisServer = () =>
    ownServer("redis-server", (port) => ["--bind", "127.0.0.1", "--port", String(port), "--save", ""]);
  const news = () => ({ connected: vi.fn(), failed: vi.fn() });
  const serveFrom = (port: number) =>
    serve((heard) => feedFromRedis(`redis://127.0.0.1:${port}`, heard, news(), QUICK));
  const untilLive = () => vi.waitFor(() => expect(gateway.figures().feed_state).toBe("live"), PATIENCE);

  async function publish(port: number, ...texts: string[]): Promise<void> {
    const sender = createClient({ url: `redis://127.0.0.1:${port}` });
    sender.on("error", () => {});
    await sender.connect();
    for (const text of texts) await sender.publish("rag_realtime", text);
    sender.destroy();
  }

  test("foreign types are forwarded to the letter, and what is no event is counted", async () => {
    await using redis = await redisServer();
    await serveFrom(redis.port);
    await untilLive();
    const raw: string[] = [];
    const one = await signedIn("7");
    one.socket.on("message", (data) => raw.push(String(data)));
    const foreign = '{ "user_id": 7, "type":"message.created", "payload": {"a": [1,2]}, "extra": true }';

    await publish(redis.port, "{", "[]", "null", '{"user_id":"7"}', "x".repeat(70_000), foreign);

    await vi.waitFor(() => expect(raw).toEqual([foreign]), PATIENCE);
    expect(gateway.figures()).toMatchObject({ malformed: 5, forwarded: 1 });
  });

  test("clients are told when Redis is away and when it is back, and to catch up", async () => {
    await using redis = await redisServer();
    await serveFrom(redis.port);
    await untilLive();
    const ann = await signedIn("ann");

    await redis.kill();
    await vi.waitFor(() => expect(types(ann)).toContain("gateway.degraded"), PATIENCE);
    const late = await signedIn("ann");
    await redis.start();

    await vi.waitFor(() => expect(types(late)).toContain("gateway.resumed"), PATIENCE);
    expect(late.heard[0]).toMatchObject({ payload: { state: "away", catch_up: true } });
    expect(ann.heard.at(-1)).toEqual({ type: "gateway.resumed", payload: { state: "live", catch_up: true } });
    await publish(redis.port, event("ann"));
    await vi.waitFor(() => expect(types(ann)).toContain("job.progress"), PATIENCE);
  });

  test("what a worker tells goes through Redis, also after it was away, and the end of a job is told", async () => {
    await using redis = await redisServer();
    const redisUrl = `redis://127.0.0.1:${redis.port}`;
    const said = openActivity();
    const config = { realtime: "redis", redisUrl, supabaseUrl: null, supabaseKey: null } as const;
    const realtime = openRealtime(config, said, QUICK);
    await serveFrom(redis.port);
    await untilLive();
    const ann = await signedIn("ann");
    const job = { jobId: "j", documentId: "d" };
    said.say("job.claimed", {
      ...{ ...job, kind: "document", attempt: 1, documentKind: "file", title: null, version: null },
      userId: "ann",
    });
    await vi.waitFor(() => expect(types(ann)).toContain("job.status_updated"), PATIENCE);

    await redis.kill();
    await vi.waitFor(() => expect(types(ann)).toContain("gateway.degraded"), PATIENCE);
    said.say("job.failed", { jobId: "j", documentId: "d", code: "extract.empty", detail: "x", attempt: 1 });
    await redis.start();

    // Told once Redis is back; a gateway that comes back later has told its clients to catch up.
    await vi.waitFor(() => expect(types(ann)).toContain("gateway.resumed"), PATIENCE);
    said.say("job.claimed", {
      ...{ jobId: "k", documentId: "d", kind: "document", attempt: 1, documentKind: "file", title: null },
      version: null,
      userId: "ann",
    });
    said.say("job.failed", { jobId: "k", documentId: "d", code: "extract.empty", detail: "x", attempt: 1 });
    await vi.waitFor(
      () =>
        expect(ann.heard.at(-1)?.payload).toMatchObject({
          job_id: "k",
          status: "failed",
          error_code: "extract.empty",
        }),
      PATIENCE,
    );
    await realtime.close();
  });
});
