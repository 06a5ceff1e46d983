// A status server on a free port with a worker behind it that says what the test wants, and requests as a browser
// would never send them.
import { once } from "node:events";
import { type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { Writable } from "node:stream";
import { openActivity } from "../../activity/activity.ts";
import { openLog } from "../../log/log.ts";
import type { WorkerState } from "../../queue/worker-state.ts";
import { type StatusServerOptions, startStatusServer } from "../status-server.ts";
import { someActivity, someFigures, someState } from "./some-figures.ts";

const opened: { close(): Promise<unknown> }[] = [];

/** For afterEach: ends every world of the test, and whatever else it has to end. */
export async function closeWorlds(): Promise<void> {
  for (const part of opened.splice(0).reverse()) await part.close();
}

export const closeLater = (part: { close(): Promise<unknown> }): void => void opened.push(part);

type Options = Partial<StatusServerOptions> & { readonly worker?: Partial<WorkerState> };

export async function openWorld({ worker, ...options }: Options = {}) {
  const activity = openActivity();
  let logged = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk);
      done();
    },
  });
  let asked = 0;
  const { stats = async () => someFigures, ...others } = options;
  const server = await startStatusServer({
    port: 0,
    host: "127.0.0.1",
    token: null,
    activity,
    log: openLog({ level: "info", terminal: false, secrets: [], destination }),
    state: () => ({ ...someState, ...worker }),
    stats: () => {
      asked += 1;
      return stats();
    },
    describe: { database: "embedded", transport: "embedded", provider: "embedded", model: "<all-MiniLM>" },
    version: "1.2.3",
    memoryBytes: 1e12,
    searchable: {
      database: { call: () => Promise.reject(new Error("nobody searches here")) },
      embedder: () => Promise.reject(new Error("nobody embeds here")),
    },
    wake: () => {},
    budgetUsd: null,
    activityLog: () => someActivity,
    ...others,
  });
  opened.push(server);
  const { port } = new URL(server.url);
  const ask = (path: string, headers: Record<string, string> = {}, method = "GET", body = "") =>
    askHttp(Number(port), path, headers, method, body);
  return { server, activity, ask, port: Number(port), logged: () => logged, asked: () => asked };
}

type Answered = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string };

// Not fetch, which would neither send another Host nor a body with GET.
export async function askHttp(
  port: number,
  path: string,
  headers: Record<string, string>,
  method: string,
  body: string,
): Promise<Answered> {
  const outgoing = request({ host: "127.0.0.1", port, path, method, headers, agent: false });
  outgoing.end(body);
  const [response] = await once(outgoing, "response");
  let text = "";
  for await (const part of response) text += String(part);
  return { status: response.statusCode, headers: response.headers, text };
}

/** Whatever the server says to these bytes until the connection ends. */
export async function rawAnswer(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  let text = "";
  socket.on("data", (part) => {
    text += String(part);
  });
  socket.write(bytes);
  // Not `once` of events, which fails with the socket: a connection that is cut is what some tests wait for.
  await new Promise((resolve) => socket.once("close", resolve));
  return text;
}
