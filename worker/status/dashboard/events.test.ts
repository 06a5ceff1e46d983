import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { SqlCall } from "../../document/sql-call.ts";
import { closeLater, closeWorlds, openWorld } from "../testing/open-world.ts";
import { someDashboard } from "../testing/some-dashboard.ts";
import { MOST_STREAMS, openEvents } from "./events.ts";

afterEach(closeWorlds);

/** A server whose database counts what it is asked. */
async function openAsked(answer: () => Promise<unknown> = async () => someDashboard) {
  let asked = 0;
  const call: SqlCall = async (name) => {
    if (name === "rag_sum_costs") return [];
    if (name !== "rag_dashboard_figures") throw new Error(name);
    asked += 1;
    return await answer();
  };
  const embedder = () => Promise.reject(new Error("nobody embeds here"));
  const world = await openWorld({ searchable: { database: { call }, embedder } });
  return { ...world, asked: () => asked };
}

/** A stream that is read; closed with the test. */
async function listen(port: number) {
  const asking = request({ host: "127.0.0.1", port, path: "/events", agent: false }).end();
  asking.on("error", () => {});
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  closeLater({ close: async () => asking.destroy() });
  let text = "";
  response.setEncoding("utf8").on("data", (part: string) => {
    text += part;
  });
  response.on("error", () => {});
  const ended = new Promise((resolve) => response.once("close", resolve));
  return { response, text: () => text, ended, leave: () => asking.destroy() };
}

const overviewIn = (text: string) => JSON.parse(/^data: (.*)$/m.exec(text)?.[1] ?? "null");

describe("GET /events", () => {
  test("says at once how things stand, and then again", async () => {
    const { port } = await openAsked();

    const stream = await listen(port);
    await vi.waitFor(() => expect(stream.text().match(/event: overview/g)?.length).toBe(2), 8000);

    expect(stream.response.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    expect(overviewIn(stream.text())).toMatchObject({
      status: "ok",
      can_act: false,
      checks: { database: { status: "ok" } },
      worker: { id: "host/1", condition: "working" },
      figures: {
        waiting: { ready: 3 },
        failures: [{ title: "<b>Handbook</b>", advice: { operator: expect.stringMatching(/\w/) } }],
      },
    });
  });

  test("all streams share one reading of the database, and nobody's departure ends the others", async () => {
    const { port, asked } = await openAsked();

    const streams = await Promise.all(Array.from({ length: 20 }, () => listen(port)));
    await vi.waitFor(() => {
      for (const stream of streams) expect(stream.text()).toContain("event: overview");
    }, 8000);
    expect(asked()).toBe(1);
    streams[0]?.leave();
    const others = streams.slice(1);
    await vi.waitFor(() => {
      for (const stream of others) expect(stream.text().match(/event: overview/g)?.length).toBe(2);
    }, 8000);

    expect(asked()).toBe(2);
  });

  test("nothing is read while nobody looks", async () => {
    const { port, asked } = await openAsked();
    const stream = await listen(port);
    await vi.waitFor(() => expect(stream.text()).toContain("event: overview"));

    stream.leave();
    await stream.ended;
    const before = asked();
    // Two more beats would have come by now, of a clock that went on.
    const again = await listen(port);
    await vi.waitFor(() => expect(again.text().match(/event: overview/g)?.length).toBe(2), 8000);

    expect(asked() - before).toBeLessThanOrEqual(2);
  });

  test("a database that fails or hangs leaves the stream open, and it says so", async () => {
    const { port } = await openAsked(() => new Promise(() => {}));

    const stream = await listen(port);
    await vi.waitFor(() => expect(stream.text()).toContain("event: overview"), 8000);

    expect(overviewIn(stream.text())).toMatchObject({
      status: "degraded",
      checks: { database: { says: expect.stringContaining("did not answer") } },
      figures: null,
    });
  });

  test("closing the server ends every stream at once", async () => {
    const { server, port } = await openAsked();
    const streams = await Promise.all(Array.from({ length: 5 }, () => listen(port)));

    await server.close();

    await Promise.all(streams.map((stream) => stream.ended));
  });

  test("a thousand streams are harmless: some are served, and /live answers when they leave", async () => {
    const { port, ask, asked } = await openAsked();
    const sockets: Socket[] = [];
    let served = 0;
    let refused = 0;
    const settled = Array.from({ length: 1000 }, () => {
      const socket = connect(port, "127.0.0.1");
      sockets.push(socket);
      return new Promise<void>((resolve) => {
        socket.on("error", () => resolve()).on("close", () => resolve());
        socket.once("data", (part) => {
          if (String(part).startsWith("HTTP/1.1 200")) served += 1;
          if (String(part).startsWith("HTTP/1.1 503")) refused += 1;
          resolve();
        });
        socket.write("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n");
      });
    });
    await Promise.all(settled);

    expect(served).toBe(MOST_STREAMS);
    expect(refused).toBeGreaterThan(0);
    expect(asked()).toBeLessThanOrEqual(5);
    for (const socket of sockets) socket.destroy();
    await vi.waitFor(async () => expect((await ask("/live")).status).toBe(200), 8000);
  });

  test("a reader who never reads is sent nothing more while his buffer is full", async () => {
    const message = "x".repeat(8_000_000);
    let asked = 0;
    const events = openEvents(async () => {
      asked += 1;
      return message;
    }, {});
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    const server = createServer((asking, response) => {
      events.open(asking, response);
      resolve(response);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo; // SAFETY: it listens on a port.
    const socket = connect(port, "127.0.0.1").pause();
    socket.write("GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n");
    const response = await promise;

    await vi.waitFor(() => expect(asked).toBe(4), 20_000);

    expect(response.writableLength).toBeLessThan(2 * message.length);
    events.close();
    socket.destroy();
    server.close();
  });
});
