// Puts a local file into Supabase Storage, so that a replica on any machine can read it.
// Storage allows only ASCII names: others are spelled in ASCII, with a short hash so that two never meet.
import { createHash } from "node:crypto";
import { openAsBlob } from "node:fs";
import { encodeObject, storageUri } from "./storage.ts";
import { retrying, type StorageAccess, storageClient } from "./storage-client.ts";

type Upload = {
  readonly bucket: string;
  readonly path: string;
  readonly file: string;
  readonly mediaType?: string;
};

/**
 * Uploads a file under a path of the bucket, replacing what is there; safe to repeat. Streams from the disk.
 * Answers the object's address, whose path is `asciiPath(path)`. Throws `source.*`.
 */
export async function uploadOriginal(
  access: StorageAccess,
  upload: Upload,
  signal: AbortSignal,
): Promise<string> {
  const path = asciiPath(upload.path);
  const object = encodeObject({ bucket: upload.bucket, path });
  const type = upload.mediaType ?? "application/octet-stream";
  await retrying(access, signal, async () => {
    const body = await openAsBlob(upload.file, { type });
    const bucket = (await storageClient(access, signal)).from(object.bucket);
    const { error } = await bucket.upload(object.path, body, { upsert: true, contentType: type });
    if (error) throw error;
  });
  return storageUri(upload.bucket, path);
}

/** The path with each name spelled in what Storage allows; a name that is allowed stays as it is. */
export function asciiPath(path: string): string {
  return path.split("/").map(asciiName).join("/");
}

function asciiName(name: string): string {
  if (/^[\w!\-.*'() &$@=;:+,?]+$/.test(name) && !/^\.{1,2}$/.test(name)) return name;
  const hash = createHash("sha256").update(name.normalize("NFC")).digest("hex").slice(0, 8);
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  return `${spell(stem) || "file"}-${hash}${spell(ending)}`;
}

// NFKD parts a letter from its marks; what has no ASCII spelling becomes one underscore a run.
const spell = (text: string) =>
  text
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^\w.-]+/g, "_");
