// How a table of text is written: which sign stands between its cells, and whether quotes mean anything.
import { type Options, parse } from "csv-parse";
import { parse as parseAtOnce } from "csv-parse/sync";

export type Dialect = {
  readonly delimiter: string;
  /** False where quotes do not pair off: then they are characters like any other. */
  readonly quotes: boolean;
  /** Lines before the table: `sep=;`, which is a word to Excel and no data. */
  readonly skippedLines: number;
};

const DELIMITERS = [",", ";", "\t", "|"] as const;
/** Rows that a guess is made from. */
const SAMPLE_ROWS = 50;

/** `sample`: the decoded beginning of the file; `cut`: the file goes on behind it. */
export function guessDelimiter(sample: string, cut: boolean): Omit<Dialect, "quotes"> {
  const told = /^sep=(.)\n/i.exec(sample)?.[1];
  if (told !== undefined) return { delimiter: told, skippedLines: 1 };
  const scores = DELIMITERS.map((delimiter) => scoreOf(sample, cut, delimiter));
  const best = Math.max(...scores);
  return { delimiter: best === 0 ? "," : (DELIMITERS[scores.indexOf(best)] ?? ","), skippedLines: 0 };
}

/** Share of rows that have as many cells as most rows, and more for more cells; 0 when there is one column only. */
function scoreOf(sample: string, cut: boolean, delimiter: string): number {
  const rows = rowsOf(cut ? sample.slice(0, sample.lastIndexOf("\n") + 1) || sample : sample, delimiter);
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(row.length, (counts.get(row.length) ?? 0) + 1);
  const [width, rowCount] = [...counts].sort((one, other) => other[1] - one[1] || other[0] - one[0])[0] ?? [
    1, 0,
  ];
  if (width === 1) return 0;
  return rowCount / rows.length + Math.min(width, 20) / 1_000;
}

function rowsOf(text: string, delimiter: string): readonly string[][] {
  const dialect = { delimiter, skippedLines: 0 };
  try {
    return parseAtOnce(text, { ...optionsOf({ ...dialect, quotes: true }), to: SAMPLE_ROWS }) as string[][];
  } catch {
    return parseAtOnce(text, { ...optionsOf({ ...dialect, quotes: false }), to: SAMPLE_ROWS }) as string[][];
  }
}

/** Whether every quote that opens a cell is closed. Reads the text once and keeps nothing of it. */
export async function quotesPair(
  chunks: Iterable<string>,
  dialect: Omit<Dialect, "quotes">,
): Promise<boolean> {
  const parser = openCsvParser({ ...dialect, quotes: true });
  let paired = true;
  parser.on("error", () => {
    paired = false;
  });
  parser.on("data", () => undefined);
  const ended = new Promise<void>((resolve) => void parser.on("close", resolve));
  for (const chunk of chunks) {
    if (!paired) break;
    if (!parser.write(chunk) && paired)
      await new Promise<void>((resolve) => void parser.once("drain", resolve).once("close", resolve));
  }
  parser.end();
  await ended;
  return paired;
}

/** A stream of rows; each is an array of cells. */
export function openCsvParser(dialect: Dialect) {
  return parse(optionsOf(dialect));
}

function optionsOf({ delimiter, quotes, skippedLines }: Dialect): Options {
  return {
    delimiter,
    quote: quotes ? '"' : null,
    // Spreadsheets double a quote inside of a cell; much else leaves it as it is.
    relax_quotes: true,
    relax_column_count: true,
    skip_empty_lines: true,
    record_delimiter: "\n",
    from_line: skippedLines + 1,
  };
}
