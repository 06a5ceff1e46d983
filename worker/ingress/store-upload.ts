// An uploaded file into the queue: its bytes go where originals live (the bucket, else the database), then comes the
// job. Sent twice it is one document: without an id of the sender's it is known by its name and content.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Original } from "../document/document.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { storeOriginal } from "../sources/inline.ts";
import type { UploadFields } from "./upload-fields.ts";

export type Originals = {
  readonly storageBucket: string | null;
  readonly supabaseUrl: string | null;
  readonly supabaseKey: string | null;
};

const upserted = z.object({ document_id: z.string() });

/** Answers what rag_enqueue answers. Throws `source.*` and `database.*`; what is stored then is found the next time. */
export async function storeUpload(
  call: SqlCall,
  original: Original,
  given: UploadFields & { readonly traceparent?: string },
  originals: Originals,
  signal: AbortSignal,
): Promise<unknown> {
  const { priority, max_attempts, run_at, dedupe_key, traceparent, ...said } = given;
  const job = Object.fromEntries(
    Object.entries({ priority, max_attempts, run_at, dedupe_key, traceparent }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const known = said.document_id !== undefined || said.external_id !== undefined;
  const fingerprint = createHash("sha256").update(`${original.name}\0${original.sha256}`).digest("hex");
  const document = {
    title: original.name,
    byte_size: original.byteSize,
    ...(original.declaredMediaType !== null && { media_type: original.declaredMediaType }),
    ...said,
    ...(!known && { external_id: `upload:${fingerprint}` }),
  };
  const uri = await uploaded(original, fingerprint, said.tenant_id ?? "default", originals, signal);
  if (uri !== null) return await call("rag_enqueue", { p_request: { ...document, ...job, source_uri: uri } });
  const inline = `inline:${original.name.replaceAll("%", "%25")}`;
  const { document_id } = upserted.parse(
    await call("rag_upsert_document", { p_request: { ...document, source_uri: inline } }),
  );
  await storeOriginal(call, document_id, original.path, signal);
  const request = { document_id, ...(said.tenant_id !== undefined && { tenant_id: said.tenant_id }), ...job };
  return await call("rag_enqueue", { p_request: request });
}

/** The object's address; null where no bucket is configured. */
async function uploaded(
  original: Original,
  fingerprint: string,
  tenant: string,
  { storageBucket, supabaseUrl, supabaseKey }: Originals,
  signal: AbortSignal,
): Promise<string | null> {
  if (storageBucket === null || supabaseUrl === null || supabaseKey === null) return null;
  // Only here: supabase-js takes longer to load than a small file to take in.
  const { uploadOriginal } = await import("../sources/upload-original.ts");
  const path = `rag-upload/${tenant.replaceAll("/", "_")}/${fingerprint.slice(0, 16)}/${original.name}`;
  return await uploadOriginal(
    { url: supabaseUrl, key: supabaseKey },
    { bucket: storageBucket, path, file: original.path },
    signal,
  );
}
