// Rows of rag_document_chunks in the binary format of COPY. Source: PostgreSQL documentation, COPY, "Binary Format";
// pgvector's vector_send (dimensions as int16, an unused int16, then float32, all big-endian).
import type { Chunk } from "../../../worker/document/chunk.ts";

const FIELDS = [
  "document_id",
  "generation",
  "chunk_index",
  "tenant_id",
  "content",
  "content_sha256",
  "embed_sha256",
  "char_start",
  "char_end",
  "char_count",
  "token_count",
  "section",
  "segment_from",
  "segment_to",
  "embed_prefix",
  "embedding",
  "embedding_model",
];
export const COLUMNS = FIELDS.join(", ");

const HEADER = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const LEAST_ROOM = 1 << 20;

export class CopyBuffer {
  #bytes = Buffer.allocUnsafe(LEAST_ROOM);
  #at = HEADER.copy(this.#bytes);

  /** `vector`: little-endian float32; turned around in place. */
  addChunk(documentId: string, chunk: Chunk, sha256: string, vector: Buffer, model: string): void {
    // Three bytes a UTF-16 unit at most; the rest of a row is far below 1 KB.
    this.#makeRoom(
      3 * (chunk.content.length + chunk.embedPrefix.length + (chunk.section?.length ?? 0)) +
        vector.byteLength +
        1024,
    );
    this.#at = this.#bytes.writeInt16BE(FIELDS.length, this.#at);
    const uuid = Buffer.from(documentId.replaceAll("-", ""), "hex");
    this.#value(uuid);
    this.#int(1);
    this.#int(chunk.chunkIndex);
    for (const text of ["default", chunk.content, sha256, sha256]) this.#text(text);
    for (const int of [chunk.charStart, chunk.charEnd, chunk.charEnd - chunk.charStart, chunk.tokenCount])
      this.#int(int);
    if (chunk.section === null) this.#at = this.#bytes.writeInt32BE(-1, this.#at);
    else this.#text(chunk.section);
    this.#int(chunk.segmentFrom);
    this.#int(chunk.segmentTo);
    this.#text(chunk.embedPrefix);
    this.#at = this.#bytes.writeInt32BE(4 + vector.byteLength, this.#at);
    this.#at = this.#bytes.writeInt16BE(vector.byteLength / 4, this.#at);
    this.#at = this.#bytes.writeInt16BE(0, this.#at);
    this.#at += vector.swap32().copy(this.#bytes, this.#at);
    this.#text(model);
  }

  /** All rows and the trailer. */
  end(): Buffer {
    this.#makeRoom(2);
    this.#at = this.#bytes.writeInt16BE(-1, this.#at);
    return this.#bytes.subarray(0, this.#at);
  }

  #int(value: number): void {
    this.#at = this.#bytes.writeInt32BE(4, this.#at);
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
  }

  #text(value: string): void {
    const length = this.#bytes.write(value, this.#at + 4, "utf8");
    this.#bytes.writeInt32BE(length, this.#at);
    this.#at += 4 + length;
  }

  #value(value: Buffer): void {
    this.#at = this.#bytes.writeInt32BE(value.byteLength, this.#at);
    this.#at += value.copy(this.#bytes, this.#at);
  }

  #makeRoom(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.byteLength) return;
    const larger = Buffer.allocUnsafe(2 * this.#bytes.byteLength + bytes);
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}
