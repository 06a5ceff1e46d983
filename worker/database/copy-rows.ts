// Chunks as COPY takes them in binary form, and the columns in their order.
// Source: PostgreSQL's documentation of COPY (binary format), pgvector's vector_recv, array_recv.
import type { EmbeddedChunk } from "../document/chunk.ts";

/** What all rows of a generation have in common. */
export type CopyTarget = {
  readonly documentId: string;
  readonly generation: number;
  readonly tenantId: string;
  readonly tags: readonly string[];
  readonly embeddingModel: string;
};

/** The columns that copyRows writes. */
export const COPY_COLUMNS = `document_id, generation, tenant_id, tags, embedding_model, chunk_index, content,
  content_sha256, embed_sha256, char_start, char_end, char_count, token_count, page_number, section, speaker,
  started_ms, ended_ms, segment_from, segment_to, embed_prefix, embedding`;
const COLUMN_COUNT = 22;

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0", "latin1");
const TEXT_TYPE = 25;
// What a row takes beside its texts and its vector: lengths of 22 fields, ids and numbers.
const ROW_BYTES = 250;
const MOST_UTF8_BYTES_A_UNIT = 3;

export const copyBytes = (chunk: EmbeddedChunk): number =>
  ROW_BYTES +
  MOST_UTF8_BYTES_A_UNIT *
    (chunk.content.length +
      chunk.contentSha256.length +
      chunk.embedSha256.length +
      chunk.embedPrefix.length +
      (chunk.section?.length ?? 0) +
      (chunk.speaker?.length ?? 0)) +
  4 * (chunk.embedding?.length ?? 0);

/** The whole of one COPY. Throws when a row has no vector. */
export function copyRows(chunks: readonly EmbeddedChunk[], target: CopyTarget): Buffer {
  const common = new CopyBuffer(ROW_BYTES + MOST_UTF8_BYTES_A_UNIT * textLength(target));
  common.uuid(target.documentId);
  common.int(target.generation);
  common.text(target.tenantId);
  common.texts(target.tags);
  common.text(target.embeddingModel);
  const start = common.written();

  let size = SIGNATURE.length + 10;
  for (const chunk of chunks) size += copyBytes(chunk) + start.length;
  const out = new CopyBuffer(size);
  out.raw(SIGNATURE);
  out.rawInt(0); // No flags.
  out.rawInt(0); // No extension of the header.
  for (const chunk of chunks) {
    if (chunk.embedding === null) throw new Error("a row without a vector cannot be copied");
    out.rawShort(COLUMN_COUNT);
    out.raw(start);
    out.int(chunk.chunkIndex);
    out.text(chunk.content);
    out.text(chunk.contentSha256);
    out.text(chunk.embedSha256);
    out.int(chunk.charStart);
    out.int(chunk.charEnd);
    out.int(chunk.charEnd - chunk.charStart);
    out.int(chunk.tokenCount);
    out.int(chunk.pageNumber);
    out.text(chunk.section);
    out.text(chunk.speaker);
    out.bigint(chunk.startedMs);
    out.bigint(chunk.endedMs);
    out.int(chunk.segmentFrom);
    out.int(chunk.segmentTo);
    out.text(chunk.embedPrefix);
    out.vector(chunk.embedding);
  }
  out.rawShort(-1);
  return out.written();
}

const textLength = ({ tenantId, tags, embeddingModel }: CopyTarget): number =>
  tags.reduce((sum, tag) => sum + tag.length + 4, tenantId.length + embeddingModel.length);

/** Fields with their length in front. Large enough from the start, so that nothing is ever copied twice. */
class CopyBuffer {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafe(size);
  }

  written(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  rawInt(value: number): void {
    this.#at = this.#bytes.writeInt32BE(value, this.#at);
  }

  rawShort(value: number): void {
    this.#at = this.#bytes.writeInt16BE(value, this.#at);
  }

  int(value: number | null): void {
    if (value === null) this.#null();
    else {
      this.rawInt(4);
      this.rawInt(value);
    }
  }

  bigint(value: number | null): void {
    if (value === null) this.#null();
    else {
      this.rawInt(8);
      this.#at = this.#bytes.writeBigInt64BE(BigInt(value), this.#at);
    }
  }

  uuid(value: string): void {
    this.rawInt(16);
    this.#at += this.#bytes.write(value.replaceAll("-", ""), this.#at, "hex");
  }

  text(value: string | null): void {
    if (value === null) this.#null();
    else {
      const length = this.#bytes.write(value, this.#at + 4, "utf8");
      this.rawInt(length);
      this.#at += length;
    }
  }

  texts(values: readonly string[]): void {
    const lengthAt = this.#at;
    this.rawInt(0); // Known below.
    this.rawInt(values.length === 0 ? 0 : 1); // Dimensions.
    this.rawInt(0); // No nulls.
    this.rawInt(TEXT_TYPE);
    if (values.length > 0) {
      this.rawInt(values.length);
      this.rawInt(1); // Counted from one.
      for (const value of values) this.text(value);
    }
    this.#bytes.writeInt32BE(this.#at - lengthAt - 4, lengthAt);
  }

  /** The floats as they lie in memory, turned round in place: 1 microsecond for 1,536 of them. */
  vector(values: Float32Array): void {
    this.rawInt(4 + values.byteLength);
    this.rawShort(values.length);
    this.rawShort(0);
    const place = this.#bytes.subarray(this.#at, this.#at + values.byteLength);
    place.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    if (IS_LITTLE_ENDIAN) place.swap32();
    this.#at += values.byteLength;
  }

  #null(): void {
    this.rawInt(-1);
  }
}

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
