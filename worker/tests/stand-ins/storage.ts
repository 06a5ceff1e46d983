// Supabase Storage as seen from a client: the routes and the recorded answers that our sources meet.
// Like the real one it answers HTTP 400 to nearly every error and says the truth in the body, and to a key
// that may see nothing every bucket is missing. Misbehaviour is asked for by name.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Misbehaviour =
  /** The next body ends in the middle, with the connection. */
  | "cut-once"
  /** Every body ends in the middle. */
  | "cut"
  /** The next request answers 500, as JSON. */
  | "fail-once"
  /** Every request answers 502 with a proxy's HTML page. */
  | "bad-gateway"
  /** Every request answers overload, which is HTTP 400 with 503 in the body. */
  | "overload"
  /** The told size is one byte less than the body. */
  | "wrong-size"
  /** The told size is missing. */
  | "no-size"
  /** The told size is of compressed bytes; the body is longer. */
  | "compressed"
  /** Requests are never answered. */
  | "hang"
  /** The body begins and never goes on. */
  | "hang-in-body"
  /** Every request is sent elsewhere. */
  | "redirect"
  /** No route is known, as on a server that is not Supabase. */
  | "not-supabase";

export type StorageStandIn = {
  readonly url: string;
  readonly key: string;
  /** A valid key that may see nothing, such as the anon key. */
  readonly blindKey: string;
  /** `GET /object/info/docs/a.txt` and so on, as they came. */
  readonly requests: readonly string[];
  put(bucket: string, path: string, bytes: Uint8Array): void;
  get(bucket: string, path: string): Buffer | undefined;
  misbehave(kind: Misbehaviour): void;
  close(): Promise<void>;
};

type World = {
  readonly buckets: Map<string, Map<string, Buffer>>;
  readonly requests: string[];
  behaviour: Misbehaviour | null;
};

const KEY = "sb_secret_stand_in";
const BLIND_KEY = "sb_publishable_stand_in";
const PREFIX = "/storage/v1";

