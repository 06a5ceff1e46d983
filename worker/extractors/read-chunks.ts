// A file's bytes in pieces. Read at once and not by a stream: a reader has one file and nothing to do meanwhile, and
// the stream's trips through the thread pool were a fifth of reading a short file.
import { closeSync, openSync, readSync } from "node:fs";

const READ_BYTES = 1 << 18;

/** Each piece is the caller's own. The file is closed when the last was taken, or when nobody asks for more. */
export function* readChunks(path: string): Generator<Buffer> {
  const file = openSync(path, "r");
  try {
    for (let size = READ_BYTES; size === READ_BYTES; ) {
      size = fill(file, scratch);
      if (size > 0) yield Buffer.from(scratch.subarray(0, size));
    }
  } finally {
    closeSync(file);
  }
}

const scratch = Buffer.allocUnsafe(READ_BYTES);

/** The file's first bytes, at most so many. */
export function readHead(path: string, bytes: number): Buffer {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.allocUnsafe(bytes);
    return buffer.subarray(0, fill(file, buffer));
  } finally {
    closeSync(file);
  }
}

/** As much as there is room for: less only at the end of the file. */
function fill(file: number, buffer: Buffer): number {
  let filled = 0;
  for (;;) {
    const size = readSync(file, buffer, filled, buffer.length - filled, null);
    filled += size;
    if (size === 0 || filled === buffer.length) return filled;
  }
}
