// Files that mean harm, or are badly hurt: real ones with bytes changed, cut off or put twice, formats that are only
// a beginning, nesting without end, archives that grow. The same seed gives the same files.
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { strToU8, zipSync } from "fflate";
import { type Random, randomFrom } from "../../tests/random.ts";
import { makeEpub } from "./make-epub.ts";
import { makePptx, makeXlsx } from "./make-office.ts";

export type HostileFile = { readonly name: string; readonly bytes: Uint8Array };

const samplesFolder = fileURLToPath(new URL("../../../scripts/demo/samples", import.meta.url));

export function* hostileFiles(count: number, seed: number): Generator<HostileFile> {
  const random = randomFrom(seed);
  const victims = [...samples(), ...built()];
  const craft = [
    () => changed(random.pick(victims), random),
    () => changed(random.pick(victims), random),
    () => cutOff(random.pick(victims), random),
    () => doubled(random.pick(victims), random),
    () => onlyBegun(random),
    () => nested(random),
    () => growing(random),
  ];
  for (let at = 0; at < count; at++) {
    const { name, bytes } = (craft[at % craft.length] ?? (() => onlyBegun(random)))();
    yield { name: `${at}-${name}`, bytes };
  }
}

function samples(): HostileFile[] {
  return readdirSync(samplesFolder)
    .filter((name) => name !== "LICENSE.md")
    .map((name) => ({ name, bytes: readFileSync(join(samplesFolder, name)) }));
}

function built(): HostileFile[] {
  return [
    { name: "book.epub", bytes: makeEpub({ chapters: { "one.xhtml": "<h1>One</h1><p>Text.</p>" } }) },
    { name: "slides.pptx", bytes: makePptx([{ shapes: "" }]) },
    {
      name: "sheet.xlsx",
      bytes: makeXlsx({ sheets: [{ name: "S", rows: '<row><c t="n"><v>1</v></c></row>' }] }),
    },
    {
      name: "letter.rtf",
      bytes: strToU8("{\\rtf1\\ansi{\\fonttbl{\\f0 Arial;}}\\f0 Dear \\b reader\\b0\\par}"),
    },
    {
      name: "mail.eml",
      bytes: strToU8(
        'From: a@example.org\r\nSubject: Hello\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nText\r\n--b--\r\n',
      ),
    },
    { name: "table.csv", bytes: strToU8('name,size\n"a ""b""",1\nc,2\n') },
  ];
}

function changed({ name, bytes }: HostileFile, random: Random): HostileFile {
  const copy = Uint8Array.from(bytes);
  for (let left = random.between(1, 60); left > 0; left--)
    copy[random.between(0, copy.length - 1)] = random.between(0, 255);
  return { name: `changed${extname(name)}`, bytes: copy };
}

function cutOff({ name, bytes }: HostileFile, random: Random): HostileFile {
  return { name: `cut${extname(name)}`, bytes: bytes.slice(0, random.between(1, bytes.length - 1)) };
}

/** A stretch of the file stands in it again, somewhere else. */
function doubled({ name, bytes }: HostileFile, random: Random): HostileFile {
  const from = random.between(0, bytes.length - 1);
  const stretch = bytes.slice(from, from + random.between(1, 4096));
  const at = random.between(0, bytes.length);
  return {
    name: `doubled${extname(name)}`,
    bytes: Buffer.concat([bytes.slice(0, at), stretch, bytes.slice(at)]),
  };
}

const BEGINNINGS: readonly (readonly [string, string])[] = [
  [".pdf", "%PDF-1.7\n1 0 obj\n<</Type/Catalog/Pages 1 0 R>>\nendobj\ntrailer<</Root 1 0 R>>\n"],
  [".docx", "PK\x03\x04"],
  [".doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"],
  [".rtf", "{\\rtf1\\bin999999999 "],
  [".html", "<!doctype html><table><tr><td colspan=65535 rowspan=65535>"],
  [".vtt", "WEBVTT\n\n99:99:99.999 --> 00:00:00.000\n"],
  [".json", '{"segments":[{"text":'],
  [".eml", "From: x\nContent-Type: multipart/mixed; boundary=\n\n--\n"],
  [".txt", "\xff\xfe\x00\xd8"],
];

function onlyBegun(random: Random): HostileFile {
  const [extension, beginning] = random.pick(BEGINNINGS);
  const rest = Uint8Array.from({ length: random.between(0, 20_000) }, () => random.between(0, 255));
  return { name: `begun${extension}`, bytes: Buffer.concat([Buffer.from(beginning, "latin1"), rest]) };
}

function nested(random: Random): HostileFile {
  const depth = random.between(1000, 100_000);
  const texts: readonly (readonly [string, string])[] = [
    [".html", `${"<div><table><tr><td>".repeat(depth / 4)}deep`],
    [".json", `${'[{"a":'.repeat(depth)}1`],
    [".rtf", `{\\rtf1 ${"{\\b ".repeat(depth)}deep`],
    [".md", `${"> ".repeat(depth / 10)}deep\n${"[".repeat(depth)}\n${"*a ".repeat(depth)}`],
    [".html", `<p>${"&amp;".repeat(depth)}${"<b".repeat(depth)}`],
  ];
  const [extension, text] = random.pick(texts);
  return { name: `nested${extension}`, bytes: strToU8(text) };
}

/** A few kilobytes that inflate to many megabytes. */
function growing(random: Random): HostileFile {
  const text = `<w:t>${"x".repeat(random.between(10, 40) << 20)}</w:t>`;
  const document = `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r>${text}`;
  return { name: "growing.docx", bytes: zipSync({ "word/document.xml": strToU8(document) }, { level: 6 }) };
}
