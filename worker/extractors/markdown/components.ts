// What MDX adds to Markdown and is no text: imports, exports, comments in braces. In files of another name only
// what can hardly be a sentence counts, for documentation sites write imports into `.md` too.

const IMPORT = /^import\s+(?:[\w*{][^'"]*\s+from\s+)?(['"])[^'"]+\1\s*;?\s*$/;
const IMPORT_BEGINS = /^import\s*\{[^}'"]*$/;
const IMPORT_ENDS = /\}\s*from\s*(['"])[^'"]+\1\s*;?\s*$/;
const EXPORT = /^export\s+(const|let|var|default|function|async|class|\{|\*)/;
const COMMENT = /^\s*\{\/\*.*\*\/\}\s*$/;
/** An import of more lines than this is something else. */
const MAX_IMPORT_LINES = 60;

/** Lines without those that a bundler reads; `onLeft` is told of each that goes. */
export function* leaveComponents(
  lines: Iterable<string>,
  isMdx: boolean,
  onLeft: (line: string) => void,
): Generator<string> {
  let fence = "";
  let begun: string[] = [];
  let exporting = false;
  let before = "";
  for (const line of lines) {
    const ticks = /^\s*(`{3,}|~{3,})/.exec(line)?.[1] ?? "";
    if (fence === "" && ticks !== "") fence = ticks;
    else if (fence !== "" && ticks.startsWith(fence)) fence = "";
    if (begun.length > 0) {
      begun.push(line);
      if (IMPORT_ENDS.test(line)) for (const each of begun.splice(0)) onLeft(each);
      else if (line.trim() === "" || begun.length > MAX_IMPORT_LINES) yield* begun.splice(0);
    } else if (exporting && line.trim() !== "") onLeft(line);
    else if (fence !== "") yield line;
    else if (IMPORT.test(line) && (isMdx || startsBlock(before))) onLeft(line);
    else if (IMPORT_BEGINS.test(line) && startsBlock(before)) begun = [line];
    else if (isMdx && startsBlock(before) && EXPORT.test(line)) {
      exporting = true;
      onLeft(line);
    } else if (isMdx && COMMENT.test(line)) onLeft(line);
    else yield line;
    if (line.trim() === "") exporting = false;
    before = line;
  }
  yield* begun;
}

/** After a blank line, front matter or another import. */
function startsBlock(before: string): boolean {
  return before.trim() === "" || before.trim() === "---" || /^(import\s|\}\s*from\s)/.test(before);
}
