import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";
import { tamperWithNotifications } from "./tcp-proxy-notifications.ts";

let server: Server;
let served: Socket[];
let proxy: TcpProxy;
let clients: Socket[];

/** A server that says everything back. */
beforeEach(async () => {
  served = [];
  clients = [];
  server = createServer((socket) => {
    served.push(socket);
    socket.on("error", () => {}).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  proxy = await startTcpProxy({ host: "127.0.0.1", port });
});
afterEach(async () => {
  for (const client of clients) client.destroy();
  await proxy.close();
  for (const socket of served) socket.destroy();
  await new Promise((resolve) => server.close(resolve));
});

const call = async () => {
  const socket = connect(proxy.port, "127.0.0.1");
  clients.push(socket);
  let heard = "";
  const ending: { reason: string | null } = { reason: null };
  socket.setEncoding("utf8").on("data", (text: string) => {
    heard += text;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    ending.reason = error.code ?? "error";
  });
  socket.on("close", () => {
    ending.reason ??= "closed";
  });
  await once(socket, "connect");
  return { socket, heard: () => heard, ending };
};
/** What came back of everything sent before is known when this resolves. */
const hears = (client: { heard: () => string }, text: string) =>
  vi.waitFor(() => expect(client.heard()).toBe(text));

test("bytes pass in both directions, and so does the end", async () => {
  const client = await call();
  client.socket.write("hello");
  await hears(client, "hello");

  client.socket.end();

  await vi.waitFor(() => expect(client.ending.reason).toBe("closed"));
  await vi.waitFor(() => expect(proxy.open()).toBe(0));
});

test("a large answer arrives whole", async () => {
  const client = await call();
  const large = "x".repeat(3_000_000);

  client.socket.write(large);

  await vi.waitFor(() => expect(client.heard().length).toBe(large.length), { timeout: 10_000 });
});

test("a stalled direction holds its bytes back and the other one flows; flow brings them", async () => {
  const client = await call();
  client.socket.write("1");
  await hears(client, "1");
  proxy.stall("up");
  client.socket.write("2");
  served[0]?.write("from the server");
  await hears(client, "1from the server");

  proxy.flow();

  await hears(client, "1from the server2");
  expect(client.ending.reason).toBeNull();
});

test("a stall of the answers lets the request arrive", async () => {
  const client = await call();
  client.socket.write("1");
  await hears(client, "1");
  const arrived = once(served[0] as Socket, "data");
  proxy.stall("down");

  client.socket.write("2");

  expect(String(await arrived)).toBe("2");
  expect(client.heard()).toBe("1");
});

test("a delay holds each piece for at least so long", async () => {
  const client = await call();
  proxy.delay(120, "up", "down");
  const since = performance.now();

  client.socket.write("late");
  await hears(client, "late");

  expect(performance.now() - since).toBeGreaterThanOrEqual(235);
});

test("cut ends both sides politely, reset rudely", async () => {
  const polite = await call();
  polite.socket.write("1");
  await hears(polite, "1");
  expect(proxy.cut()).toBe(1);
  await vi.waitFor(() => expect(polite.ending.reason).toBe("closed"));
  const rude = await call();
  rude.socket.write("1");
  await hears(rude, "1");

  expect(proxy.reset()).toBe(1);

  await vi.waitFor(() => expect(rude.ending.reason).toBe("ECONNRESET"));
  await vi.waitFor(() => expect(served[1]?.destroyed).toBe(true));
});

test("a half-open connection carries nothing, not even its end; a new one is well; heal resets the old one", async () => {
  const old = await call();
  old.socket.write("1");
  await hears(old, "1");
  expect(proxy.halfOpen()).toBe(1);
  old.socket.write("lost");
  served[0]?.end();
  const fresh = await call();
  fresh.socket.write("well");
  await hears(fresh, "well");
  expect(old.heard()).toBe("1");
  expect(old.ending.reason).toBeNull();

  proxy.heal();

  await vi.waitFor(() => expect(old.ending.reason).toBe("ECONNRESET"));
  expect(fresh.ending.reason).toBeNull();
});

test("while it refuses, a new connection ends at once and an old one goes on", async () => {
  const old = await call();
  old.socket.write("1");
  await hears(old, "1");
  proxy.refuse(true);

  const refused = connect(proxy.port, "127.0.0.1");

  const [error] = await new Promise<Error[]>((resolve) => refused.on("error", (thrown) => resolve([thrown])));
  expect(error).toMatchObject({ code: "ECONNRESET" });
  old.socket.write("2");
  await hears(old, "12");
});

const frame = (type: string, body: string) => {
  const bytes = Buffer.alloc(5 + body.length, 0);
  bytes.write(type, 0, "latin1");
  bytes.writeUInt32BE(4 + body.length, 1);
  bytes.write(body, 5, "latin1");
  return bytes;
};

test("notifications are dropped or doubled, other messages pass, however the bytes are cut", () => {
  const stream = Buffer.concat([frame("D", "row"), frame("A", "hint"), frame("Z", "I")]);
  const through = (fate: "pass" | "drop" | "double", piece: number) => {
    const tamper = tamperWithNotifications();
    tamper.set(fate);
    const rewrite = tamper.rewriteDown();
    const told: Buffer[] = [];
    for (let at = 0; at < stream.length; at += piece) told.push(rewrite(stream.subarray(at, at + piece)));
    return { text: Buffer.concat(told), tampered: tamper.tampered() };
  };

  for (const piece of [1, 3, 7, 1000]) {
    expect(through("pass", piece)).toEqual({ text: stream, tampered: 0 });
    expect(through("drop", piece)).toEqual({
      text: Buffer.concat([frame("D", "row"), frame("Z", "I")]),
      tampered: 1,
    });
    expect(through("double", piece).text).toEqual(
      Buffer.concat([frame("D", "row"), frame("A", "hint"), frame("A", "hint"), frame("Z", "I")]),
    );
  }
});
