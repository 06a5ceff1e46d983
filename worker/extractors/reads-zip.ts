// A reader of a format whose files are ZIP archives, from one that is given the archive open.
import type { Extracted, FileToRead, ReadSegments } from "./extractor.ts";
import { openZipArchive, type ZipArchive } from "./zip-archive.ts";

/** Opens the archive of each file, and closes it whatever happens. */
export function readsZip(
  read: (zip: ZipArchive, file: FileToRead) => AsyncGenerator<Extracted>,
): ReadSegments {
  return async function* (file) {
    const zip = await openZipArchive(file.path);
    try {
      yield* read(zip, file);
    } finally {
      zip.close();
    }
  };
}
