// The first bytes of what we do not read, so that the message can name it.
import { open } from "node:fs/promises";

export const OLE_MAGIC = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/** The directory of an OLE file may lie anywhere, mostly near the beginning or the end. */
const OLE_SCAN_BYTES = 64 << 20;
const SCAN_CHUNK = 1 << 20;

const MAGIC: readonly (readonly [string, string])[] = [
  ["\x89PNG", "image/png"],
  ["\xff\xd8\xff", "image/jpeg"],
  ["GIF8", "image/gif"],
  ["RIFF", "application/x-riff"],
  ["II*\0", "image/tiff"],
  ["MM\0*", "image/tiff"],
  ["BM", "image/bmp"],
  ["\0\0\x01\0", "image/x-icon"],
  ["8BPS", "image/vnd.adobe.photoshop"],
  ["\x7fELF", "application/x-elf"],
  ["MZ", "application/x-msdownload"],
  ["\x1f\x8b", "application/gzip"],
  ["BZh", "application/x-bzip2"],
  ["\xfd7zXZ", "application/x-xz"],
  ["7z\xbc\xaf", "application/x-7z-compressed"],
  ["Rar!", "application/vnd.rar"],
  ["\x28\xb5\x2f\xfd", "application/zstd"],
  ["ID3", "audio/mpeg"],
  ["OggS", "application/ogg"],
  ["fLaC", "audio/flac"],
  ["\x1aE\xdf\xa3", "video/webm"],
  ["SQLite format 3\0", "application/vnd.sqlite3"],
  ["\0asm", "application/wasm"],
  ["\xca\xfe\xba\xbe", "application/java-vm"],
  ["wOFF", "font/woff"],
  ["wOF2", "font/woff2"],
  ["OTTO", "font/otf"],
  ["%!PS", "application/postscript"],
  ["-----BEGIN PGP MESSAGE", "application/pgp-encrypted"],
];

/** Two-letter marks also begin words ("BMW", "MZ"), so they need bytes that text does not hold. */
const SHORT_MARK = 2;

/** The media type of a known binary format, or null. */
export function nameBinary(head: Buffer): string | null {
  const found = MAGIC.find(([magic]) => startsWith(head, magic));
  if (found !== undefined && (found[0].length > SHORT_MARK || head.subarray(0, 512).includes(0)))
    return found[1];
  return head.subarray(4, 8).toString("latin1") === "ftyp" ? "video/mp4" : null;
}

export function startsWith(bytes: Buffer, magic: string): boolean {
  return bytes.subarray(0, magic.length).equals(Buffer.from(magic, "latin1"));
}

/** Whether an OLE file is the wrapping of an encrypted DOCX (MS-OFFCRYPTO: a stream named EncryptedPackage). */
export async function isEncryptedPackage(path: string): Promise<boolean> {
  const name = Buffer.from("EncryptedPackage", "utf16le");
  const handle = await open(path, "r");
  try {
    const buffer = Buffer.alloc(SCAN_CHUNK + name.length);
    for (let at = 0; at < OLE_SCAN_BYTES; at += SCAN_CHUNK) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      if (buffer.subarray(0, bytesRead).includes(name)) return true;
      if (bytesRead < buffer.length) return false;
    }
    return false;
  } finally {
    await handle.close();
  }
}
