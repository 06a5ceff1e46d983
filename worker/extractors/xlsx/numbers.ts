// What a number in a cell reads as. Dates become ISO 8601, because 03/04/2024 is two days; all else is written as the
// cell's format has it (decimals, percent, currency, units), without the separators of thousands, so that a search
// for 1234.50 finds it.
import { dateFromSerial, format, getFormatDateInfo, isDateFormat, round } from "numfmt";

/** Formats that files name by number only (ISO 29500-1, 18.8.30); dates of 27-36 and 50-58 differ by language. */
const BUILT_IN: Readonly<Record<number, string>> = {
  0: "General",
  1: "0",
  2: "0.00",
  3: "0",
  4: "0.00",
  9: "0%",
  10: "0.00%",
  11: "0.00E+00",
  12: "# ?/?",
  13: "# ??/??",
  18: "h:mm",
  19: "h:mm:ss",
  20: "h:mm",
  21: "h:mm:ss",
  22: "yyyy-mm-dd h:mm",
  37: "0;-0",
  38: "0;-0",
  39: "0.00;-0.00",
  40: "0.00;-0.00",
  45: "mm:ss",
  46: "[h]:mm:ss",
  47: "mm:ss.0",
  48: "##0.0E+0",
  49: "@",
};
/** The last day of the year 9999. */
const MAX_SERIAL = 2_958_465;
/** Days between 1900's and 1904's counting. */
const SINCE_1904 = 1_462;

export type NumberFormat = {
  /** The number as text. */
  write(value: number): string;
};

/** `code` null: the number of a format that every reader knows. */
export function createNumberFormat(id: number, code: string | null, since1904: boolean): NumberFormat {
  const isBuiltInDate =
    code === null && ((id >= 14 && id <= 17) || (id >= 27 && id <= 36) || (id >= 50 && id <= 58));
  const pattern = isBuiltInDate ? "yyyy-mm-dd" : withoutThousands(code ?? BUILT_IN[id] ?? "General");
  const write = writerOf(pattern, since1904);
  return {
    write(value) {
      try {
        return write(value);
      } catch {
        // A format that no spreadsheet would have written: the number stands for itself.
        return plainNumber(value);
      }
    },
  };
}

function writerOf(pattern: string, since1904: boolean): (value: number) => string {
  if (/^(general|@)$/i.test(pattern)) return plainNumber;
  const decimals = /^0(?:\.(0{1,10}))?(%?)$/.exec(pattern);
  // The library takes 5 µs for each number, and most are of these kinds.
  if (decimals !== null) {
    const digits = decimals[1]?.length ?? 0;
    const percent = decimals[2] === "%";
    return (value) => `${round(percent ? value * 100 : value, digits).toFixed(digits)}${decimals[2] ?? ""}`;
  }
  if (!isDateFormat(pattern)) return (value) => format(pattern, value).replace(/\s+/g, " ").trim();
  // Hours that pass 24 are a length of time and no time of day.
  if (/\[[hms]+\]/i.test(pattern)) return (value) => format(pattern, value).trim();
  const shown = getFormatDateInfo(pattern);
  const hasDay = shown.year || shown.month || shown.day;
  return (value) => {
    const serial = since1904 ? value + SINCE_1904 : value;
    const parts = serial >= 0 && serial <= MAX_SERIAL ? dateFromSerial(serial) : null;
    if (parts === null) return plainNumber(value);
    const [year, month, day, hours, minutes, seconds] = parts.map((part) => String(part).padStart(2, "0"));
    const time = `${hours}:${minutes}${seconds === "00" ? "" : `:${seconds}`}`;
    if (!hasDay) return time;
    const date = `${year}-${month}-${day}`;
    return shown.hours || shown.minutes ? `${date} ${time}` : date;
  };
}

/** Fifteen digits are what a spreadsheet keeps: 0.1 + 0.2 is 0.3. */
function plainNumber(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(15))) : "";
}

function withoutThousands(pattern: string): string {
  return pattern.replaceAll(/#,(?=[#0])/g, "").replaceAll(/^#+0/g, "0");
}
