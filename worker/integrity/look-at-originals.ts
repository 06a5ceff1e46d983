// Whether the files and objects that documents are of are still there, and still the same.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { type FileLook, openFileLook } from "../sources/file.ts";
import { listObjects, sizeOfObject } from "../sources/list-objects.ts";
import { storageUri } from "../sources/storage.ts";
import type { StorageAccess } from "../sources/storage-client.ts";
import type { Finding, FindingCode } from "./findings.ts";
import type { Page, Scope } from "./validate-database.ts";

export type Origins = {
  /** null: nobody can tell, and files are not looked at. */
  readonly documentRoot: string | null;
  readonly storage: StorageAccess | null;
  /** RAG_STORAGE_BUCKET, in which objects without a document are looked for. */
  readonly bucket: string | null;
};

const PAGE = 500;
// Requests to Storage at once, and files read at once.
const AT_ONCE = 8;
// An upload comes before its document.
const FRESH_MS = 3_600_000;

const source = z.object({
  document_id: z.string(),
  tenant_id: z.string(),
  source_uri: z.string(),
  content_sha256: z.string(),
  byte_size: z.number().nullable(),
});
type Source = z.infer<typeof source>;

/** Throws `config.invalid` when the document root is not there: a missing volume is not a thousand missing files. */
export async function* lookAtOriginals(
  call: SqlCall,
  { documentRoot, storage }: Origins,
  { documentIds }: Scope,
  signal: AbortSignal,
): AsyncIterable<Page> {
  if (documentRoot === null && storage === null) return;
  const look = documentRoot === null ? null : await openFileLook(documentRoot);
  for (let after: string | null = null; ; ) {
    const page = z
      .array(source)
      .parse(
        await call(
          "rag_list_sources",
          { p_document_ids: documentIds, p_after: after, p_limit: PAGE },
          { signal },
        ),
      );
    after = page.at(-1)?.document_id ?? null;
    if (after === null) return;
    const found = await judgeAll(page, (one) => judge(one, look, storage, signal), signal);
    const lookedAt = page.filter(({ source_uri }) =>
      source_uri.startsWith("file:") ? look !== null : storage !== null,
    ).length;
    yield { findings: found, lookedAt };
  }
}

async function judgeAll(
  page: readonly Source[],
  judgeOne: (source: Source) => Promise<Finding | null>,
  signal: AbortSignal,
): Promise<Finding[]> {
  const waiting = [...page];
  const found: Finding[] = [];
  const take = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      signal.throwIfAborted();
      const judged = await judgeOne(next);
      if (judged !== null) found.push(judged);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  return found;
}

async function judge(
  one: Source,
  look: FileLook | null,
  storage: StorageAccess | null,
  signal: AbortSignal,
): Promise<Finding | null> {
  const isFile = one.source_uri.startsWith("file:");
  try {
    if (isFile) {
      if (look === null) return null;
      const now = await look(one.source_uri, signal);
      if (now.sha256 === one.content_sha256) return null;
      return found("file.changed", one, { bytes: now.byteSize, was: one.byte_size });
    }
    if (storage === null) return null;
    const bytes = await sizeOfObject(storage, one.source_uri, signal);
    if (bytes === null || one.byte_size === null || bytes === one.byte_size) return null;
    return found("storage.object-changed", one, { bytes, was: one.byte_size });
  } catch (thrown) {
    if (!(thrown instanceof Failure)) throw thrown;
    if (thrown.code === "source.not-found")
      return found(isFile ? "file.gone" : "storage.object-gone", one, {});
    // Changing this moment, or not to be read: nobody can tell, and the next look will.
    if (isFile && thrown.kind !== "misconfigured" && thrown.code !== "config.invalid") return null;
    throw thrown;
  }
}

const found = (code: FindingCode, one: Source, detail: Record<string, unknown>): Finding => ({
  code,
  subject: one.document_id,
  document_id: one.document_id,
  tenant_id: one.tenant_id,
  detail: { source_uri: one.source_uri, ...detail },
});

/** Objects of our bucket that no document is of, but for those that came just now. */
export async function* findUnknownObjects(
  call: SqlCall,
  { storage, bucket }: Origins,
  signal: AbortSignal,
): AsyncIterable<Page> {
  if (storage === null || bucket === null) return;
  let batch: string[] = [];
  const ask = async (): Promise<Page> => {
    const asked = batch;
    batch = [];
    // An application may have written the address as it stands, or encoded.
    const p_sources = asked.map((path) => [storageUri(bucket, path), `storage://${bucket}/${path}`]);
    const unknown = z.array(z.string()).parse(await call("rag_unknown_sources", { p_sources }, { signal }));
    return {
      lookedAt: asked.length,
      findings: unknown.map((subject) => ({
        code: "storage.unknown-object",
        subject,
        document_id: null,
        tenant_id: null,
        detail: {},
      })),
    };
  };
  for await (const { path, createdAt } of listObjects(storage, bucket, signal)) {
    if (createdAt !== null && Date.now() - createdAt.getTime() < FRESH_MS) continue;
    batch.push(path);
    if (batch.length === PAGE) yield await ask();
  }
  if (batch.length > 0) yield await ask();
}
