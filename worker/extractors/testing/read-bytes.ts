// For tests of this shelf: writes bytes to a file of their own, reads them as the child would, removes them.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Original } from "../../document/document.ts";
import type { Segment } from "../../document/segment.ts";
import { Failure } from "../../failure/failure.ts";
import type { Extraction } from "../extractor.ts";
import { readFileSegments } from "../open-extractor.ts";

export type Reading = {
  /** The last one said. */
  readonly extraction: Extraction;
  readonly segments: readonly Segment[];
  /** The document's source: the segments joined. */
  readonly text: string;
};

type Hints = { readonly mediaType?: string; readonly maxChars?: number; readonly password?: string };

/** Reads bytes in this process. */
export async function readBytes(
  name: string,
  bytes: string | Uint8Array,
  hints: Hints = {},
): Promise<Reading> {
  const original = await writeOriginal(name, bytes, hints.mediaType);
  try {
    const segments: Segment[] = [];
    let extraction: Extraction | null = null;
    const { maxChars = 10_000_000, password } = hints;
    const file = { ...original, maxChars, ...(password !== undefined && { password }) };
    for await (const item of readFileSegments(file)) {
      if (item.kind === "segment") segments.push(item.segment);
      if (item.kind === "extraction") extraction = item.extraction;
    }
    if (extraction === null) throw new Error("the reader said nothing about the document");
    return { extraction, segments, text: segments.map((segment) => segment.content).join("") };
  } finally {
    await original.dispose();
  }
}

/** The code of the failure that reading ends with. */
export async function failureOf(reading: Promise<unknown>): Promise<string> {
  return await reading.then(
    () => "no failure",
    (thrown: unknown) => (thrown instanceof Failure ? thrown.code : `not a Failure: ${String(thrown)}`),
  );
}

export async function writeOriginal(
  name: string,
  bytes: string | Uint8Array,
  declaredMediaType: string | null = null,
): Promise<Original> {
  const folder = await mkdtemp(join(tmpdir(), "rag-test-"));
  const path = join(folder, "bytes");
  await writeFile(path, bytes);
  return {
    path,
    name,
    byteSize: typeof bytes === "string" ? Buffer.byteLength(bytes) : bytes.length,
    sha256: "",
    declaredMediaType,
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
}
