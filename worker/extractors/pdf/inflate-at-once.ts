// What pdf.js takes for the platform's DecompressionStream: all of a stream is in memory there already, so it is
// inflated in one call. Two web streams and a thread between them cost five times as much for a page's few kilobytes
// and refuse a line end behind the data, which sends pdf.js to its slow decoder (6 % of a document's CPU time).
import { brotliDecompressSync, inflateRawSync, inflateSync } from "node:zlib";

/** More from one stream goes to pdf.js's own decoder, within the process's memory limit. */
const MAX_INFLATED = 256 << 20;

type Inflate = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;

const formats: Readonly<Record<string, Inflate>> = {
  deflate: inflateSync,
  "deflate-raw": inflateRawSync,
  brotli: brotliDecompressSync,
};

/** The part of DecompressionStream that pdf.js uses: one write, one close, then reads to the end. */
export class InflateAtOnce {
  readonly writable = {
    getWriter: () => ({ write: (bytes: Uint8Array) => this.#take(bytes), close: async () => {} }),
  };
  readonly readable = { getReader: () => ({ read: () => this.#give() }) };
  readonly #inflate: Inflate;
  #bytes: Uint8Array | null = null;

  /** Throws a TypeError for a format it does not know, as the platform does. */
  constructor(format: string) {
    const inflate = formats[format];
    if (inflate === undefined) throw new TypeError(`unknown format ${format}`);
    this.#inflate = inflate;
  }

  async #take(bytes: Uint8Array): Promise<void> {
    this.#bytes = bytes;
  }

  /** Rejects where the data is damaged or cut off. */
  async #give(): Promise<{ readonly value?: Uint8Array; readonly done: boolean }> {
    const bytes = this.#bytes;
    if (bytes === null) return { done: true };
    this.#bytes = null;
    const { buffer, byteOffset, byteLength } = this.#inflate(bytes, { maxOutputLength: MAX_INFLATED });
    return { value: new Uint8Array(buffer, byteOffset, byteLength), done: false };
  }
}
