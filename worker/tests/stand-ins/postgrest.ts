// Answers `POST /rest/v1/rpc/<function>` over a real Postgres as PostgREST behind the Supabase gateway does,
// and misbehaves when told to, as networks and proxies do.
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import postgres from "postgres";
import { readAddress } from "../../database/postgres-address.ts";
import { openPool, type PostgresPool } from "../../database/postgres-pool.ts";
import { findFunctions, runFunction } from "./postgrest-function.ts";

/** What happens to one request instead of, or after, its proper answer. */
export type Misbehaviour =
  | "html-502"
  | "html-200"
  | "empty-401"
  | "empty-404"
  | "null-500"
  | "unavailable-503"
  | "redirect-301"
  | "stale-schema"
  | "cut-before"
  /** Executes and commits, then cuts the connection: the client cannot know, and sends again. */
  | "cut-after"
  /** Never answers; the client's patience decides. */
  | "silent";

export type PostgrestStandIn = {
  readonly url: string;
  readonly key: string;
  /** Requests that arrived, by function name. */
  readonly calls: readonly string[];
  /** User-Agent of the last request. */
  readonly lastAgent: () => string | undefined;
  /** The next requests misbehave, one each, in this order. */
  misbehaveNext(...kinds: readonly Misbehaviour[]): void;
  close(): Promise<void>;
};

const KEY = "service-role-key-of-the-stand-in";

export async function startPostgrest(databaseUrl: string): Promise<PostgrestStandIn> {
  const pool = openPool({
    address: readAddress(databaseUrl),
    poolMax: 4,
    poolTimeoutSeconds: 10,
  });
  const plan: Misbehaviour[] = [];
  const calls: string[] = [];
  let agent: string | undefined;
  const server = createServer((request, response) => {
    agent = request.headers["user-agent"];
    void answer(pool, request, response, calls, plan.shift()).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    key: KEY,
    calls,
    lastAgent: () => agent,
    misbehaveNext: (...kinds) => void plan.push(...kinds),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections(); // After close(), or one that came in between would keep it open.
      await closed;
      await pool.close();
    },
  };
}

async function answer(
  pool: PostgresPool,
  request: IncomingMessage,
  response: ServerResponse,
  calls: string[],
  misbehaviour: Misbehaviour | undefined,
): Promise<void> {
  const name = /^\/rest\/v1\/rpc\/(\w+)$/.exec(request.url ?? "")?.[1];
  if (name !== undefined) calls.push(name);
  const body = (await text(request)) || "{}";
  if (misbehaviour !== undefined && misbehaviour !== "cut-after") return misbehave(response, misbehaviour);
  if (request.headers.apikey !== KEY && request.headers.authorization !== `Bearer ${KEY}`)
    return send(response, 401, { message: "Invalid API key", hint: "Double check your Supabase API key." });
  if (name === undefined || request.method !== "POST")
    return send(response, 404, { code: "PGRST125", message: "Invalid path specified in request URL" });
  const given = Object.keys(JSON.parse(body));
  const [found, another] = await inTime(pool, (sql) => findFunctions(sql, name, given));
  if (found === undefined)
    return send(response, 404, { code: "PGRST202", message: `Could not find the function public.${name}` });
  if (another !== undefined)
    return send(response, 300, { code: "PGRST203", message: "Could not choose the best candidate function" });
  try {
    const value = await inTime(pool, (sql) => runFunction(sql, name, found, body));
    if (misbehaviour === "cut-after") request.socket.destroy();
    else if (value === null) response.writeHead(204).end();
    else response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end(value);
  } catch (thrown) {
    if (!(thrown instanceof postgres.PostgresError)) throw thrown;
    const { code, message, detail = null, hint = null } = thrown;
    send(response, statusOf(code), { code, message, details: detail, hint });
  }
}

/** The library may lose a query when a server goes down under it; no role's time limit here is longer. */
const LIMIT_MS = 30_000;

async function inTime<Result>(
  pool: PostgresPool,
  work: (sql: postgres.Sql) => Promise<Result>,
): Promise<Result> {
  return await pool.use(async (connection) => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      connection.drop();
      reject(new Error("the database did not answer"));
    }, LIMIT_MS);
    try {
      return await Promise.race([work(connection.sql), late]);
    } finally {
      clearTimeout(timer);
    }
  });
}

/** PostgREST's table (docs: references/errors), for a request with a valid key. First prefix wins. */
const statuses: readonly (readonly [prefix: string, status: number])[] = [
  ["08", 503],
  ["0L", 403],
  ["0P", 403],
  ["23503", 409],
  ["23505", 409],
  ["25006", 405],
  ["28", 403],
  ["53400", 500],
  ["53", 503],
  ["P0001", 400],
  ["42883", 404],
  ["42P01", 404],
  ["42P17", 500],
  ["42501", 403],
  ...["09", "25", "2D", "38", "39", "3B", "40", "54", "55", "57", "58", "F0", "HV", "P0", "XX"].map(
    (prefix) => [prefix, 500] as const,
  ),
];

function statusOf(code: string): number {
  const own = /^PT(\d{3})$/.exec(code)?.[1];
  if (own !== undefined) return Number(own);
  return statuses.find(([prefix]) => code.startsWith(prefix))?.[1] ?? 400;
}

function send(response: ServerResponse, status: number, body: Readonly<Record<string, unknown>>): void {
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8" })
    .end(JSON.stringify({ code: null, details: null, hint: null, ...body }));
}

const HTML = { "content-type": "text/html" };

function misbehave(response: ServerResponse, kind: Exclude<Misbehaviour, "cut-after">): void {
  switch (kind) {
    case "html-502":
      response.writeHead(502, HTML).end("<html><body>Bad gateway</body></html>");
      return;
    case "html-200":
      response.writeHead(200, HTML).end("<html><body>Please accept our terms.</body></html>");
      return;
    case "empty-401":
      response.writeHead(401).end();
      return;
    case "empty-404":
      response.writeHead(404).end();
      return;
    case "null-500":
      response.writeHead(500, { "content-type": "application/json" }).end("null");
      return;
    case "unavailable-503":
      send(response, 503, {
        code: "PGRST002",
        message: "Could not query the database for the schema cache.",
      });
      return;
    case "redirect-301":
      response.writeHead(301, { location: "/elsewhere" }).end();
      return;
    case "stale-schema":
      send(response, 404, { code: "PGRST202", message: "Could not find the function in the schema cache" });
      return;
    case "cut-before":
      response.destroy();
      return;
    case "silent":
      return;
  }
}
