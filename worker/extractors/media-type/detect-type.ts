// What a file is, by its bytes. Names and declared types only break ties between kinds of text.
// Whatever is not readable ends here with its reason: encrypted, damaged, empty or not supported.
import { Failure } from "../../failure/failure.ts";
import { chooseEncoding, describeEncoding } from "../encoding/choose-encoding.ts";
import { decodeBytes } from "../encoding/decode-text.ts";
import type { FileToRead, GivenFile } from "../extractor.ts";
import { readHead } from "../read-chunks.ts";
import { openZipArchive } from "../zip-archive.ts";
import { detectOle, nameBinary, OLE_MAGIC, startsWith } from "./binary-magic.ts";
import { detectTextType } from "./detect-text-type.ts";
import { DOCX, detectZipType, EPUB, ODP, ODS, ODT, PPTX, XLSX } from "./detect-zip-type.ts";

const HEAD_BYTES = 1 << 16;
/** Random bytes hold 10 % control characters, text with stray NULs below 2 %; a few are forgiven in a short note. */
const MAX_CONTROL_SHARE = 0.05;
const FORGIVEN_CONTROLS = 4;

export const RTF = "application/rtf";
const READ_FROM_ZIP: ReadonlySet<string> = new Set([DOCX, PPTX, XLSX, ODT, ODS, ODP, EPUB]);

/** Decides the type. Throws `extract.encrypted`, `extract.corrupt`, `extract.empty`, `extract.unsupported`. */
export async function detectType(file: GivenFile): Promise<FileToRead> {
  const head = readHead(file.path, HEAD_BYTES);
  if (head.length === 0) throw new Failure("extract.empty", { facts: { bytes: 0 } });
  // The header of a PDF may stand behind up to 1,024 bytes of something else (ISO 32000, annex H).
  if (head.subarray(0, 1_028).includes("%PDF-")) return decided(file, "application/pdf", null, []);
  if (startsWith(head, OLE_MAGIC)) {
    const ole = await detectOle(file.path);
    if (ole === "encrypted") throw new Failure("extract.encrypted");
    throw unsupported(ole?.mediaType ?? "application/x-ole-storage", file, ole?.says);
  }
  if (startsWith(head, "PK\x03\x04") || startsWith(head, "PK\x05\x06")) return await detectZip(file);
  if (/^(\xef\xbb\xbf)?\s{0,64}\{\\rtf/.test(head.toString("latin1", 0, 128)))
    return decided(file, RTF, null, []);
  const binary = nameBinary(head);
  if (binary !== null) throw unsupported(binary, file);
  return detectText(file, head);
}

function detectText(file: GivenFile, head: Buffer): FileToRead {
  const charset = /charset\s*=\s*"?([\w:.-]+)/i.exec(file.declaredMediaType ?? "")?.[1] ?? null;
  const choice = chooseEncoding(file.path, charset);
  const wide = /^utf-(16|32)/.test(choice.encoding);
  const { controls } = choice.survey;
  if (!wide && controls > Math.max(FORGIVEN_CONTROLS, choice.survey.head.length * MAX_CONTROL_SHARE))
    throw unsupported("application/octet-stream", file);
  const start = decodeBytes(wide ? head.subarray(0, head.length & ~3) : head, choice.encoding);
  if (start.trim() === "" && head.length < HEAD_BYTES)
    throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
  return decided(file, detectTextType(start, file), choice.encoding, [describeEncoding(choice)]);
}

async function detectZip(file: GivenFile): Promise<FileToRead> {
  const zip = await openZipArchive(file.path);
  try {
    const type = await detectZipType(zip);
    if (!READ_FROM_ZIP.has(type)) throw unsupported(type, file);
    return decided(file, type, null, []);
  } finally {
    zip.close();
  }
}

function decided(
  file: GivenFile,
  mediaType: string,
  encoding: string | null,
  decisions: readonly string[],
): FileToRead {
  const declared = file.declaredMediaType?.split(";")[0]?.trim().toLowerCase();
  const differs =
    declared !== undefined && declared !== mediaType && !/octet-stream|^text\/plain$/.test(declared);
  const notes = differs ? [`read as ${mediaType} although declared ${declared}`] : [];
  return { ...file, mediaType, encoding, decisions: [...decisions, ...notes] };
}

function unsupported(found: string, file: GivenFile, says?: string): Failure {
  const extension = /\.(\w{1,8})$/.exec(file.name)?.[1]?.toLowerCase();
  return new Failure("extract.unsupported", { says, facts: { found, named: extension } });
}
