// Small PDFs for tests, written by hand: text lines in standard fonts, bookmarks, form fields, encryption.
import { createHash } from "node:crypto";

export type PdfText = {
  readonly text: string;
  readonly x?: number;
  readonly y: number;
  readonly size?: number;
  readonly bold?: boolean;
  /** Degrees counter-clockwise. */
  readonly turned?: 0 | 90 | 180 | 270;
  /** As a scan's text layer is drawn (text rendering mode 3). */
  readonly invisible?: boolean;
  /** Points between letters. */
  readonly spacing?: number;
  /** Drawn with a font whose codes are glyph numbers, 29 below ASCII, and that has no map to Unicode. */
  readonly unmapped?: boolean;
  /** Drawn with Zapf Dingbats, which is not in the file: letters stand for signs. */
  readonly signs?: boolean;
  /** What else is set before it, such as `3 Ts 80 Tz`. */
  readonly operators?: string;
};

/** An annotation's own entries, such as `/Subtype /FreeText /Contents (Text)`. */
export type PdfAnnotation = string;

export type PdfSpec = {
  /** One array a page; null is a page whose place in the tree leads back to its root. */
  readonly pages: readonly (readonly PdfText[] | null)[];
  readonly bookmarks?: readonly { readonly title: string; readonly page: number }[];
  readonly fields?: readonly { readonly name: string; readonly value: string }[];
  /** Of the first page. */
  readonly annotations?: readonly PdfAnnotation[];
  readonly title?: string;
  /** "owner": anybody may read, "user": the password "user" is needed. */
  readonly password?: "owner" | "user";
};

export function makePdf(spec: PdfSpec): Buffer {
  const key = spec.password === undefined ? null : fileKey(spec.password === "user" ? "user" : "");
  const objects: string[] = [];
  const add = (body: string): number => objects.push(body);
  const stream = (content: string): number => {
    const number = objects.length + 1;
    const bytes = key === null ? content : encrypt(key, number, content);
    return add(`<< /Length ${bytes.length} >>\nstream\n${bytes}\nendstream`);
  };
  const catalog = add("");
  const tree = add("");
  const regular = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
  const bold = add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold >>");
  const signs = add("<< /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>");
  const unmapped = add("<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+Some /Encoding /Identity-H >>");
  const descendant = add(
    "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /ABCDEF+Some /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /DW 500 >>",
  );
  objects[unmapped - 1] = (objects[unmapped - 1] ?? "").replace(
    / >>$/,
    ` /DescendantFonts [${descendant} 0 R] >>`,
  );
  const notes = (spec.annotations ?? []).map((entries) =>
    add(`<< /Type /Annot /Rect [10 40 200 60] ${entries} >>`),
  );
  const fields = (spec.fields ?? []).map(({ name, value }) =>
    add(
      `<< /Type /Annot /Subtype /Widget /FT /Tx /T (${name}) /V (${value}) /Rect [10 10 200 30] /F 4 /DA (/F1 10 Tf) >>`,
    ),
  );
  const pages = spec.pages.map((lines, at) => {
    const annotations =
      at === 0 ? `/Annots [${[...fields, ...notes].map((note) => `${note} 0 R`).join(" ")}]` : "";
    if (lines === null) return add(`<< /Type /Pages /Count 1 /Kids [${tree} 0 R] >>`);
    return add(
      `<< /Type /Page /Parent ${tree} 0 R /MediaBox [0 0 595 842] ${annotations} ${contentOf(lines)} >>`,
    );
  });
  function contentOf(lines: readonly PdfText[]): string {
    const number = stream(lines.map(show).join("\n"));
    return `/Resources << /Font << /F1 ${regular} 0 R /F2 ${bold} 0 R /F3 ${unmapped} 0 R /F4 ${signs} 0 R >> >> /Contents ${number} 0 R`;
  }
  objects[tree - 1] =
    `<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((page) => `${page} 0 R`).join(" ")}] >>`;
  const outline =
    spec.bookmarks === undefined ? "" : `/Outlines ${addOutline(spec.bookmarks, pages, objects)} 0 R`;
  const form =
    fields.length === 0 ? "" : `/AcroForm << /Fields [${fields.map((field) => `${field} 0 R`).join(" ")}] >>`;
  objects[catalog - 1] = `<< /Type /Catalog /Pages ${tree} 0 R ${outline} ${form} >>`;
  const info = spec.title === undefined ? "" : `/Info ${add(`<< /Title (${spec.title}) >>`)} 0 R`;
  return assemble(objects, `/Root ${catalog} 0 R ${info} ${encryption(key)}`);
}

const TURNS = { 0: "1 0 0 1", 90: "0 1 -1 0", 180: "-1 0 0 -1", 270: "0 -1 1 0" };

