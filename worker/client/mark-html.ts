// A passage as HTML with the words of the query marked. Everything that came from a document is escaped.
import type { Place } from "./types.ts";

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escaped = (text: string): string => text.replace(/[&<>"']/g, (sign) => entities[sign] ?? sign);

/** `places` as `search` with `highlights` gives them; what lies outside the text or overlaps is left unmarked. */
export function markHtml(content: string, places: readonly Place[] = []): string {
  let html = "";
  let at = 0;
  for (const [start, end] of places) {
    if (start < at || end <= start || end > content.length) continue;
    html += `${escaped(content.slice(at, start))}<mark>${escaped(content.slice(start, end))}</mark>`;
    at = end;
  }
  return html + escaped(content.slice(at));
}
