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
    byte_size: z.number().int().min(0),
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
 * Stores a file's bytes for one document, part by part in order, as an upload named by their hash. Safe to
 * repeat, also after a crash in the middle: what is stored already stays. Readers see an upload only when all
 * its parts are there. Throws `source.changed` when the file changes meanwhile, and `database.*`.
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
    const whole = createHash("sha256");
    const hashes: string[] = [];
    for await (const bytes of partsOf(file, size, signal)) {
      whole.update(bytes);
      hashes.push(sha256(bytes));
    }
    const upload = { p_document_id: documentId, p_upload: whole.digest("hex"), p_parts: hashes.length };
    let part = 0;
    for await (const bytes of partsOf(file, size, signal)) {
      // Bytes that are not those of the name would stay under it for good.
      if (sha256(bytes) !== hashes[part]) throw new Failure("source.changed");
      const args = { ...upload, p_part: part, p_bytes: bytes.toString("base64") };
      await call("rag_store_original", args, signal ? { signal } : {});
      part += 1;
    }
    if ((await file.stat()).size !== size) throw new Failure("source.changed");
  } finally {
    await file.close();
  }
}

/** Yields one buffer again and again: use each before asking for the next. An empty file has one empty part. */
async function* partsOf(file: FileHandle, size: number, signal?: AbortSignal): AsyncIterable<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(size, PART_BYTES));
  for (let start = 0; start === 0 || start < size; start += PART_BYTES) {
    signal?.throwIfAborted();
    const bytes = buffer.subarray(0, Math.min(PART_BYTES, size - start));
    await readExactly(file, bytes, start);
    yield bytes;
  }
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

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
  // The first answer chooses the newest complete upload; the others are asked for by its name, so that an
  // upload that arrives meanwhile is never mixed in.
  let first: Part | null = null;
  let total = 0;
  for (let part = 0; part < (first?.parts ?? 1); part += 1) {
    const args = { p_document_id: documentId, p_upload: first?.upload ?? null, p_part: part };
    const found = decodePart(await options.call("rag_read_original", args, { signal }), part);
    // Gone before the first part: never stored. Gone later: dropped while we read.
    if (found === null) throw new Failure(first === null ? "source.not-found" : "source.changed");
    first ??= found;
    refuseTooLarge(first.byteSize, options);
    if (found.upload !== first.upload || found.parts !== first.parts) throw unreadableAnswer(part);
    total += found.bytes.byteLength;
    yield found.bytes;
  }
  if (total !== first?.byteSize) throw new Failure("source.changed");
}

type Part = {
  readonly upload: string;
  readonly parts: number;
  readonly byteSize: number;
  readonly bytes: Buffer;
};

function decodePart(answer: unknown, part: number): Part | null {
  const parsed = partAnswer.safeParse(answer);
  if (!parsed.success) throw unreadableAnswer(part);
  if (parsed.data === null) return null;
  const { bytes: base64, byte_size: byteSize, upload, parts } = parsed.data;
  const bytes = Buffer.from(base64, "base64");
  // Buffer skips what is not base64, which would lose bytes silently.
  if (parsed.data.part !== part || bytes.toString("base64") !== base64) throw unreadableAnswer(part);
  return { upload, parts, byteSize, bytes };
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
