// Originals in Supabase Storage: storage://bucket/path.
// The path comes from a row that an application wrote: it must stay the name of an object. supabase-js
// puts it into the URL as it is, where `..` would reach any other part of the API with our key.
import { posix } from "node:path";
import { z } from "zod";
import { Failure } from "../failure/failure.ts";
import type { Source } from "./source.ts";
import { type Patience, patience, retrying, type StorageAccess, storageClient } from "./storage-client.ts";
import { storageFailure } from "./storage-failure.ts";
import { type CopyLimits, copyToTemporary, refuseTooLarge } from "./temporary-copy.ts";

export type Address = { readonly bucket: string; readonly path: string };

const objectInfo = z.object({
  size: z.number().int().nonnegative().nullish(),
  contentType: z.string().nullish(),
  contentEncoding: z.string().nullish(),
});
type ObjectInfo = z.infer<typeof objectInfo>;

export function openStorageSource(options: CopyLimits & StorageAccess): Source {
  return {
    scheme: "storage",
    async fetch(document, signal) {
      const address = addressOf(document.sourceUri ?? "");
      try {
        return await retrying(options, signal, () => download(address, document.mediaType, options, signal));
      } catch (thrown) {
        if (isMissingBucket(thrown) && (await seesAnyBucket(options, signal)))
          throw new Failure("source.not-found", {
            says: "The document's address names a bucket that does not exist. Correct its address.",
            cause: thrown,
          });
        throw thrown;
      }
    },
  };
}

/** The address of an object in a bucket, as `fetch` reads it back. */
export function storageUri(bucket: string, path: string): string {
  return `storage://${[bucket, ...path.split("/")].map(encodeURIComponent).join("/")}`;
}

/** Each name encoded for a URL. Throws `source.not-found` for what cannot be an object's name. */
export function encodeObject(address: Address): Address {
  const names = [address.bucket, ...address.path.split("/")];
  if (names.some((name) => name === "" || name === "." || name === ".." || !name.isWellFormed()))
    throw new Failure("source.not-found", {
      says: "The document's address is not the name of an object (storage://bucket/path). Correct it.",
    });
  const [bucket = "", ...path] = names.map(encodeURIComponent);
  return { bucket, path: path.join("/") };
}

const addressOf = (uri: string): Address => encodeObject(readAddress(uri));

/** Bucket and path by their plain names. Throws `source.not-found` for what cannot be an object's address. */
export function readAddress(uri: string): Address {
  const raw = uri.slice("storage://".length);
  const slash = raw.indexOf("/");
  const isAddress = uri.startsWith("storage://") && slash > 0;
  const asItStands = isAddress
    ? { bucket: raw.slice(0, slash), path: raw.slice(slash + 1) }
    : { bucket: "", path: "" };
  const address = decoded(asItStands) ?? asItStands;
  encodeObject(address);
  return address;
}

// Applications join bucket and name as they stand, or encode them. Storage allows no % in a name, so that both can
// be read without doubt.
function decoded({ bucket, path }: Address): Address | null {
  try {
    return { bucket: decodeURIComponent(bucket), path: decodeURIComponent(path) };
  } catch {
    return null;
  }
}

async function download(
  address: Address,
  mediaType: string | null,
  options: CopyLimits & StorageAccess,
  signal: AbortSignal,
) {
  const waiting = patience(options, signal);
  try {
    const object = (await storageClient(options, waiting.signal)).from(address.bucket);
    const answer = await object.info(address.path);
    if (answer.error) throw answer.error;
    const info = objectInfo.parse(answer.data);
    refuseTooLarge(info.size ?? 0, options);
    waiting.refresh();
    const body = await object.download(address.path).asStream();
    if (body.error) throw body.error;
    const about = {
      name: decodeURIComponent(posix.basename(address.path)),
      declaredMediaType: mediaType ?? info.contentType ?? null,
    };
    return await copyToTemporary(wholeBody(body.data, info, waiting), about, options, waiting.signal);
  } finally {
    waiting.end();
  }
}

/** Yields the body; throws `source.changed` when it is not the object whose size was told. */
async function* wholeBody(
  body: AsyncIterable<Uint8Array> | null,
  info: ObjectInfo,
  waiting: Patience,
): AsyncIterable<Uint8Array> {
  let total = 0;
  for await (const chunk of body ?? []) {
    waiting.refresh();
    total += chunk.byteLength;
    yield chunk;
  }
  // The told size is that of the stored bytes; fetch has unpacked what is stored compressed.
  const comparable = info.size != null && (info.contentEncoding ?? "identity") === "identity";
  if (comparable && total !== info.size)
    throw new Failure("source.changed", { facts: { bytesTold: info.size, bytesRead: total } });
}

const isMissingBucket = (thrown: unknown) =>
  thrown instanceof Failure && thrown.facts.storageCode === "NoSuchBucket";

// With a key that is not the service role's, every bucket looks missing. One document's typing error must
// not stop the worker, and a wrong key must not fail every document: a key that sees a bucket is right.
async function seesAnyBucket(options: StorageAccess, signal: AbortSignal): Promise<boolean> {
  const waiting = patience(options, signal);
  try {
    return await retrying(options, waiting.signal, async () => {
      const client = await storageClient(options, waiting.signal);
      const { data, error } = await client.listBuckets({ limit: 1 });
      if (error) throw storageFailure(error);
      return data.length > 0;
    });
  } catch (thrown) {
    signal.throwIfAborted();
    if (thrown instanceof Failure && thrown.kind === "misconfigured") return false;
    throw thrown;
  } finally {
    waiting.end();
  }
}
