// One pass over a file that counts what decides its encoding, with bounded memory.
// The sample begins near the first byte that is not ASCII: a log may hold its only accent at megabyte 70.
import { isAscii, isUtf8 } from "node:buffer";
import { readChunks } from "../read-chunks.ts";

const SAMPLE_BYTES = 1 << 16;

export type ByteSurvey = {
  /** The first 64 KiB. */
  readonly head: Buffer;
  /** 64 KiB from the line with the first byte that is not ASCII; the head where all are. */
  readonly sample: Buffer;
  readonly validUtf8: boolean;
  readonly ascii: boolean;
  /** NUL and other C0 controls that text does not hold, in the head. */
  readonly controls: number;
  /** Well-formed UTF-8 sequences of two bytes and more (surrogates included) and bytes outside of any; counted in the sample of a file that is not valid UTF-8, 0 in others. */
  readonly multibyte: number;
  readonly broken: number;
};

export function surveyBytes(path: string): ByteSurvey {
  const head = createCollector();
  const sample = createCollector();
  let validUtf8 = true;
  let carried: Buffer = Buffer.alloc(0);
  for (const bytes of readChunks(path)) {
    head.add(bytes);
    sample.add(sample.started ? bytes : fromFirstHighByte(bytes));
    if (!validUtf8 && sample.full) break;
    const all = carried.length === 0 ? bytes : Buffer.concat([carried, bytes]);
    const end = endOfWholeCharacters(all);
    if (validUtf8) validUtf8 = isUtf8(all.subarray(0, end));
    carried = Buffer.from(all.subarray(end));
  }
  if (carried.length > 0) validUtf8 = false;
  const kept = sample.started ? sample.take() : head.take();
  return {
    head: head.take(),
    sample: kept,
    validUtf8,
    ascii: validUtf8 && !sample.started,
    controls: countControls(head.take()),
    // Byte by byte it was a twelfth of reading a Markdown file, and nobody asks of a file that is valid.
    ...(validUtf8 ? { multibyte: 0, broken: 0 } : countSequences(kept)),
  };
}

function createCollector() {
  const parts: Buffer[] = [];
  let length = 0;
  return {
    get started() {
      return length > 0;
    },
    get full() {
      return length >= SAMPLE_BYTES;
    },
    add(bytes: Buffer): void {
      if (length >= SAMPLE_BYTES || bytes.length === 0) return;
      const part = Buffer.from(bytes.subarray(0, SAMPLE_BYTES - length));
      parts.push(part);
      length += part.length;
    },
    take: (): Buffer => Buffer.concat(parts),
  };
}

function fromFirstHighByte(bytes: Buffer): Buffer {
  if (isAscii(bytes)) return bytes.subarray(0, 0);
  const at = bytes.findIndex((byte) => byte >= 0x80);
  const lineStart = at === 0 ? 0 : bytes.lastIndexOf(0x0a, at - 1) + 1;
  return bytes.subarray(Math.max(lineStart, at - 1_024));
}

/** Leaves out a sequence that the end of the chunk cuts. */
function endOfWholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) return sequenceLength(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

function sequenceLength(lead: number): number {
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xc2 && lead < 0xe0 ? 2 : 1;
}

function countControls(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 9 || (byte > 13 && byte < 32 && byte !== 27)) count += 1;
  }
  return count;
}

function countSequences(bytes: Buffer): { multibyte: number; broken: number } {
  let multibyte = 0;
  let broken = 0;
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at] ?? 0;
    const length = lead < 0x80 ? 1 : sequenceLength(lead);
    const whole = isSequence(bytes, at, length);
    if (lead >= 0x80 && whole) multibyte += 1;
    if (lead >= 0x80 && !whole) broken += 1;
    at += whole ? length : 1;
  }
  return { multibyte, broken };
}

function isSequence(bytes: Buffer, at: number, length: number): boolean {
  if (length === 1) return (bytes[at] ?? 0) < 0x80;
  for (let next = 1; next < length; next += 1) if (((bytes[at + next] ?? 0) & 0xc0) !== 0x80) return false;
  return true;
}
