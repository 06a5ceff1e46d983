// Which kind of text a text is. Marks that only one format has decide; a name decides between plain text and
// Markdown, because every plain text is also Markdown.
import type { GivenFile } from "../extractor.ts";

export type TextType =
  | "text/plain"
  | "text/markdown"
  | "text/html"
  | "text/vtt"
  | "application/x-subrip"
  | "application/json"
  | "text/csv"
  | "text/tab-separated-values"
  | "message/rfc822";

const MARKDOWN_NAME = /\.(md|mdx|markdown|mdown|mkd)$/i;
const PLAIN_NAME =
  /\.(txt|text|log|xml|ini|conf|ya?ml|toml|rst|adoc|tex|[cm]?[jt]sx?|py|java|c|h|go|rs|rb|sh|sql)$/i;

/** `start`: the decoded beginning of the file, up to 64 KiB. */
export function detectTextType(start: string, file: GivenFile): TextType {
  const text = start.trimStart();
  const declared = file.declaredMediaType?.toLowerCase() ?? "";
  if (/^WEBVTT(?=[\s]|$)/.test(text)) return "text/vtt";
  if (/^\d+[ \t]*\n\s*\d{1,3}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->/.test(text)) return "application/x-subrip";
  if (isMail(text, file.name, declared)) return "message/rfc822";
  if (/^[[{]/.test(text) && (/\.json$/i.test(file.name) || declared.includes("json") || looksLikeJson(text)))
    return "application/json";
  if (isHtmlStart(text)) return "text/html";
  const table = tableType(file.name, declared);
  if (table !== null) return table;
  if (MARKDOWN_NAME.test(file.name) || declared.startsWith("text/markdown")) return "text/markdown";
  const hinted = /\.x?html?$/i.test(file.name) || /^(text\/html|application\/xhtml)/.test(declared);
  if (hinted && /<\/?[a-z][a-z0-9]*[\s/>]/i.test(text)) return "text/html";
  if (PLAIN_NAME.test(file.name)) return "text/plain";
  return looksLikeMarkdown(text) ? "text/markdown" : "text/plain";
}

/** Commas prove nothing: a table of text is one because it is called so. */
function tableType(name: string, declared: string): TextType | null {
  if (/\.csv$/i.test(name) || /^(text|application)\/csv\b/.test(declared)) return "text/csv";
  const tabs = /\.(tsv|tab)$/i.test(name) || declared.startsWith("text/tab-separated-values");
  return tabs ? "text/tab-separated-values" : null;
}

function isHtmlStart(text: string): boolean {
  const bare = text.slice(0, 4_096).replace(/^(?:<\?xml[^>]*>|<!--[\s\S]*?-->|\s)+/i, "");
  return /^(<!doctype\s+html|<html[\s>]|<head[\s>]|<body[\s>])/i.test(bare);
}

const MAIL_FIELD =
  /^(from|to|subject|date|message-id|received|return-path|delivered-to|mime-version|content-type|x-[\w-]+|dkim-signature|reply-to|sender|cc):/i;

/** A block of header fields before a blank line, with more proof the less the name says. */
function isMail(text: string, name: string, declared: string): boolean {
  const named = /\.(eml|mht|mhtml)$/i.test(name) || declared.startsWith("message/rfc822");
  if (!named && (PLAIN_NAME.test(name) || MARKDOWN_NAME.test(name))) return false;
  const head = text.replace(/^From [^\n]*\n/, "").split(/\n[^\S\n]*\n/, 1)[0] ?? "";
  const lines = head.split("\n");
  if (!named && !lines.every((line) => /^([!-9;-~]+:|[ \t])/.test(line))) return false;
  const fields = new Set(lines.flatMap((line) => MAIL_FIELD.exec(line)?.[1]?.toLowerCase() ?? []));
  if (named) return fields.size >= 1;
  const carried = fields.has("received") || fields.has("message-id") || fields.has("mime-version");
  return carried && fields.has("from") && fields.size >= 4;
}

function looksLikeJson(text: string): boolean {
  return /^(\{\s*"|\[\s*[[{"])/.test(text);
}

/** Two different marks of Markdown, for files whose name says nothing. */
function looksLikeMarkdown(text: string): boolean {
  const marks = [
    /^#{1,6} \S/m,
    /^(```|~~~)/m,
    /\[[^\]\n]{1,200}\]\([^)\s]{1,500}\)/,
    /^\S[^\n]*\n(={3,}|-{3,})\s*$/m,
    /^ {0,3}[-*+] \S.*\n {0,3}[-*+] \S/m,
    /^\|.*\|\s*\n\|[ :|-]+\|\s*$/m,
    /\*\*\S[^*\n]{0,200}\*\*/,
  ];
  return marks.filter((mark) => mark.test(text)).length >= 2;
}
