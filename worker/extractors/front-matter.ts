// The front matter of a Markdown file: what it says about the document is not the document's text.
import { parse } from "yaml";

/** Longer front matter is looked through for a line only. */
const MAX_YAML_CHARS = 1 << 16;

/** The title it gives, or null. Nothing in it can fail the document. */
export function titleOf(lines: readonly string[]): string | null {
  const said = parsedTitle(lines.join("\n")) ?? linedTitle(lines);
  const title = said?.replace(/\s+/g, " ").trim() ?? "";
  return title === "" ? null : title;
}

function parsedTitle(text: string): string | null {
  if (text.length > MAX_YAML_CHARS) return null;
  try {
    const read: unknown = parse(text, { maxAliasCount: 10, logLevel: "silent" });
    if (read === null || typeof read !== "object" || !("title" in read)) return null;
    return typeof read.title === "string" || typeof read.title === "number" ? String(read.title) : null;
  } catch {
    return null;
  }
}

/** TOML, and YAML that is none. */
function linedTitle(lines: readonly string[]): string | null {
  const named = lines.map((line) => /^title\s*[:=]\s*(.+)$/i.exec(line)?.[1]).find((found) => found);
  return named?.replace(/^(["'])(.*)\1\s*$/, "$2") ?? null;
}
