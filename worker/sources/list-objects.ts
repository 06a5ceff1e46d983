// What a Storage bucket holds: every object, folder by folder; and one object's size without its bytes.
import { z } from "zod";
import { encodeObject, readAddress } from "./storage.ts";
import { patience, retrying, type StorageAccess, storageClient } from "./storage-client.ts";

export type StoredObject = { readonly path: string; readonly createdAt: Date | null };

const PAGE = 1000;
// Folders still to be looked into: more are a tree that somebody grew on purpose.
const MOST_FOLDERS = 100_000;

const entries = z.array(
  z.object({ name: z.string(), id: z.string().nullable(), created_at: z.coerce.date().nullish() }),
);

/** In no particular order. Throws `source.*`. */
export async function* listObjects(
  access: StorageAccess,
  bucket: string,
  signal: AbortSignal,
): AsyncIterable<StoredObject> {
  const folders = [""];
  let seen = 1;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (let offset = 0; ; offset += PAGE) {
      const page = await listFolder(access, { bucket, folder, offset }, signal);
      for (const { name, id, created_at } of page) {
        const path = folder === "" ? name : `${folder}/${name}`;
        if (id !== null) yield { path, createdAt: created_at ?? null };
        else if (seen < MOST_FOLDERS) folders.push(path);
        if (id === null) seen += 1;
      }
      if (page.length < PAGE) break;
    }
  }
}

async function listFolder(
  access: StorageAccess,
  { bucket, folder, offset }: { readonly bucket: string; readonly folder: string; readonly offset: number },
  signal: AbortSignal,
) {
  const waiting = patience(access, signal);
  try {
    return await retrying(access, waiting.signal, async () => {
      const { data, error } = await (await storageClient(access, waiting.signal))
        .from(bucket)
        .list(folder, { limit: PAGE, offset, sortBy: { column: "name", order: "asc" } });
      if (error) throw error;
      return entries.parse(data);
    });
  } finally {
    waiting.end();
  }
}

const objectInfo = z.object({ size: z.number().nullish() });

/** The size of a `storage://` object, null where Storage does not tell. Throws `source.not-found` and other `source.*`. */
export async function sizeOfObject(
  access: StorageAccess,
  uri: string,
  signal: AbortSignal,
): Promise<number | null> {
  const object = encodeObject(readAddress(uri));
  const waiting = patience(access, signal);
  try {
    return await retrying(access, waiting.signal, async () => {
      const { data, error } = await (await storageClient(access, waiting.signal))
        .from(object.bucket)
        .info(object.path);
      if (error) throw error;
      return objectInfo.parse(data).size ?? null;
    });
  } finally {
    waiting.end();
  }
}
