// Reads what stands in front of a model file's weights (GGUF): its metadata and where its tensors lie.
// The layout is https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; version 1 and big-endian are refused.
// Whatever a length in the file says, no more is read than the file has.
import { open } from "node:fs/promises";

export type GgufValue = number | boolean | string | readonly (number | string)[];

export type GgufHeader = {
  readonly values: ReadonlyMap<string, GgufValue>;
  /** Bytes that the file must have at least to hold every tensor whose type we know. */
  readonly neededBytes: number;
  readonly fileBytes: number;
};

const FIRST_READ = 4 << 20;
// A vocabulary of 262,144 entries with merges takes 15 MB.
const MOST_HEADER_BYTES = 256 << 20;
const MOST_ENTRIES = 1_000_000;

/** Throws an Error in words for a file that is no GGUF or ends within its header; what `open` throws otherwise. */
export async function readGgufHeader(path: string): Promise<GgufHeader> {
  const file = await open(path);
  try {
    const { size: fileBytes } = await file.stat();
    for (let wanted = Math.min(FIRST_READ, fileBytes); ; wanted = Math.min(wanted * 4, fileBytes)) {
      const bytes = Buffer.alloc(wanted);
      const { bytesRead } = await file.read(bytes, 0, wanted, 0);
      try {
        return { ...parse(new Cursor(bytes.subarray(0, bytesRead))), fileBytes };
      } catch (thrown) {
        if (!(thrown instanceof PastTheEnd)) throw thrown;
        if (wanted >= fileBytes || bytesRead < wanted) throw new Error("it is cut short");
        if (wanted >= MOST_HEADER_BYTES) throw new Error("its header is larger than any we know");
      }
    }
  } finally {
    await file.close();
  }
}

/** The bytes end before what is to be read: they are few, or the file is cut. */
class PastTheEnd extends Error {}

class Cursor {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The place of the next `length` bytes, which are passed. */
  take(length: number): number {
    const from = this.at;
    if (from + length > this.#bytes.length) throw new PastTheEnd();
    this.at += length;
    return from;
  }

  u32 = (): number => this.#bytes.readUInt32LE(this.take(4));
  u64 = (): number => Number(this.#bytes.readBigUInt64LE(this.take(8)));

  text(): string {
    const length = this.u64();
    const from = this.take(length);
    return this.#bytes.toString("utf8", from, from + length);
  }

  scalar(type: number): number | boolean | string {
    switch (type) {
      case 0:
        return this.#bytes.readUInt8(this.take(1));
      case 1:
        return this.#bytes.readInt8(this.take(1));
      case 2:
        return this.#bytes.readUInt16LE(this.take(2));
      case 3:
        return this.#bytes.readInt16LE(this.take(2));
      case 4:
        return this.u32();
      case 5:
        return this.#bytes.readInt32LE(this.take(4));
      case 6:
        return this.#bytes.readFloatLE(this.take(4));
      case 7:
        return this.#bytes.readUInt8(this.take(1)) !== 0;
      case 8:
        return this.text();
      case 10:
        return this.u64();
      case 11:
        return Number(this.#bytes.readBigInt64LE(this.take(8)));
      case 12:
        return this.#bytes.readDoubleLE(this.take(8));
      default:
        throw new Error(`its metadata holds a value of the unknown type ${type}`);
    }
  }
}

const ARRAY = 9;

function parse(cursor: Cursor): Pick<GgufHeader, "values" | "neededBytes"> {
  // "GGUF", little-endian.
  if (cursor.u32() !== 0x46554747) throw new Error("it is no GGUF file");
  const version = cursor.u32();
  if (version !== 2 && version !== 3) throw new Error(`it is GGUF of the unknown version ${version}`);
  const tensors = bounded(cursor.u64());
  const entries = bounded(cursor.u64());
  const values = new Map<string, GgufValue>();
  for (let entry = 0; entry < entries; entry += 1) {
    const key = cursor.text();
    const type = cursor.u32();
    values.set(key, type === ARRAY ? readArray(cursor) : cursor.scalar(type));
  }
  return { values, neededBytes: tensorsEnd(cursor, tensors, values.get("general.alignment")) };
}

function readArray(cursor: Cursor): readonly (number | string)[] {
  const type = cursor.u32();
  const length = bounded(cursor.u64());
  const items: (number | string)[] = [];
  for (let item = 0; item < length; item += 1) {
    const value = cursor.scalar(type);
    items.push(typeof value === "boolean" ? Number(value) : value);
  }
  return items;
}

/** Elements and bytes of one block, by ggml's number of the type. */
const BLOCKS: Readonly<Record<number, readonly [elements: number, bytes: number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  24: [1, 1],
  26: [1, 4],
  30: [1, 2],
};

function tensorsEnd(cursor: Cursor, tensors: number, alignment: GgufValue | undefined): number {
  let end = 0;
  for (let tensor = 0; tensor < tensors; tensor += 1) {
    cursor.text();
    let elements = 1;
    for (let left = Math.min(cursor.u32(), 8); left > 0; left -= 1) elements *= cursor.u64();
    // Of a type that is new to us only the beginning is known.
    const [perBlock, bytes] = BLOCKS[cursor.u32()] ?? [1, 0];
    end = Math.max(end, cursor.u64() + Math.ceil(elements / perBlock) * bytes);
  }
  const step = typeof alignment === "number" && alignment > 0 ? alignment : 32;
  return Math.ceil(cursor.at / step) * step + end;
}

function bounded(count: number): number {
  if (count > MOST_ENTRIES) throw new Error("its header is damaged");
  return count;
}
