// Figures in words, as all commands print them.
import { inWords } from "../timing/durations.ts";

const whole = new Intl.NumberFormat("en-GB");

/** `1,234`. */
export const count = (value: number): string => whole.format(value);

/** `1 document`, `3 documents`. */
export const counted = (value: number, one: string, many = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : many}`;

/** `12.3 s`, `3 min 20 s`, `2 d 4 h`, `1 d`: a time that has passed. */
export function ago(seconds: number): string {
  if (seconds < 10) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 86_400) return inWords(seconds * 1000);
  const hours = Math.floor(seconds / 3600);
  return `${Math.floor(hours / 24)} d${hours % 24 === 0 ? "" : ` ${hours % 24} h`}`;
}

/** The last part of a source_uri, for a document without a title. */
export function nameOf(title: string | null, sourceUri: string | null): string {
  if (title !== null && title.trim() !== "") return title;
  const last = (sourceUri ?? "").split(/[/\\]/).at(-1) ?? "";
  return last === "" ? "(without a title)" : last;
}

/** Where in its document a passage stands: `p. 12, Travel > Hotels`, `Speaker 1 at 4:05`. */
export function placeOf(passage: {
  readonly page_number: number | null;
  readonly section: string | null;
  readonly speaker: string | null;
  readonly started_ms: number | null;
}): string {
  const time = passage.started_ms === null ? null : clock(passage.started_ms);
  return [
    passage.page_number === null ? null : `p. ${passage.page_number}`,
    passage.section,
    passage.speaker === null ? time && `at ${time}` : `${passage.speaker}${time ? ` at ${time}` : ""}`,
  ]
    .filter(Boolean)
    .join(", ");
}

function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  const tail = String(seconds % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}