export async function openStorageStandIn(): Promise<StorageStandIn> {
  const world: World = { buckets: new Map(), requests: [], behaviour: null };
  const server = createServer((request, response) => void answer(world, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // SAFETY: listens on TCP.
  return {
    url: `http://127.0.0.1:${port}`,
    key: KEY,
    blindKey: BLIND_KEY,
    requests: world.requests,
    put(bucket, path, bytes) {
      const objects = world.buckets.get(bucket) ?? new Map<string, Buffer>();
      world.buckets.set(bucket, objects.set(path, Buffer.from(bytes)));
    },
    get: (bucket, path) => world.buckets.get(bucket)?.get(path),
    misbehave(kind) {
      world.behaviour = kind;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections(); // After close(), or one that came in between would keep it open.
      await closed;
    },
  };
}

async function answer(world: World, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const route = `${request.method} ${(request.url ?? "").replace(PREFIX, "")}`;
  world.requests.push(route);
  const sent = await bodyOf(request);
  if (misbehaves(world, response)) return;
  if (!request.url?.startsWith(`${PREFIX}/`)) return refuse(response, 404, { message: "no route" });
  const { apikey } = request.headers;
  if (apikey !== KEY && apikey !== BLIND_KEY) return refuse(response, 400, errors.invalidJwt);
  const visible = apikey === KEY ? world.buckets : new Map<string, Map<string, Buffer>>();
  if (/^GET \/bucket(\?|$)/.test(route))
    return json(
      response,
      [...visible.keys()].map((name) => ({ id: name, name, public: false })),
    );
  const [, emptied = ""] = /^DELETE \/object\/([^/]+)$/.exec(route) ?? [];
  if (emptied !== "") return remove(visible.get(decodeURIComponent(emptied)), sent, response);
  const [, listed = ""] = /^POST \/object\/list\/([^/]+)$/.exec(route) ?? [];
  if (listed !== "") return list(visible.get(decodeURIComponent(listed)), sent, response);
  const [, verb, rest = ""] = /^(GET \/object\/info|GET \/object|POST \/object)\/(.+)$/.exec(route) ?? [];
  const [bucket = "", ...names] = rest.split("/").map(decodeURIComponent);
  const path = names.join("/");
  const objects = visible.get(bucket);
  if (!/^[\w/!\-.*'() &$@=;:+,?]+$/.test(path)) return refuse(response, 400, errors.invalidKey(path));
  if (!objects) return refuse(response, 400, errors.noSuchBucket);
  if (verb === "POST /object") {
    objects.set(path, fileIn(sent));
    return json(response, { Key: `${bucket}/${path}`, Id: "00000000-0000-4000-8000-000000000000" });
  }
  const object = objects.get(path);
  if (!object) return refuse(response, 400, errors.noSuchKey);
  if (verb === "GET /object/info") return json(response, infoOf(world, bucket, path, object));
  sendObject(world, response, object);
}

/** Like the real one it tells of what it removed, and nothing of what was not there. */
function remove(objects: Map<string, Buffer> | undefined, sent: Buffer, response: ServerResponse): void {
  if (!objects) {
    refuse(response, 400, errors.noSuchBucket);
    return;
  }
  const { prefixes } = JSON.parse(sent.toString()) as { prefixes: readonly string[] };
  const removed = prefixes.filter((path) => objects.delete(path));
  json(
    response,
    removed.map((name) => ({ name })),
  );
}

/** Like the real one: one folder's entries by name, folders without an id, and nothing for a bucket that is not there. */
function list(objects: Map<string, Buffer> | undefined, sent: Buffer, response: ServerResponse): void {
  const asked = JSON.parse(sent.toString()) as { prefix?: string; limit?: number; offset?: number };
  const folder = asked.prefix ? `${asked.prefix.replace(/\/$/, "")}/` : "";
  const entries = new Map<string, Buffer | null>();
  for (const [path, bytes] of objects ?? []) {
    if (!path.startsWith(folder)) continue;
    const [name = "", ...deeper] = path.slice(folder.length).split("/");
    entries.set(name, deeper.length > 0 ? null : bytes);
  }
  const sorted = [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  const from = asked.offset ?? 0;
  json(
    response,
    sorted.slice(from, from + (asked.limit ?? 100)).map(([name, bytes]) => ({
      name,
      id: bytes && "00000000-0000-4000-8000-000000000000",
      updated_at: bytes && "2026-01-01T00:00:00.000Z",
      created_at: bytes && "2026-01-01T00:00:00.000Z",
      metadata: bytes && { size: bytes.length },
    })),
  );
}

/** Answers true when the whole request was dealt with badly. */
function misbehaves(world: World, response: ServerResponse): boolean {
  switch (world.behaviour) {
    case "fail-once":
      world.behaviour = null;
      refuse(response, 500, errors.internal);
      return true;
    case "bad-gateway":
      response.writeHead(502, { "content-type": "text/html" }).end("<html>502 Bad Gateway</html>");
      return true;
    case "overload":
      refuse(response, 400, errors.slowDown);
      return true;
    case "redirect":
      response.writeHead(302, { location: "/elsewhere" }).end();
      return true;
    case "not-supabase":
      response.writeHead(404, { "content-type": "text/html" }).end("<html>Not Found</html>");
      return true;
    default:
      return world.behaviour === "hang";
  }
}

function sendObject(world: World, response: ServerResponse, object: Buffer): void {
  const { behaviour } = world;
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": object.length });
  if (behaviour !== "cut" && behaviour !== "cut-once" && behaviour !== "hang-in-body") {
    response.end(object);
    return;
  }
  if (behaviour === "cut-once") world.behaviour = null;
  const half = object.subarray(0, object.length >> 1);
  response.write(half, () => {
    if (behaviour !== "hang-in-body") response.destroy();
  });
}

function infoOf(world: World, bucket: string, path: string, object: Buffer): Record<string, unknown> {
  const told = world.behaviour === "wrong-size" || world.behaviour === "compressed";
  return {
    id: "00000000-0000-4000-8000-000000000000",
    version: "00000000-0000-4000-8000-000000000001",
    name: path,
    bucket_id: bucket,
    ...(world.behaviour === "no-size" ? {} : { size: object.length - (told ? 1 : 0) }),
    content_type: "application/octet-stream",
    content_encoding: world.behaviour === "compressed" ? "gzip" : null,
    cache_control: "max-age=3600",
    etag: '"0"',
    metadata: {},
    last_modified: "2026-01-01T00:00:00.000Z",
    created_at: "2026-01-01T00:00:00.000Z",
  };
}

const problem = (statusCode: string, code: string, message: string) => ({
  statusCode,
  code,
  error: code,
  message,
});

const errors = {
  noSuchKey: problem("404", "NoSuchKey", "Object not found"),
  noSuchBucket: problem("404", "NoSuchBucket", "Bucket not found"),
  invalidKey: (key: string) => problem("400", "InvalidKey", `Invalid key: ${key}`),
  invalidJwt: problem("400", "InvalidJWT", "Invalid Compact JWS"),
  internal: problem("500", "InternalError", "Internal server error"),
  slowDown: problem("503", "SlowDown", "Please reduce your request rate"),
};

const refuse = (response: ServerResponse, status: number, body: unknown) => json(response, body, status);

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The last part of a multipart body: the file, after the form's own fields. */
function fileIn(form: Buffer): Buffer {
  const boundary = form.subarray(0, form.indexOf("\r\n"));
  const end = form.lastIndexOf(boundary) - "\r\n".length;
  const start = form.lastIndexOf(boundary, end);
  return form.subarray(form.indexOf("\r\n\r\n", start) + "\r\n\r\n".length, end);
}
