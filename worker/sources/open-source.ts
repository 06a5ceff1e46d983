// The only place that picks a source: by the scheme of the document's address.
// What is not one of ours is refused. No request is ever made because a document says so: http:// and
// https:// stay unread whatever they point at.
import type { Document, Original } from "../document/document.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { openFileSource } from "./file.ts";
import { openInlineSource } from "./inline.ts";
import type { Source } from "./source.ts";
import { openStorageSource } from "./storage.ts";
import type { StorageAccess } from "./storage-client.ts";
import { type CopyLimits, prepareTempDir } from "./temporary-copy.ts";

export type SourcesOptions = CopyLimits & {
  /** RAG_DOCUMENT_ROOT, or null: file:/// is refused. */
  readonly documentRoot: string | null;
  /** Supabase, or null: storage:// is refused. */
  readonly storage: StorageAccess | null;
  /** The database, for inline:. */
  readonly call: SqlCall;
};

export type Sources = {
  /** Throws Failure `source.*`, or the signal's reason; leaves no temporary file behind when it throws. */
  fetch(document: Document, signal: AbortSignal): Promise<Original>;
};

/** Makes the folder for temporary copies. Throws `config.invalid` when the document root is not a folder. */
export async function openSources(options: SourcesOptions): Promise<Sources> {
  await prepareTempDir(options.tempDir);
  const { documentRoot, storage } = options;
  const sources = new Map<string, Source>([["inline", openInlineSource(options)]]);
  if (documentRoot !== null) sources.set("file", await openFileSource({ ...options, root: documentRoot }));
  if (storage !== null) sources.set("storage", openStorageSource({ ...options, ...storage }));
  return {
    async fetch(document, signal) {
      const scheme = schemeOf(document.sourceUri);
      const source = sources.get(scheme);
      if (source) return await source.fetch(document, signal);
      throw new Failure("source.unsupported", { says: lacking.get(scheme), facts: { scheme } });
    },
  };
}

const lacking: ReadonlyMap<string, string> = new Map([
  [
    "file",
    "The document is a file on a disk, and this worker reads none. Set RAG_DOCUMENT_ROOT or upload the file.",
  ],
  [
    "storage",
    "The document is in Supabase Storage, and this worker knows no project. Set SUPABASE_URL and its key.",
  ],
  ["", "The document has no address. Give it a source_uri."],
]);

// Read by hand: only the letters before the first colon, for the rest may be anything.
const schemeOf = (uri: string | null) =>
  /^([a-z][a-z0-9+.-]{0,19}):/i.exec(uri ?? "")?.[1]?.toLowerCase() ?? "";