function show(line: PdfText): string {
  const font = fontOf(line);
  const mode = `${line.invisible === true ? 3 : 0} Tr ${line.spacing ?? 0} Tc`;
  const place = `${TURNS[line.turned ?? 0]} ${line.x ?? 72} ${line.y}`;
  return `BT /${font} ${line.size ?? 10} Tf ${mode} ${place} Tm ${line.operators ?? ""} ${shown(line)} Tj ET`;
}

function fontOf({ signs, unmapped, bold }: PdfText): string {
  if (signs === true) return "F4";
  if (unmapped === true) return "F3";
  return bold === true ? "F2" : "F1";
}

function shown({ text, unmapped }: PdfText): string {
  if (unmapped !== true) return `(${text.replace(/[\\()]/g, "\\$&")})`;
  const codes = [...text].map((letter) => ((letter.codePointAt(0) ?? 29) - 29).toString(16).padStart(4, "0"));
  return `<${codes.join("")}>`;
}

function addOutline(
  bookmarks: readonly { title: string; page: number }[],
  pages: readonly number[],
  objects: string[],
): number {
  const root = objects.push("");
  const first = root + 1;
  bookmarks.forEach(({ title, page }, at) => {
    const next = at + 1 < bookmarks.length ? `/Next ${first + at + 1} 0 R` : "";
    objects.push(`<< /Title (${title}) /Parent ${root} 0 R ${next} /Dest [${pages[page - 1]} 0 R /Fit] >>`);
  });
  objects[root - 1] =
    `<< /First ${first} 0 R /Last ${first + bookmarks.length - 1} 0 R /Count ${bookmarks.length} >>`;
  return root;
}

function assemble(objects: readonly string[], trailer: string): Buffer {
  let file = "%PDF-1.4\n";
  const offsets = objects.map((body, at) => {
    const offset = file.length;
    file += `${at + 1} 0 obj\n${body}\nendobj\n`;
    return offset;
  });
  const rows = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  const size = objects.length + 1;
  file += `xref\n0 ${size}\n0000000000 65535 f \n${rows}trailer\n<< /Size ${size} ${trailer} >>\nstartxref\n${file.length}\n%%EOF\n`;
  return Buffer.from(file, "latin1");
}

// The standard security handler, revision 2 (ISO 32000-1, 7.6.3): 40-bit RC4.
const PADDING = Buffer.from("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A", "hex");
const OWNER = Buffer.alloc(32, 7);
const PERMISSIONS = -4;
const FILE_ID = Buffer.from("0123456789abcdef");

function fileKey(password: string): Buffer {
  const permissions = Buffer.alloc(4);
  permissions.writeInt32LE(PERMISSIONS);
  return createHash("md5")
    .update(Buffer.concat([Buffer.from(password), PADDING]).subarray(0, 32))
    .update(OWNER)
    .update(permissions)
    .update(FILE_ID)
    .digest()
    .subarray(0, 5);
}

function encryption(key: Buffer | null): string {
  if (key === null) return "";
  // A password opens the file when U is the padding under its key.
  const user = rc4(key, PADDING);
  const hex = (bytes: Buffer): string => `<${bytes.toString("hex")}>`;
  return `/ID [${hex(FILE_ID)} ${hex(FILE_ID)}] /Encrypt << /Filter /Standard /V 1 /R 2 /O ${hex(OWNER)} /U ${hex(user)} /P ${PERMISSIONS} >>`;
}

function encrypt(key: Buffer, object: number, content: string): string {
  const salt = Buffer.from([object & 255, (object >> 8) & 255, (object >> 16) & 255, 0, 0]);
  const own = createHash("md5").update(key).update(salt).digest().subarray(0, 10);
  return rc4(own, Buffer.from(content, "latin1")).toString("latin1");
}

function rc4(key: Buffer, input: Buffer): Buffer {
  const state = Uint8Array.from({ length: 256 }, (_, at) => at);
  const swap = (a: number, b: number): void => {
    const held = state[a] ?? 0;
    state[a] = state[b] ?? 0;
    state[b] = held;
  };
  for (let i = 0, j = 0; i < 256; i += 1) {
    j = (j + (state[i] ?? 0) + (key[i % key.length] ?? 0)) & 255;
    swap(i, j);
  }
  let i = 0;
  let j = 0;
  return Buffer.from(
    input.map((byte) => {
      i = (i + 1) & 255;
      j = (j + (state[i] ?? 0)) & 255;
      swap(i, j);
      return byte ^ (state[((state[i] ?? 0) + (state[j] ?? 0)) & 255] ?? 0);
    }),
  );
}
