// A Supabase Edge Function that only enqueues: supabase/functions/enqueue/index.ts. The work itself takes longer than
// an Edge Function may live; a worker does it. POST {path, title?} with the user's session, where `path` is an object
// that he has put into his own folder of the bucket: 202 {job_id, document_id, state}.
import type { DenoOfEdge } from "./deno.ts";

declare const Deno: DenoOfEdge;

const BUCKET = "documents";
const MOST_BYTES = 4096;

const url = Deno.env.get("SUPABASE_URL") ?? "";
// Both are set by the platform; the service key never leaves the function.
const key = Deno.env.get("SUPABASE_SERVICE_ROLE_KEY") ?? "";

const answer = (status: number, body: unknown) => Response.json(body, { status });
const refuse = (status: number, message: string) => answer(status, { error: { message } });

Deno.serve(async (request) => {
  if (request.method !== "POST") return refuse(405, "Use POST.");
  const user = await signedIn(request.headers.get("authorization") ?? "");
  if (user === null) return refuse(401, "Sign in first.");

  const text = await request.text();
  const asked = text.length > MOST_BYTES ? null : parsed(text);
  const path = asked?.path;
  // Another user's folder, and a way out of his own, are refused alike.
  if (typeof path !== "string" || !path.startsWith(`${user}/`) || path.split("/").includes(".."))
    return refuse(400, "Say the path of an object in your own folder.");

  const response = await fetch(`${url}/rest/v1/rpc/rag_enqueue`, {
    method: "POST",
    headers: { apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({
      p_request: {
        source_uri: `storage://${BUCKET}/${path}`,
        user_id: user,
        title: typeof asked?.title === "string" ? asked.title : path.slice(user.length + 1),
      },
    }),
  });
  const body: unknown = await response.json().catch(() => null);
  return response.ok ? answer(202, body) : refuse(502, "It could not be queued. Try again.");
});

async function signedIn(authorization: string): Promise<string | null> {
  const response = await fetch(`${url}/auth/v1/user`, { headers: { apikey: key, authorization } });
  const user: unknown = response.ok ? await response.json() : null;
  const id = isRecord(user) ? user.id : null;
  return typeof id === "string" ? id : null;
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
