import fc from "fast-check";
import iconv from "iconv-lite";
import { expect, test } from "vitest";
import { failureOf, readBytes } from "./testing/read-bytes.ts";

const mail = (...lines: string[]): string => lines.join("\r\n");
const read = (...lines: string[]) => readBytes("a.eml", mail(...lines));
const HEAD = ["From: Ann <ann@example.org>", "To: bob@example.org", "Subject: Drill", "MIME-Version: 1.0"];

test("a mail gives its subject as heading and title, who wrote when to whom, and its text", async () => {
  const { text, segments, extraction } = await read(
    ...HEAD,
    "Cc: Team: c@example.org, Dora <d@example.org>;",
    "Date: Tue, 03 Nov 2026 09:30:00 +0100",
    "",
    "Hello Bob,",
    "",
    "the drill is back.",
  );

  expect(text).toBe(
    "Drill\n\nFrom: Ann <ann@example.org>\nTo: bob@example.org\nCc: c@example.org, Dora <d@example.org>\nDate: 2026-11-03T08:30:00.000Z\n\nHello Bob,\n\nthe drill is back.\n",
  );
  expect(extraction.title).toBe("Drill");
  expect(extraction.mediaType).toBe("message/rfc822");
  expect(segments[0]?.section).toBe("Drill");
});

const alternative = (plain: string, html: string): string[] => [
  ...HEAD,
  'Content-Type: multipart/alternative; boundary="b"',
  "",
  "--b",
  "Content-Type: text/plain; charset=utf-8",
  "",
  plain,
  "--b",
  "Content-Type: text/html; charset=utf-8",
  "",
  html,
  "--b--",
];

test("the text part is preferred to the HTML part", async () => {
  const { text } = await read(...alternative("Said in words.", "<p>Said in <b>markup</b>.</p>"));

  expect(text).toContain("Said in words.");
  expect(text).not.toContain("markup");
});

test("the HTML part is read where the text part is empty, or only says that there is one", async () => {
  const html = `<style>p{}</style><p style="display:none">preview</p><h2>News</h2><p>${"Long story. ".repeat(20)}</p>`;

  const empty = await read(...alternative(" ", html));
  const stub = await read(...alternative("Please view this mail in HTML.", html));

  for (const { text, segments } of [empty, stub]) {
    expect(text).toContain("Long story.");
    expect(text).not.toMatch(/preview|p\{\}|view this mail/);
    expect(segments.at(-1)?.section).toBe("Drill > News");
  }
});

test("encoded words, quoted-printable, base64 and charsets are decoded", async () => {
  const body = iconv.encode("„Grüße“ – 5 €", "windows-1252").toString("base64");

  const { text } = await read(
    "From: =?utf-8?B?SsO8cmdlbg==?= <j@example.org>",
    "Subject: =?iso-8859-1?Q?Gr=FC=DFe?=",
    'Content-Type: multipart/mixed; boundary="b"',
    "",
    "--b",
    "Content-Type: text/plain; charset=windows-1252",
    "Content-Transfer-Encoding: base64",
    "",
    body,
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "caf=C3=A9 au=",
    " lait",
    "--b--",
  );

  expect(text).toContain("Grüße\n\nFrom: Jürgen <j@example.org>");
  expect(text).toContain("„Grüße“ – 5 €");
  expect(text).toContain("café au lait");
});

test("attachments are named and not read, and parts are found however deep they lie", async () => {
  const { text, extraction } = await read(
    ...HEAD,
    'Content-Type: multipart/mixed; boundary="o"',
    "",
    "--o",
    'Content-Type: multipart/related; boundary="i"',
    "",
    "--i",
    "Content-Type: text/plain",
    "",
    "Inner words.",
    "--i--",
    "--o",
    'Content-Type: text/csv; name="secret.csv"',
    'Content-Disposition: attachment; filename="secret.csv"',
    "",
    "a,b,c",
    "--o--",
  );

  expect(text).toContain("Inner words.");
  expect(text).toContain("Attachments: secret.csv");
  expect(text).not.toContain("a,b,c");
  expect(extraction.decisions).toContain("attachments named, not read (1)");
});

test("an encrypted mail is encrypted", async () => {
  const smime = read(
    ...HEAD,
    'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
    "Content-Transfer-Encoding: base64",
    "",
    "MIAGCSqGSIb3DQEHA6CAMIACAQ==",
  );

  expect(await failureOf(smime)).toBe("extract.encrypted");
});

test("a mail is known by its header where its name says nothing, and a text that only looks like one is text", async () => {
  const stored = mail("Received: from a by b", "Message-ID: <1@x>", ...HEAD, "", "Body.");
  const note = "From: the desk of Ann\nSubject: a note\n\nBody.";

  const known = await readBytes("upload", stored);
  const text = await readBytes("upload", note);

  expect([known.extraction.mediaType, text.extraction.mediaType]).toEqual(["message/rfc822", "text/plain"]);
});

test("parts nested beyond reason end with a failure, not with the process", async () => {
  const nested = Array.from({ length: 500 }, (_, at) => [
    `Content-Type: multipart/mixed; boundary=b${at}`,
    "",
    `--b${at}`,
  ]);

  expect(await failureOf(read(...HEAD, ...nested.flat(), "", "text"))).toBe("extract.too-large");
});

test("whatever the bytes of a mail are, its text is well-formed and without control characters", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
      const file = Buffer.concat([
        Buffer.from(mail(...HEAD, "Content-Type: text/plain; charset=utf-8", "", "words ")),
        bytes,
      ]);

      const { text } = await readBytes("a.eml", file, { mediaType: "message/rfc822" }).catch(() => ({
        text: "",
      }));

      expect(text.isWellFormed()).toBe(true);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(text).not.toMatch(/[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/);
    }),
    { numRuns: 100 },
  );
});
