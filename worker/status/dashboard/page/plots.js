// Plots as drawings that a style sheet colours, each with its content in words.
import { h, svg } from "./elements.js";
import { count, money, took } from "./words.js";

// On a phone a drawing is half as wide, so that its words are as large.
const narrow = matchMedia("(max-width: 760px)").matches;
const WIDTH = narrow ? 340 : 600;
const HEIGHT = 150;
const LEFT = 52;
const BOTTOM = 20;
const TOP = 10;
const inner = { width: WIDTH - LEFT - 4, height: HEIGHT - BOTTOM - TOP };

/** The next of 1, 2, 4 times a power of ten: halves of them are plain too. */
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

const y = (value, top) => TOP + inner.height * (1 - value / top);

function frame(label, top, inWords, marks, ...drawn) {
  return drawing(
    label,
    [0, 0.5, 1].map((share) => [share, inWords(top * share)]),
    marks,
    drawn,
  );
}

/** `lines`: [share of the height, what it says]. */
function drawing(label, lines, marks, drawn) {
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": label, class: "plot" },
    lines.map(([share, says]) =>
      svg(
        "g",
        { class: "grid" },
        svg("line", { x1: LEFT, x2: WIDTH - 4, y1: y(share, 1), y2: y(share, 1) }),
        svg("text", { x: LEFT - 6, y: y(share, 1) + 4, "text-anchor": "end" }, says),
      ),
    ),
    marks.map(([share, text, anchor]) =>
      svg(
        "text",
        { x: LEFT + inner.width * share, y: HEIGHT - 4, class: "mark", "text-anchor": anchor },
        text,
      ),
    ),
    drawn,
  );
}

const lastHour = [
  [0, "1 h ago", "start"],
  [0.5, "30 min", "middle"],
  [1, "now", "end"],
];

/** Jobs ended in each minute of the last hour: done, and failed on top of them. */
export function throughputPlot(hour) {
  const most = Math.max(0, ...hour.map((minute) => minute.complete + minute.failed));
  const top = Math.max(2, roundUp(most));
  const width = inner.width / 60;
  const bars = hour.map(({ age, complete, failed }) => {
    const x = LEFT + inner.width - (age + 1) * width + 1;
    const bar = (from, jobs, name) =>
      jobs > 0 &&
      svg("rect", {
        class: name,
        x: x.toFixed(1),
        width: (width - 2).toFixed(1),
        y: y(from + jobs, top).toFixed(1),
        height: Math.max(1.5, (inner.height * jobs) / top).toFixed(1),
        rx: 1.5,
      });
    return svg(
      "g",
      { "data-key": `m${age}` },
      svg(
        "title",
        null,
        `${age === 0 ? "this minute" : `${age} min ago`}: ${count(complete)} done, ${count(failed)} failed`,
      ),
      bar(0, complete, "done"),
      bar(complete, failed, "failed"),
    );
  });
  const total = (name) => hour.reduce((sum, minute) => sum + minute[name], 0);
  const label = `Jobs a minute in the last hour: ${count(total("complete"))} done, ${count(total("failed"))} failed, at most ${count(most)} in a minute.`;
  return frame(label, top, count, lastHour, bars);
}

/** The duration below which a share of the jobs lies, in milliseconds; drawn straight within a class. */
export function quantile(durations, share, limits) {
  const all = durations.reduce((sum, jobs) => sum + jobs, 0);
  if (all === 0) return null;
  let left = all * share;
  for (const [place, jobs] of durations.entries()) {
    if (left <= jobs && jobs > 0) {
      const from = place === 0 ? 0 : limits[place - 1];
      // Above the last limit nothing is known but that.
      const to = limits[place] ?? from;
      return from + (to - from) * (left / jobs);
    }
    left -= jobs;
  }
  return limits.at(-1);
}

const scale = ["10 ms", "100 ms", "1 s", "10 s", "2 min", "17 min", "3 h"];

/** Half and 95 % of the jobs of each minute took no longer. On a scale of powers: seconds and minutes side by side. */
export function latencyPlot(hour, limits) {
  const points = hour
    .filter((minute) => minute.complete > 0 && minute.durations !== null)
    .map(({ age, durations }) => ({
      x: LEFT + inner.width - (age + 0.5) * (inner.width / 60),
      half: quantile(durations, 0.5, limits),
      most: quantile(durations, 0.95, limits),
    }));
  const highest = Math.max(1000, ...points.map((point) => point.most));
  const top = 10 ** Math.ceil(Math.log10(highest) - 0.001);
  const decades = Math.round(Math.log10(top / 10));
  const height = (ms) => Math.log10(Math.max(ms, 10) / 10) / decades;
  const line = (name) =>
    points.length > 1 &&
    svg("polyline", {
      class: `line ${name}`,
      points: points
        .map((point) => `${point.x.toFixed(1)},${y(height(point[name]), 1).toFixed(1)}`)
        .join(" "),
    });
  const dots = (name) =>
    points.map((point) =>
      svg(
        "circle",
        { class: `dot ${name}`, cx: point.x.toFixed(1), cy: y(height(point[name]), 1).toFixed(1), r: 2.6 },
        svg("title", null, took(point[name])),
      ),
    );
  const lines = Array.from({ length: decades + 1 }, (_, place) => [place / decades, scale[place]]);
  const newest = points[0];
  const label =
    newest === undefined
      ? "Time a job takes: no job was done in the last hour."
      : `Time a job takes, by minute of the last hour: at last half took no longer than ${took(newest.half)}, 95 % no longer than ${took(newest.most)}.`;
  return drawing(label, lines, lastHour, [line("most"), line("half"), dots("most"), dots("half")]);
}

/** What was paid each day. */
export function costPlot({ since, days }) {
  const spent = new Map(days.map((day) => [day.day, day.cost_usd]));
  const dates = Array.from({ length: 14 }, (_, place) =>
    new Date(Date.parse(since) + place * 86_400_000).toISOString().slice(0, 10),
  );
  const most = Math.max(0, ...spent.values());
  const top = roundUp(most);
  const width = inner.width / 14;
  const bars = dates.map((day, place) => {
    const usd = spent.get(day) ?? 0;
    return svg(
      "g",
      { "data-key": day },
      svg("title", null, `${day}: ${money(usd)}`),
      usd > 0 &&
        svg("rect", {
          class: "cost",
          x: (LEFT + place * width + 3).toFixed(1),
          width: (width - 6).toFixed(1),
          y: y(usd, top).toFixed(1),
          height: ((inner.height * usd) / top).toFixed(1),
          rx: 2,
        }),
    );
  });
  const label = `Cost of the last 14 days: ${dates.map((day) => `${day} ${money(spent.get(day) ?? 0)}`).join(", ")}.`;
  const marks = [
    [0, dates[0].slice(5), "start"],
    [1, "today", "end"],
  ];
  return frame(label, top, money, marks, bars);
}

/** Name and colour of what a plot shows. */
export const legend = (...names) =>
  h(
    "ul",
    { class: "legend" },
    names.map(([kind, says]) => h("li", null, h("i", { class: kind }), says)),
  );
