// The table of jobs.
import { h } from "./elements.js";
import { progressOf } from "./parts.js";
import { ago, between, count, counted, nameOf, short } from "./words.js";

/** What stands where there are no jobs. */
export function empty(filter, lookedBackTo) {
  const says =
    lookedBackTo !== null
      ? `Nothing found back to ${ago(lookedBackTo)}.`
      : Object.keys(filter).length > 0
        ? "No job fits this filter."
        : "There are no jobs yet. Put a document into the queue with: npm run rag -- ingest FILE";
  return h("p", { class: "card empty" }, says);
}

export function table(jobs, selected, canAct) {
  return h(
    "div",
    { class: "card flush scroll", tabindex: "0", role: "region", "aria-label": "Jobs" },
    h(
      "table",
      { class: "jobs-table" },
      h("caption", { class: "hidden" }, "Jobs, the newest first"),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          canAct &&
            h(
              "th",
              { class: "pick" },
              h("input", { type: "checkbox", "data-all": true, "aria-label": "Select all jobs shown" }),
            ),
          h("th", { class: "status" }, "Status"),
          h("th", { class: "document" }, "Document"),
          h("th", null, "What is going on"),
          h("th", { class: "tenant" }, "Tenant"),
          h("th", { class: "when" }, "Submitted"),
          canAct && h("th", { class: "act" }, h("span", { class: "hidden" }, "Action")),
        ),
      ),
      h(
        "tbody",
        null,
        jobs.map((job) => row(job, selected.has(job.id), canAct)),
      ),
    ),
  );
}

function row(job, picked, canAct) {
  const action = ["failed", "cancelled"].includes(job.status)
    ? "retry"
    : job.status === "complete"
      ? null
      : "cancel";
  const name = nameOf(job);
  return h(
    "tr",
    { "data-key": job.id, class: picked ? "picked" : null },
    canAct &&
      h(
        "td",
        { class: "pick" },
        h("input", {
          type: "checkbox",
          "data-pick": job.id,
          checked: picked,
          "aria-label": `Select ${name}, ${short(job.id)}`,
        }),
      ),
    h("td", null, h("span", { class: `badge ${job.status}` }, job.status)),
    h(
      "td",
      { class: "document" },
      h("a", { href: `#/jobs/${job.id}`, class: "title" }, name),
      h(
        "span",
        { class: "quiet small" },
        `${short(job.id)}${job.kind === "document" ? "" : ` · ${job.kind}`}${job.priority > 0 ? ` · priority ${job.priority}` : ""}`,
      ),
    ),
    h("td", { class: "going" }, goingOn(job)),
    h("td", { class: "tenant" }, job.tenant_id),
    h(
      "td",
      { class: "when" },
      h(
        "time",
        { datetime: job.submitted_at, title: new Date(job.submitted_at).toLocaleString() },
        ago(job.submitted_at),
      ),
    ),
    canAct &&
      h(
        "td",
        { class: "act" },
        action &&
          h(
            "button",
            {
              "data-do": action,
              "data-id": job.id,
              "aria-label": `${action === "retry" ? "Retry" : "Cancel"} ${name}`,
            },
            action === "retry" ? "Retry" : "Cancel",
          ),
      ),
  );
}

function goingOn(job) {
  if (job.status === "processing")
    return [h("span", { class: "stage" }, job.stage ?? "starting"), progressOf(job)];
  if (job.status === "queued")
    return h("span", { class: "quiet" }, `Waits for ${job.waits_for ?? "a free slot"}`);
  if (job.status === "complete")
    return h(
      "span",
      { class: "quiet" },
      `${counted(job.processed_chunks, "chunk")}${job.started_at ? ` in ${between(job.started_at, job.completed_at)}` : ""}${job.rejected_chunks > 0 ? `, ${count(job.rejected_chunks)} refused` : ""}`,
    );
  return [
    h("code", null, job.error_code ?? job.status),
    h("span", { class: "quiet small" }, job.advice?.operator ?? job.error_detail ?? ""),
  ];
}
