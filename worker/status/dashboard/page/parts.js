// What several pages show alike.
import { h } from "./elements.js";
import { count, counted, nameOf } from "./words.js";

export const labels = {
  database: "Database",
  horizon: "Vacuum",
  leases: "Leases",
  provider: "Provider",
  configuration: "Configuration",
  memory: "Memory",
  budget: "Budget",
};

/** Rows of name and value; those without a value are left out. */
export const facts = (rows) =>
  h(
    "dl",
    { class: "facts" },
    rows
      .filter((row) => row && row[1] !== null && row[1] !== undefined && row[1] !== "")
      .map(([name, value]) => h("div", { "data-key": name }, h("dt", null, name), h("dd", null, value))),
  );

/** Chunks once it is known how many there are, segments before that. */
export function progressOf(job) {
  const [done, total, what] =
    job.total_chunks > 0
      ? [job.processed_chunks, job.total_chunks, "chunks"]
      : [job.processed_segments, job.total_segments, "segments"];
  const name = `Progress of ${nameOf(job)}`;
  if (!(total > 0))
    return h(
      "span",
      { class: "progress" },
      h("progress", { "aria-label": name }),
      h(
        "span",
        { class: "quiet number" },
        job.processed_chunks > 0 ? counted(job.processed_chunks, "chunk") : "",
      ),
    );
  return h(
    "span",
    { class: "progress" },
    h("progress", { max: total, value: done, "aria-label": name }),
    h("span", { class: "quiet number" }, `${count(done)} of ${count(total)} ${what}`),
  );
}
