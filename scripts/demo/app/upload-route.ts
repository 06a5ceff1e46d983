// An upload and its progress, as two handlers from Request to Response: what Next.js (`app/…/route.ts`), Remix, Hono,
// Bun and Deno take. In Next.js:
//   app/api/documents/route.ts             export const POST = uploadRoute(app);
//   app/api/jobs/[id]/route.ts             export const GET = progressRoute(app);
// The service key stays on the server; a user sees his own jobs only.
import { randomUUID } from "node:crypto";
import type { SupabaseClient } from "@supabase/supabase-js";
import type { RagClient } from "rag-ingestion-worker/client";

export type App = {
  /** With the service key. */
  readonly supabase: Pick<SupabaseClient, "storage">;
  readonly rag: Pick<RagClient, "submit" | "job" | "follow">;
  readonly bucket: string;
  /** Who asks, by your own session (`auth.getUser()` of @supabase/ssr, NextAuth, …); null for nobody. */
  userOf(request: Request): Promise<{ readonly id: string; readonly tenant: string } | null>;
};

const MOST_BYTES = 50 * 1024 * 1024;
// What a form adds around one file.
const FORM_BYTES = 64 * 1024;

const refuse = (status: number, message: string) => Response.json({ error: { message } }, { status });

/** POST a form with a `file`: 202 `{job_id, document_id}`, once the file is stored and its job committed. */
export const uploadRoute = (app: App) => async (request: Request) => {
  const user = await app.userOf(request);
  if (user === null) return refuse(401, "Sign in first.");
  // A body without a length could be of any size, and formData() keeps it in memory.
  const announced = Number(request.headers.get("content-length") ?? Number.NaN);
  if (!(announced <= MOST_BYTES + FORM_BYTES)) return refuse(413, "A file may have 50 MB.");
  const form = await request.formData().catch(() => null);
  const file = form?.get("file");
  if (!(file instanceof File) || file.size === 0) return refuse(400, "Send a form with one file.");

  // Names of objects are ASCII in Supabase Storage: the file's own name is the title.
  const extension = /\.[A-Za-z0-9]{1,8}$/.exec(file.name)?.[0] ?? "";
  const path = `${encodeURIComponent(user.tenant)}/${randomUUID()}${extension}`;
  const stored = await app.supabase.storage.from(app.bucket).upload(path, file, { contentType: file.type });
  if (stored.error) return refuse(502, "The file could not be stored. Try again.");

  const { job_id, document_id } = await app.rag.submit({
    source_uri: `storage://${app.bucket}/${path}`,
    title: file.name,
    tenant_id: user.tenant,
    user_id: user.id,
  });
  return Response.json({ job_id, document_id }, { status: 202 });
};

/** GET the progress of a job as server-sent events, each a JSON object, until the job has ended. */
export const progressRoute =
  (app: App) =>
  async (request: Request, { params }: { readonly params: Promise<{ readonly id: string }> }) => {
    const user = await app.userOf(request);
    const { id } = await params;
    const isId = /^[0-9a-f-]{36}$/.test(id);
    const job = user === null || !isId ? null : await app.rag.job(id);
    // Whose job it is not, is told the same as there were none.
    if (job === null || job.document?.user_id !== user?.id) return refuse(404, "There is no such job.");

    const progress = app.rag.follow(id, { signal: request.signal });
    const events = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const { done, value } = await progress.next();
        if (done) return controller.close();
        const { status, stage, processed_chunks, total_chunks, error_code, error_detail } = value;
        const event = { status, stage, processed_chunks, total_chunks, error_code, error_detail };
        controller.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(event)}\n\n`));
      },
      async cancel() {
        await progress.return(undefined);
      },
    });
    return new Response(events, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  };
