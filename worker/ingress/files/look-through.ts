// One look through files: what is as it was is passed over unopened, what was moved keeps its document, what is new
// or changed is enqueued, and what is gone is deleted where that is the policy. Used by `rag ingest` and by the watch.
import pLimit from "p-limit";
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import { fileUri } from "../../sources/file.ts";
import { type EnqueuedFile, enqueueFile, type Intake } from "./enqueue-file.ts";
import { type FileNote, noteFile, type Place } from "./file-note.ts";
import { type Found, type FoundFile, pathFailure } from "./find-files.ts";
import { compareFiles, type Differing, findGone, type GoneFile, type Owner } from "./known-files.ts";
import type { ChunkSettings } from "./read-as.ts";

export type Look = {
  readonly intake: Intake & { readonly config: ChunkSettings };
  readonly place: Place;
  /** Folders whose missing files are looked for; empty where only single files were named. */
  readonly folders: readonly { readonly noted: string; readonly absoluteOf: (noted: string) => string }[];
  readonly files: AsyncIterable<Found>;
  /** Whether a link to a file is none of them, as of `findFiles`; else it is there while what it leads to is. */
  readonly withoutLinks: boolean;
  /** The root, where files are taken by reference; null where they travel, and are not known again elsewhere. */
  readonly root: string | null;
  /** delete: also when most of them are gone; guarded: not then. */
  readonly onMissing: "keep" | "guarded" | "delete";
  /** Whether a file may be taken now; one that still grows is left for later. */
  readonly isSettled: (file: FoundFile) => boolean;
  /** Every file is enqueued, whatever is noted of it. */
  readonly force: boolean;
  /** A document that is still on its way is enqueued again. */
  readonly finished: boolean;
  readonly lanes: number;
};

export type Told = {
  found(file: FoundFile): void;
  /** As it was: nothing is to be done. */
  unchanged(path: string): void;
  enqueued(file: EnqueuedFile): void;
  moved(path: string): void;
  growing(path: string): void;
  skipped(why: string): void;
  failed(source: string, failure: Failure): void;
};

export type Looked = { readonly gone: number; readonly deleted: number };

const PAGE = 1000;
// So few may all be gone: somebody tidied up.
const FEW = 20;
const DELETED_AT_ONCE = 100;
const DELETE_TURNS = 1000;

/** Throws `database.*`, `ingress.too-many-gone` (nothing was deleted), and the signal's reason. */
export async function lookThrough(look: Look, told: Told, signal: AbortSignal): Promise<Looked> {
  const { call, labels } = look.intake;
  const gone = new Map<string, GoneFile[]>();
  let missing = 0;
  let known = 0;
  for (const folder of look.folders) {
    const found = await findGone(
      call,
      folder,
      { place: look.place.place, withoutLinks: look.withoutLinks },
      labels,
      signal,
    );
    known += found.known;
    missing += found.gone.length;
    for (const one of found.gone) gone.set(one.sha256, [...(gone.get(one.sha256) ?? []), one]);
  }
  const limit = pLimit(look.lanes);
  let page: FoundFile[] = [];
  const flush = async () => {
    const files = page;
    page = [];
    const differing = look.force
      ? files.map((file) => ({ file, known: UNKNOWN }))
      : await compareFiles(
          call,
          files,
          look.place,
          { ...ownerOf(labels), finished: look.finished },
          look.intake.config,
        );
    const changed = new Set(differing.map(({ file }) => file));
    for (const file of files) if (!changed.has(file)) told.unchanged(file.path);
    await Promise.all(differing.map((one) => limit(() => takeOne(look, told, one, gone, signal))));
  };
  for await (const found of look.files) {
    signal.throwIfAborted();
    if (found.kind === "skipped") told.skipped(found.why);
    else if (found.kind === "missing") told.failed(found.source, found.failure);
    else if (!look.isSettled(found)) told.growing(found.path);
    else {
      told.found(found);
      page.push(found);
      if (page.length >= PAGE) await flush();
    }
  }
  if (page.length > 0) await flush();
  const left = [...gone.values()].flat();
  if (look.onMissing === "keep" || left.length === 0) return { gone: left.length, deleted: 0 };
  if (look.onMissing === "guarded" && missing > FEW && missing * 2 > known)
    throw new Failure("ingress.too-many-gone", { facts: { gone: missing, known } });
  return { gone: left.length, deleted: await deleteGone(call, left, signal) };
}

async function takeOne(
  look: Look,
  told: Told,
  { file, known }: Differing,
  gone: Map<string, GoneFile[]>,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted) return;
  try {
    const { call } = look.intake;
    refuseLarge(file, look.intake);
    const note = await noteFile(file, look.place, look.intake.config);
    if (known?.settled && known.sha256 === note.content_sha256) {
      await call("rag_note_file", { p_file: { ...note, document_id: known.documentId } });
      return told.unchanged(file.path);
    }
    if (known === null && (await moved(look, file, note, gone))) return told.moved(file.path);
    told.enqueued(await enqueueFile(file, look.intake, signal, note));
  } catch (thrown) {
    signal.throwIfAborted();
    const failure = pathFailure(thrown);
    // Somebody writes to it this moment: the next look finds it.
    if (failure.code === "source.changed") return told.growing(file.path);
    if (!isOfOneFile(failure)) throw failure;
    told.failed(file.path, failure);
  }
}

/** A content that is gone from its old path and appears at this one is the same document. */
async function moved(
  look: Look,
  file: FoundFile,
  note: FileNote,
  gone: Map<string, GoneFile[]>,
): Promise<boolean> {
  const same = gone.get(note.content_sha256) ?? [];
  for (let from = same.shift(); from !== undefined; from = same.shift()) {
    const uri =
      look.root === null ? `inline:${file.path.replaceAll("%", "%25")}` : fileUri(look.root, file.path);
    const to = { path: note.path, source_uri: uri, byte_size: note.byte_size, modified_us: note.modified_us };
    const answer = await look.intake.call("rag_move_file", {
      p_document_id: from.documentId,
      p_from: from.path,
      p_to: to,
    });
    if (answer === "moved") return true;
    if (answer === "taken") {
      same.unshift(from); // It stays gone.
      return false;
    }
  }
  return false;
}

function refuseLarge({ byteSize }: FoundFile, { config }: Intake): void {
  const mostBytes = config.maxFileMb * 1024 * 1024;
  if (byteSize > mostBytes) throw new Failure("source.too-large", { facts: { bytes: byteSize, mostBytes } });
}

async function deleteGone(call: SqlCall, gone: readonly GoneFile[], signal: AbortSignal): Promise<number> {
  let deleted = 0;
  for (let from = 0; from < gone.length; from += DELETED_AT_ONCE) {
    const ids = gone.slice(from, from + DELETED_AT_ONCE).map(({ documentId }) => documentId);
    for (let turn = 0; turn < DELETE_TURNS; turn += 1) {
      signal.throwIfAborted();
      const answer = await call("rag_delete_documents", { p_filter: { document_ids: ids } });
      // SAFETY: what the function answers without p_dry_run.
      const step = answer as { readonly deleted: number; readonly more: boolean };
      deleted += step.deleted;
      if (!step.more) break;
    }
  }
  return deleted;
}

const ownerOf = ({ tenant, collection, tags }: Owner): Owner => ({ tenant, collection, tags });

const UNKNOWN = { documentId: "", sha256: "", settled: false };

/** What keeps one file from being taken, and no other. */
export const isOfOneFile = (failure: Failure) =>
  failure.code.startsWith("source.") && failure.kind !== "misconfigured" && failure.kind !== "waiting";
