// A chart as what a reader takes from it: its titles, and a table of its categories by its series. The figures are
// those that its program kept with it when it last drew it.
import type { Block } from "../cut-segments.ts";
import { rowText } from "../fold-tables.ts";
import { tidyText } from "../tidy-text.ts";
import { createNumberFormat, type NumberFormat } from "../xlsx/numbers.ts";
import { createTextBodyReader } from "./text-body.ts";
import type { XmlEvents } from "./xml.ts";

/** By the place of a point in its series. */
type Points = Map<number, string>;
type Series = { name: string; readonly labels: Points; readonly values: Points };

/** What within a series is no point of it: how it is drawn, and what is computed from it. */
const SKIPPED = new Set(["c:dLbls", "c:dPt", "c:errBars", "c:trendline", "c:bubbleSize", "mc:Fallback"]);
const LABELS = new Set(["c:cat", "c:xVal"]);
const VALUES = new Set(["c:val", "c:yVal"]);

export function createChartReader(): XmlEvents & { readonly blocks: readonly Block[] } {
  const titles: string[] = [];
  const all: Series[] = [];
  const body = createTextBodyReader(({ text }) => void titles.push(text));
  let series: Series | null = null;
  let target: "title" | "name" | "labels" | "values" | null = null;
  let point = 0;
  let format: NumberFormat | null = null;
  let code: string | null = null;
  let value: string | null = null;
  let skip = 0;

  const take = (text: string): void => {
    const number = format === null || text.trim() === "" ? Number.NaN : Number(text);
    const shown = tidyText(format === null || Number.isNaN(number) ? text : format.write(number));
    if (target === "title") titles.push(shown);
    else if (target === "name" && series !== null) series.name = `${series.name} ${shown}`.trim();
    else if (target === "values") series?.values.set(point, shown);
    // Of categories in groups the group is told after its members, at the first of them.
    else if (target === "labels")
      series?.labels.set(point, `${shown} ${series.labels.get(point) ?? ""}`.trim());
  };
  const targetOf = (name: string): typeof target => {
    if (name === "c:title") return "title";
    if (LABELS.has(name)) return "labels";
    if (VALUES.has(name)) return "values";
    return name === "c:tx" && series !== null ? "name" : null;
  };
  const open = (name: string): void => {
    const next = targetOf(name);
    if (next !== null) {
      target = next;
      format = null;
    } else if (name === "c:ser") {
      series = { name: "", labels: new Map(), values: new Map() };
      all.push(series);
    } else if (name === "c:numCache" || name === "c:numLit") format = createNumberFormat(0, null, false);
    else if (name === "c:formatCode") code = "";
    else if (name === "c:v") value = "";
  };

  return {
    get blocks() {
      return [...titles.map((text): Block => ({ kind: "line", text })), ...tablesOf(all)];
    },
    open(name, attributes) {
      if (skip > 0 || SKIPPED.has(name)) {
        skip += 1;
        return;
      }
      if (name === "c:pt") point = Number(attributes.idx ?? 0) || 0;
      open(name);
      body.open(name, attributes);
    },
    text(text) {
      if (skip > 0) return;
      if (value !== null) value += text;
      else if (code !== null) code += text;
      else body.text(text);
    },
    close(name) {
      if (skip > 0) {
        skip -= 1;
        return;
      }
      if (name === "c:v" && value !== null) {
        take(value);
        value = null;
      } else if (name === "c:formatCode") {
        format = createNumberFormat(0, code, false);
        code = null;
      } else if (targetOf(name) !== null) target = null;
      else if (name === "c:ser") series = null;
      body.close(name);
    },
  };
}

/** As many as Excel draws in one chart. Without end, series of a point each would make a table of their square. */
const MAX_SERIES = 255;

/** Series over the same categories share a table. */
function tablesOf(all: readonly Series[]): Block[] {
  const tables: { labels: Points; series: Series[] }[] = [];
  for (const series of all) {
    const last = tables.at(-1);
    const same = last !== undefined && (series.labels.size === 0 || areSame(last.labels, series.labels));
    if (same && last.series.length < MAX_SERIES) last.series.push(series);
    else tables.push({ labels: series.labels, series: [series] });
  }
  return tables.flatMap(({ labels, series }): Block[] => {
    const points = new Set([...labels.keys(), ...series.flatMap(({ values }) => [...values.keys()])]);
    const head = series.some(({ name }) => name !== "") ? [["", ...series.map(({ name }) => name)]] : [];
    const rows = [...points]
      .sort((a, b) => a - b)
      .map((at) => [labels.get(at) ?? String(at + 1), ...series.map(({ values }) => values.get(at) ?? "")]);
    const lines = [...head, ...rows].map((cells): Block => ({ kind: "line", text: rowText(cells) }));
    return [{ kind: "gap" }, ...lines, { kind: "gap" }];
  });
}

const areSame = (one: Points, other: Points): boolean =>
  one.size === other.size && [...one].every(([at, label]) => other.get(at) === label);
