// Mail as it is stored (RFC 5322, .eml): who wrote to whom, when and about what, then the text. Parts, transfer
// encodings and charsets are postal-mime's; attachments are named and not read, and nothing a mail refers to is
// ever asked for.
import { readFile } from "node:fs/promises";
import iconv from "iconv-lite";
import PostalMime, { type Address, type Attachment, type Email } from "postal-mime";
import { Failure } from "../failure/failure.ts";
import { type Block, createSegmentCutter } from "./cut-segments.ts";
import type { Extracted, FileToRead } from "./extractor.ts";
import { createHtmlBlocks } from "./html/blocks.ts";
import { countInk } from "./html/elements.ts";
import { describeLeftOut } from "./html/left-out.ts";
import { hiddenRule } from "./html/signs.ts";

const LIMITS = { maxNestingDepth: 100, maxHeadersSize: 2 << 20, maxRfc822NestingDepth: 5 };
const MAX_NAMES = 200;
/** A text part this short beside an HTML part with so many times its letters only says that there is one. */
const STUB_INK = 300;
const STUB_RATIO = 3;

type Body = { readonly blocks: readonly Block[]; readonly decisions: readonly string[] };

/** Throws `extract.encrypted` for S/MIME and PGP mails, `extract.empty`, `extract.corrupt`. */
export async function* readEml(file: FileToRead): AsyncGenerator<Extracted> {
  const email = await parse(await readFile(file.path));
  const body = bodyOf(email);
  if (body.blocks.length === 0 && email.attachments.some(isEncrypted)) throw new Failure("extract.encrypted");
  const title = oneLine(email.subject ?? "");
  const extraction = {
    mediaType: file.mediaType,
    pages: null,
    title: title === "" ? null : title,
    decisions: [...file.decisions, ...body.decisions, ...describeAttachments(email.attachments)],
  };
  yield { kind: "extraction", extraction };
  const cutter = createSegmentCutter(file.maxChars);
  const blocks = [...headOf(email, title), ...body.blocks, ...attachmentsOf(email.attachments)];
  if (blocks.length === 0) throw new Failure("extract.empty", { facts: { bytes: file.byteSize } });
  for (const block of blocks) for (const segment of cutter.add(block)) yield { kind: "segment", segment };
  for (const segment of cutter.end()) yield { kind: "segment", segment };
}

/** The text alone: a web page that was saved whole (MHTML) is written as a mail is. */
export async function readMailBody(bytes: Buffer): Promise<readonly Block[]> {
  return bodyOf(await parse(bytes)).blocks;
}

async function parse(bytes: Buffer): Promise<Email> {
  try {
    return await PostalMime.parse(bytes, LIMITS);
  } catch (cause) {
    // Its limits have no code of their own.
    const over = cause instanceof Error && /exceeded|maximum/i.test(cause.message);
    throw new Failure(over ? "extract.too-large" : "extract.corrupt", { cause, facts: { format: "mail" } });
  }
}

/** The subject as heading, then the lines that a mail program shows above the text. */
function headOf(email: Email, title: string): Block[] {
  const lines = [
    ["From", namesOf([email.from])],
    ["To", namesOf(email.to)],
    ["Cc", namesOf(email.cc)],
    ["Date", oneLine(email.date ?? "")],
  ] as const;
  const shown = lines.filter(([, value]) => value !== "");
  return [
    ...(title === "" ? [] : [{ kind: "heading", level: 1, text: title } as const]),
    ...shown.map(([name, value]) => ({ kind: "line", text: `${name}: ${value}` }) as const),
  ];
}

/** The plain text part, or the HTML where there is none or the plain one is a stub. */
function bodyOf(email: Email): Body {
  const plain = repair(email.text ?? "");
  if (email.html === undefined) return { blocks: paragraphsOf(plain), decisions: [] };
  const ink = countInk(plain);
  if (ink > STUB_INK) return { blocks: paragraphsOf(plain), decisions: ["the text part, not the HTML part"] };
  const rich = readHtmlPart(repair(email.html));
  const richInk = rich.blocks.reduce((sum, block) => sum + ("text" in block ? countInk(block.text) : 0), 0);
  if (ink > 0 && richInk <= ink * STUB_RATIO)
    return { blocks: paragraphsOf(plain), decisions: ["the text part, not the HTML part"] };
  return rich;
}

function readHtmlPart(html: string): Body {
  const blocks: Block[] = [];
  const reader = createHtmlBlocks((block) => void blocks.push(block), { leaves: hiddenRule });
  reader.write(html);
  reader.end();
  return { blocks, decisions: ["the HTML part", ...describeLeftOut(reader.leftOut)] };
}

function paragraphsOf(text: string): Block[] {
  return text
    .replace(/\r\n?/g, "\n")
    .split(/\n(?:[^\S\n]*\n)+/)
    .map((paragraph) => paragraph.replace(/^\n+|\s+$/g, ""))
    .filter((paragraph) => paragraph !== "")
    .map((paragraph) => ({ kind: "paragraph", text: paragraph }));
}

function attachmentsOf(attachments: readonly Attachment[]): Block[] {
  const names = attachments.flatMap(({ filename }) => (filename === null ? [] : oneLine(filename)));
  if (names.length === 0) return [];
  return [{ kind: "paragraph", text: `Attachments: ${names.slice(0, MAX_NAMES).join(", ")}` }];
}

function describeAttachments(attachments: readonly Attachment[]): string[] {
  return attachments.length === 0 ? [] : [`attachments named, not read (${attachments.length})`];
}

function isEncrypted({ mimeType }: Attachment): boolean {
  return /^application\/(x-)?pkcs7-mime$|^application\/pgp-encrypted$/.test(mimeType);
}

function namesOf(addresses: readonly (Address | undefined)[] | undefined): string {
  const people = (addresses ?? []).flatMap((one) => (one === undefined ? [] : (one.group ?? [one])));
  const named = people.slice(0, MAX_NAMES).map(({ name, address }) => {
    if (address === undefined || address === "") return name;
    return name === "" || name === address ? address : `${name} <${address}>`;
  });
  return oneLine(named.filter((person) => person !== "").join(", "));
}

function oneLine(text: string): string {
  return repair(text).replace(/\s+/g, " ").trim();
}

/**
 * Node's TextDecoder reads windows-1252 as Latin-1 (Node 24.9), so its quotes and dashes come out as C1 controls,
 * which no text holds: they are given back their meaning. Other control characters go.
 */
function repair(text: string): string {
  return (
    text
      .replace(/[\x80-\x9f]+/g, (controls) => iconv.decode(Buffer.from(controls, "latin1"), "windows-1252"))
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to go
      .replace(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, "")
  );
}
