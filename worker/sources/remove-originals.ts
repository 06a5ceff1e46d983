// Takes objects out of Supabase Storage, for documents that are deleted.
import { readAddress } from "./storage.ts";
import { retrying, type StorageAccess, storageClient } from "./storage-client.ts";

// What Storage takes in one request.
const OBJECTS_A_REQUEST = 1000;

/**
 * Removes the objects of these `storage://` addresses; one that is not there is as good as removed, so it is safe to
 * repeat. Answers how many were there. Throws `source.*`.
 */
export async function removeOriginals(
  access: StorageAccess,
  uris: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  let removed = 0;
  const byBucket = Map.groupBy(uris.map(readAddress), ({ bucket }) => bucket);
  for (const [bucket, addresses] of byBucket) {
    const paths = [...new Set(addresses.map(({ path }) => path))];
    for (let from = 0; from < paths.length; from += OBJECTS_A_REQUEST) {
      const some = paths.slice(from, from + OBJECTS_A_REQUEST);
      removed += await retrying(access, signal, async () => {
        const { data, error } = await (await storageClient(access, signal)).from(bucket).remove(some);
        if (error) throw error;
        return data.length;
      });
    }
  }
  return removed;
}
