// Which kind of document a ZIP archive is: by the names of its parts, else by what its table of contents declares.
import type { ZipArchive } from "../zip-archive.ts";

const OOXML = "application/vnd.openxmlformats-officedocument";
export const DOCX = `${OOXML}.wordprocessingml.document`;
export const PPTX = `${OOXML}.presentationml.presentation`;
export const XLSX = `${OOXML}.spreadsheetml.sheet`;
const OPEN_DOCUMENT = "application/vnd.oasis.opendocument.";
export const ODT = `${OPEN_DOCUMENT}text`;
export const ODS = `${OPEN_DOCUMENT}spreadsheet`;
export const ODP = `${OPEN_DOCUMENT}presentation`;
export const EPUB = "application/epub+zip";

const MAIN_PARTS: readonly (readonly [RegExp, string])[] = [
  [/^word\/document\d*\.xml$/i, DOCX],
  [/^ppt\/presentation\d*\.xml$/i, PPTX],
  [/^xl\/workbook\d*\.xml$/i, XLSX],
];
const MAIN_TYPES: readonly (readonly [RegExp, string])[] = [
  [/wordprocessingml\.(document|template)\.main\+xml|ms-word\.(document|template)\.macroEnabled/i, DOCX],
  [/presentationml\.\w+\.main\+xml|ms-powerpoint\.\w+\.macroEnabled/i, PPTX],
  [/spreadsheetml\.(sheet|template)\.main\+xml|ms-excel\.(sheet|template)\.macroEnabled/i, XLSX],
];
/** What we know by name and do not read. */
const UNREAD: readonly (readonly [RegExp, string])[] = [
  [/^xl\/workbook\.bin$/i, "application/vnd.ms-excel.sheet.binary"],
  [/^visio\//i, "application/vnd.ms-visio.drawing"],
  [/^Index\/(Document\.iwa|Tables\/)/i, "application/vnd.apple.iwork"],
  [/^META-INF\/MANIFEST\.MF$/i, "application/java-archive"],
];
/** A table of contents of a real document has some kilobytes. */
const MAX_DECLARED_BYTES = 1 << 20;

/** The media type, whether we read it or not. */
export async function detectZipType(zip: ZipArchive): Promise<string> {
  const named = firstMatch(MAIN_PARTS, zip.names);
  if (named !== null) return named;
  const mimetype = (await readStart(zip, "mimetype")).trim();
  if (/^application\/[\w.+-]+$/.test(mimetype)) return mimetype.replace(/-template$/, "");
  const declared = await readStart(zip, "[Content_Types].xml");
  const typed = MAIN_TYPES.find(([type]) => type.test(declared));
  if (typed !== undefined) return typed[1];
  const unread = firstMatch(UNREAD, zip.names);
  if (unread !== null) return unread;
  if (zip.has("content.xml") && zip.has("META-INF/manifest.xml")) return ODT;
  // Many books are packed without the file that names the type.
  if (zip.has("META-INF/container.xml")) return EPUB;
  return "application/zip";
}

function firstMatch(kinds: readonly (readonly [RegExp, string])[], names: readonly string[]): string | null {
  return kinds.find(([name]) => names.some((each) => name.test(each)))?.[1] ?? null;
}

async function readStart(zip: ZipArchive, name: string): Promise<string> {
  if (!zip.has(name)) return "";
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const bytes of zip.read(name)) {
    chunks.push(bytes);
    length += bytes.length;
    if (length > MAX_DECLARED_BYTES) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}
