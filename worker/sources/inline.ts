// Originals whose bytes travel in the database: inline:name. They are stored and read in parts of 1 MiB,
// so that neither side ever holds a whole document.
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { z } from "zod";
import type { Document } from "../document/document.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import type { Source } from "./source.ts";
import { type CopyLimits, copyToTemporary, refuseTooLarge } from "./temporary-copy.ts";

/** Bytes of a part before base64; only the last part is shorter. Keeps a call near 1.4 MB. */
export const PART_BYTES = 1024 * 1024;

const partAnswer = z
  .object({
    upload: z.string(),
    part: z.number().int().min(0),
    parts: z.number().int().min(1),
    bytes: z.string(),
  })
  .nullable();

export function openInlineSource(options: CopyLimits & { readonly call: SqlCall }): Source {
  return {
    scheme: "inline",
    fetch(document, signal) {
      const about = { name: nameOf(document), declaredMediaType: document.mediaType };
      return copyToTemporary(readParts(document.id, options, signal), about, options, signal);
    },
  };
}

/**
 * Stores a file's bytes for one document, part by part in order, as an upload named by their hash: repeated
 * after a crash it is the same upload, and readers see none whose parts are not all there.
 * Throws `source.changed` when the file changes meanwhile, and `database.*`.
 */
export async function storeOriginal(
  call: SqlCall,
  documentId: string,
  filePath: string,
  signal?: AbortSignal,
): Promise<void> {
  const file = await open(filePath, "r");
  try {
    const { size } = await file.stat();
    const upload = await hashOf(file, size, signal);
    const parts = countParts(size);
    const sent = createHash("sha256");
    for await (const { part, bytes } of partsOf(file, size, signal)) {
      sent.update(bytes);
      // Without its last part an upload of mixed content is never read.
      if (part === parts - 1 && sent.digest("hex") !== upload) throw new Failure("source.changed");
      const args = {
        p_document_id: documentId,
        p_upload: upload,
        p_part: part,
        p_parts: parts,
        p_bytes: bytes.toString("base64"),
      };
      await call("rag_store_original", args, signal ? { signal } : {});
    }
    if ((await file.stat()).size !== size) throw new Failure("source.changed");
  } finally {
    await file.close();
  }
}

const countParts = (size: number) => Math.max(1, Math.ceil(size / PART_BYTES));

async function hashOf(file: FileHandle, size: number, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash("sha256");
  for await (const { bytes } of partsOf(file, size, signal)) hash.update(bytes);
  return hash.digest("hex");
}

/** Yields one buffer again and again: use each before asking for the next. Throws `source.changed`. */
async function* partsOf(file: FileHandle, size: number, signal: AbortSignal | undefined) {
  const buffer = Buffer.allocUnsafe(PART_BYTES);
  for (let part = 0; part < countParts(size); part += 1) {
    signal?.throwIfAborted();
    const bytes = buffer.subarray(0, Math.min(PART_BYTES, size - part * PART_BYTES));
    await readExactly(file, bytes, part * PART_BYTES);
    yield { part, bytes };
  }
}

async function readExactly(file: FileHandle, into: Uint8Array, position: number): Promise<void> {
  let filled = 0;
  while (filled < into.byteLength) {
    const { bytesRead } = await file.read(into, filled, into.byteLength - filled, position + filled);
    if (bytesRead === 0) throw new Failure("source.changed");
    filled += bytesRead;
  }
}

async function* readParts(
  documentId: string,
  options: CopyLimits & { readonly call: SqlCall },
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  let parts = 1;
  // The newest whole upload, chosen with the first part and kept for the others.
  let upload: string | null = null;
  for (let part = 0; part < parts; part += 1) {
    const answer = await options.call(
      "rag_read_original",
      { p_document_id: documentId, p_upload: upload, p_part: part },
      { signal },
    );
    const found = decodePart(answer, part);
    if (part === 0) ({ parts, upload } = found);
    if (found.parts !== parts) throw new Failure("source.changed");
    // All parts but the last are full, so that the first answer tells the least size of the whole.
    if (part === 0) refuseTooLarge((parts - 1) * PART_BYTES, options);
    yield found.bytes;
  }
}

function decodePart(answer: unknown, part: number): { upload: string; parts: number; bytes: Buffer } {
  const parsed = partAnswer.safeParse(answer);
  if (!parsed.success || (parsed.data !== null && parsed.data.part !== part)) throw unreadableAnswer(part);
  // Gone before the first part: never stored. Gone later: dropped or replaced while we read.
  if (parsed.data === null) throw new Failure(part === 0 ? "source.not-found" : "source.changed");
  const { upload, bytes: base64, parts } = parsed.data;
  const bytes = Buffer.from(base64, "base64");
  // Buffer skips what is not base64, which would lose bytes silently. Postgres breaks lines at 76 characters.
  if (bytes.toString("base64") !== base64.replaceAll("\n", "")) throw unreadableAnswer(part);
  return { upload, parts, bytes };
}

const unreadableAnswer = (part: number) =>
  new Failure("database.rejected", {
    says: "rag_read_original gave an answer that is not a part.",
    facts: { part },
  });

function nameOf(document: Document): string {
  const raw = (document.sourceUri ?? "").slice("inline:".length);
  const decoded = /%[0-9a-f]{2}/i.test(raw) ? decodeOrKeep(raw) : raw;
  return decoded.split(/[/\\]/).at(-1) || "original";
}

function decodeOrKeep(raw: string): string {
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw; // The name is only a hint; a stray % in it is no reason to fail.
  }
}
