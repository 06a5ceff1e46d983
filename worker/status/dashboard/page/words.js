// Figures in words.
const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(Math.round(number ?? 0));
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** `3 s`, `12 min`, `4 h`, `9 d`. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return "0 s";
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** A duration with the digits that matter: `420 ms`, `1.8 s`, `3 min 20 s`. */
export function took(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function ago(at) {
  const seconds = (Date.now() - new Date(at).getTime()) / 1000;
  return seconds < 2 ? "just now" : `${span(seconds)} ago`;
}
export const between = (from, to) => took(new Date(to).getTime() - new Date(from).getTime());
export const moment = (at) => new Date(at).toLocaleString();

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = number;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size >= 100 || unit === 0 ? Math.round(size) : size.toFixed(1)} ${units[unit]}`;
}

export const money = (usd) => {
  const amount = Number(usd ?? 0);
  return amount > 0 && amount < 0.01 ? `$${amount.toPrecision(2)}` : `$${amount.toFixed(2)}`;
};

export const percent = (share) =>
  `${share >= 0.9995 || share === 0 ? Math.round(share * 100) : (share * 100).toFixed(1)} %`;

/** What a document or job is called. */
export function nameOf({ title, source_uri, kind }) {
  if (title) return title;
  if (source_uri) {
    const last =
      source_uri
        .replace(/^[a-z]+:\/*/, "")
        .split("/")
        .pop() ?? "";
    try {
      return decodeURIComponent(last) || source_uri;
    } catch {
      return last || source_uri;
    }
  }
  return kind ? `untitled ${kind}` : "untitled";
}

export const short = (id) => id.slice(0, 8);

/** A worker's name without what only makes it unique. */
export const workerName = (id) => (id ?? "").split("/").slice(0, 2).join("/");
