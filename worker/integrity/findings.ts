// Every kind of finding: what is wrong, and what its repair does. The codes are stable; SQL says them (rag_validate),
// and the look at originals.

export type Finding = {
  readonly code: FindingCode;
  /** Names it: the same damage has the same subject. */
  readonly subject: string;
  readonly document_id: string | null;
  readonly tenant_id: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
};

type Entry = { readonly says: string; readonly repair: string };

const entry = (says: string, repair: string): Entry => ({ says, repair });

export const findings = {
  "document.not-live": entry(
    "The document says it is ingested, and nothing of it serves.",
    "An earlier whole generation serves again; without one the document is read anew.",
  ),
  "vector.missing": entry(
    "The document serves with fewer chunks than were stored.",
    "It is read anew; what has a vector is not paid for again.",
  ),
  "vector.foreign-model": entry(
    "Among the document's vectors are some of another model or length.",
    "They are removed, and the document is read anew.",
  ),
  "chunk.surplus": entry("The document serves chunks that are not its own.", "They are removed."),
  "segment.missing": entry(
    "The stored text of the document is not whole; its chunks are.",
    "The document is read anew, where its original is still there.",
  ),
  "document.foreign-model": entry(
    "The document serves with a model that is not the live one.",
    "Its stored text is embedded again.",
  ),
  "generation.unlinked": entry(
    "A generation of the document counts as live and serves nobody.",
    "It goes to the collection of garbage.",
  ),
  "chunk.orphaned": entry("Chunks of a document that is gone.", "Whatever is left of it is removed."),
  "segment.orphaned": entry("Text of a document that is gone.", "Whatever is left of it is removed."),
  "generation.orphaned": entry(
    "A generation of a document that is gone.",
    "Whatever is left of it is removed.",
  ),
  "original.orphaned": entry("An upload of a document that is gone.", "Whatever is left of it is removed."),
  "chunk.no-generation": entry(
    "Chunks or text of a generation that the document does not have.",
    "They are removed.",
  ),
  "relationship.orphaned": entry(
    "A relationship with a document that is gone, or of another tenant.",
    "It is removed.",
  ),
  "job.orphaned": entry("A job of a document that is gone.", "It is removed."),
  "job.lost": entry(
    "A job is at work with nobody who holds it, and nobody reaped it.",
    "It goes back into the queue. Start a worker.",
  ),
  "job.impossible": entry("A job's row contradicts itself.", "It is corrected."),
  "job.unplaced": entry(
    "A job has been due for ten minutes without a place in the queue.",
    "It gets one. Start a worker.",
  ),
  "job.waits-for-nothing": entry(
    "A job waits for another one of its document, and there is none.",
    "It may go on.",
  ),
  "original.stale": entry(
    "An upload is kept a day after it was ingested.",
    "It is removed; with RAG_KEEP_ORIGINALS it is none of this.",
  ),
  "original.partial": entry("An upload that never came to its end.", "It is removed."),
  "source.duplicate": entry(
    "Several documents are of one source.",
    "The newest content serves; the others are kept as its history.",
  ),
  "file.changed": entry("The file below the document root is another one now.", "It is ingested again."),
  "file.gone": entry(
    "The file below the document root is gone.",
    "The document is deleted. Not when more than half of the files are: look whether the volume is mounted.",
  ),
  "storage.object-changed": entry("The object in Storage has another size now.", "It is ingested again."),
  "storage.object-gone": entry(
    "The object in Storage is gone.",
    "The document is deleted. Not when more than half of the objects are.",
  ),
  "storage.unknown-object": entry("No document is of this object in RAG_STORAGE_BUCKET.", "It is ingested."),
} as const satisfies Readonly<Record<string, Entry>>;

export type FindingCode = keyof typeof findings;

export const isFindingCode = (code: string): code is FindingCode => Object.hasOwn(findings, code);
