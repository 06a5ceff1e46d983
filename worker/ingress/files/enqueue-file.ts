// One file -> one document row and one queue row. A file below the document root stays where it is; any other
// travels with its bytes, so that replicas on other machines can read it.
// The same path is the same document: ingested again it is compared by content, and nothing is paid twice.
import { createHash } from "node:crypto";
import { realpath } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, isAbsolute, relative, sep } from "node:path";
import { z } from "zod";
import type { Config } from "../../config/config.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import { fileUri } from "../../sources/file.ts";
import { storeOriginal } from "../../sources/inline.ts";
import type { FileNote } from "./file-note.ts";
import type { FoundFile } from "./find-files.ts";

/** What the operator said about all files of one call; null where nothing was said, and what is stored stays. */
export type Labels = {
  readonly tenant: string | null;
  readonly collection: string | null;
  readonly tags: readonly string[] | null;
  readonly title: string | null;
  readonly priority: number;
  /** The span of whoever runs the command (W3C Trace Context). */
  readonly traceparent?: string | null;
};

export type Intake = {
  readonly call: SqlCall;
  readonly config: Pick<
    Config,
    "documentRoot" | "maxFileMb" | "maxAttempts" | "storageBucket" | "supabaseUrl" | "supabaseKey"
  >;
  readonly labels: Labels;
};

export type EnqueuedFile = {
  readonly jobId: string;
  readonly documentId: string;
  readonly path: string;
  /** The document could be searched before: only then can it turn out to be unchanged. */
  readonly wasLive: boolean;
};

const upsertAnswer = z.object({
  document_id: z.string(),
  created: z.boolean(),
  live_generation: z.number().nullable(),
});
const enqueueAnswer = z.object({ job_id: z.string() });

/**
 * With a note of what the file is now, it is known the next time without being opened.
 * Throws Failure `source.*` for this file alone, `database.*` when nothing can go on.
 */
export async function enqueueFile(
  file: FoundFile,
  intake: Intake,
  signal: AbortSignal,
  note: FileNote | null = null,
): Promise<EnqueuedFile> {
  const { call, config, labels } = intake;
  const mostBytes = config.maxFileMb * 1024 * 1024;
  if (file.byteSize > mostBytes)
    throw new Failure("source.too-large", { facts: { bytes: file.byteSize, mostBytes } });
  const address = await addressOf(file.path, intake, signal);
  const upserted = upsertAnswer.parse(
    await call("rag_upsert_document", {
      p_request: {
        source_uri: address.uri,
        byte_size: file.byteSize,
        ...(labels.tenant !== null && { tenant_id: labels.tenant }),
        ...(labels.collection !== null && { collection: labels.collection }),
        ...(labels.tags !== null && { tags: labels.tags }),
      },
    }),
  );
  if (address.travels) await storeOriginal(call, upserted.document_id, file.path, signal);
  signal.throwIfAborted();
  // A title that somebody gave the document later is not replaced by its file name.
  const title = labels.title ?? (upserted.created ? basename(file.path) : null);
  const request = {
    document_id: upserted.document_id,
    priority: labels.priority,
    max_attempts: config.maxAttempts,
    ...(title !== null && { title }),
    ...(labels.traceparent && { traceparent: labels.traceparent }),
  };
  const enqueued = enqueueAnswer.parse(
    note === null
      ? await call("rag_enqueue", { p_request: request })
      : await call("rag_enqueue_file", { p_request: request, p_file: note }),
  );
  return {
    jobId: enqueued.job_id,
    documentId: upserted.document_id,
    path: file.path,
    wasLive: upserted.live_generation !== null,
  };
}

type Address = { readonly uri: string /** Bytes go into rag_originals. */; readonly travels: boolean };

/** Where a file stands when it is below the document root, with links resolved; null when it is not. */
export async function rootedPath(path: string, documentRoot: string | null): Promise<Rooted | null> {
  if (documentRoot === null) return null;
  const [root, file] = await Promise.all([realpath(documentRoot), realpath(path)]);
  const inside = relative(root, file);
  const isInside = inside !== ".." && !inside.startsWith(`..${sep}`) && !isAbsolute(inside);
  return isInside ? { root, file, inside } : null;
}

type Rooted = { readonly root: string; readonly file: string; readonly inside: string };

async function addressOf(path: string, intake: Intake, signal: AbortSignal): Promise<Address> {
  const { documentRoot, storageBucket, supabaseUrl, supabaseKey } = intake.config;
  const rooted = await rootedPath(path, documentRoot);
  if (rooted !== null && rooted.inside !== "")
    return { uri: fileUri(rooted.root, rooted.file), travels: false };
  if (storageBucket !== null && supabaseUrl !== null && supabaseKey !== null) {
    // Only here: supabase-js takes longer to load than a small file to ingest.
    const { uploadOriginal } = await import("../../sources/upload-original.ts");
    const upload = { bucket: storageBucket, path: objectPath(path, intake.labels), file: path };
    const uri = await uploadOriginal({ url: supabaseUrl, key: supabaseKey }, upload, signal);
    return { uri, travels: false };
  }
  return { uri: `inline:${path.replaceAll("%", "%25")}`, travels: true };
}

// One object for one path of one machine and tenant, so that a second upload replaces the first.
function objectPath(path: string, labels: Labels): string {
  const place = createHash("sha256")
    .update(`${hostname()}\0${dirname(path)}`)
    .digest("hex")
    .slice(0, 12);
  return `rag-ingest/${labels.tenant ?? "default"}/${place}/${basename(path)}`;
}
