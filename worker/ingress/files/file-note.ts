// What is noted of a file when it is enqueued, so that the next look need not open it.
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { readUnchanging } from "../../sources/file.ts";
import type { FoundFile } from "./find-files.ts";
import type { ChunkSettings } from "./read-as.ts";
import { readAs } from "./read-as.ts";

export type Place = {
  /** 'root' for the document root, which all replicas share; else the name of this machine. */
  readonly place: string;
  /** Of a found file, as it is noted. */
  pathOf(absolute: string): string;
};

export type FileNote = {
  readonly place: string;
  readonly path: string;
  readonly byte_size: number;
  readonly modified_us: number | null;
  readonly content_sha256: string;
  readonly read_as: string;
};

// As git does with files as young as its index: whatever writes to it now may leave size and time as they are.
const TOO_YOUNG_US = 2_000_000;

/** Reads the file to its end. Throws `source.changed` when somebody writes to it, and other `source.*`. */
export async function noteFile(
  found: FoundFile,
  { place, pathOf }: Place,
  config: ChunkSettings,
): Promise<FileNote> {
  const file = await open(found.path, "r");
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    const { mtimeMs } = await file.stat();
    for await (const part of readUnchanging(file, await file.stat({ bigint: true }))) {
      hash.update(part);
      bytes += part.byteLength;
    }
    const modifiedUs = Math.round(mtimeMs * 1000);
    return {
      place,
      path: pathOf(found.path),
      byte_size: bytes,
      modified_us: Date.now() * 1000 - modifiedUs < TOO_YOUNG_US ? null : modifiedUs,
      content_sha256: hash.digest("hex"),
      read_as: readAs(config),
    };
  } finally {
    await file.close();
  }
}
