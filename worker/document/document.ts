// The thing a user wants to find again, as the queue hands it over with a claim.

export type DocumentKind = "file" | "transcript" | "entity";

export type Document = {
  readonly id: string;
  readonly title: string | null;
  /** `storage://bucket/path`, `file:///relative/to/root` or `inline:name`; null for a transcript. */
  readonly sourceUri: string | null;
  readonly kind: DocumentKind;
  readonly version: string | null;
  /** As declared by whoever wrote the row: a hint, the bytes decide. */
  readonly mediaType: string | null;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Who is told of it. */
  readonly userId?: string | null;
};

/** The bytes of a document, copied to a temporary file that belongs to one job. */
export type Original = {
  /** Absolute path of the temporary copy. The extractor sees nothing else of the disk. */
  readonly path: string;
  /** File name for messages and as the last hint to its type. */
  readonly name: string;
  readonly byteSize: number;
  /** Lower-case hex SHA-256 of the bytes. */
  readonly sha256: string;
  readonly declaredMediaType: string | null;
  /** Opens an encrypted file; from the document's metadata, never logged. */
  readonly password?: string;
  /** Removes the temporary copy; safe to call twice. */
  dispose(): Promise<void>;
};
