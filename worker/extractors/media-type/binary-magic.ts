// What we do not read, by its bytes, so that the message can name it.
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

/** What an OLE file holds, by the name of a stream (MS-CFB writes names in UTF-16), and how it is told to its owner. */
export const OLE_KINDS: readonly {
  readonly stream: string;
  readonly mediaType: string;
  readonly says: string;
}[] = [
  {
    stream: "WordDocument",
    mediaType: "application/msword",
    says: "This is a document of Word 97-2003 (.doc). Save it as .docx and upload it again.",
  },
  {
    stream: "Workbook",
    mediaType: "application/vnd.ms-excel",
    says: "This is a workbook of Excel 97-2003 (.xls). Save it as .xlsx and upload it again.",
  },
  {
    stream: "PowerPoint Document",
    mediaType: "application/vnd.ms-powerpoint",
    says: "This is a presentation of PowerPoint 97-2003 (.ppt). Save it as .pptx and upload it again.",
  },
  {
    stream: "__properties_version1.0",
    mediaType: "application/vnd.ms-outlook",
    says: "This is a message of Outlook (.msg). Save it as .eml or text and upload it again.",
  },
];
/** The stream that wraps an encrypted DOCX, PPTX or XLSX (MS-OFFCRYPTO, 1.3.3). */
const ENCRYPTED = "EncryptedPackage";

/** `encrypted`, a kind of OLE_KINDS, or null. A document inside of another is told from the one that holds it by place. */
export async function detectOle(path: string): Promise<"encrypted" | (typeof OLE_KINDS)[number] | null> {
  const names = [ENCRYPTED, ...OLE_KINDS.map(({ stream }) => stream)].map((name) =>
    Buffer.from(name, "utf16le"),
  );
  const overlap = Math.max(...names.map((name) => name.length));
  let first: number | null = null;
  const handle = await open(path, "r");
  try {
    const buffer = Buffer.alloc(SCAN_CHUNK + overlap);
    for (let at = 0; at < OLE_SCAN_BYTES; at += SCAN_CHUNK) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      const places = names.map((name) => buffer.subarray(0, bytesRead).indexOf(name));
      if ((places[0] ?? -1) >= 0) return "encrypted";
      const found = places.map((place, name) => ({ place, name })).filter(({ place }) => place >= 0);
      first ??= found.toSorted((one, other) => one.place - other.place)[0]?.name ?? null;
      if (bytesRead < buffer.length) break;
    }
  } finally {
    await handle.close();
  }
  return first === null ? null : (OLE_KINDS[first - 1] ?? null);
}
