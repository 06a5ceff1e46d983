// One job: where it is, why it waits, what went wrong and what to do about it.
import { actOn } from "./actions.js";
import { Refused, read } from "./connection.js";
import { h, show } from "./elements.js";
import { facts, progressOf } from "./parts.js";
import { ago, between, count, counted, moment, money, nameOf, short } from "./words.js";

export function openJob(place, id) {
  const leaving = new AbortController();
  let job = null;
  let canAct = false;
  let reading = false;

  const look = async () => {
    if (reading) return;
    reading = true;
    try {
      job = await read(`/jobs/${id}`, leaving.signal);
      draw();
    } catch (thrown) {
      if (leaving.signal.aborted) return;
      if (!(thrown instanceof Refused)) throw thrown;
      if (job === null) show(place, h("p", { class: "card empty" }, thrown.message));
    } finally {
      reading = false;
    }
  };
  const draw = () => show(place, jobPage(job, canAct));

  place.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-do]");
    if (button !== null && (await actOn(button.dataset.do, { job_ids: [id] }, { one: true }))) await look();
  });
  show(place, h("p", { class: "quiet" }, "Loading…"));
  void look();
  return {
    title: `Job ${short(id)}`,
    update(overview) {
      canAct = overview.can_act;
      // One that has ended does not change by itself.
      if (job === null || ["queued", "processing"].includes(job.status)) void look();
      else draw();
    },
    close: () => leaving.abort(),
  };
}

function jobPage(job, canAct) {
  const { document } = job;
  const name = nameOf({ title: document?.title, source_uri: document?.source_uri, kind: job.kind });
  return [
    h(
      "nav",
      { class: "crumbs", "aria-label": "Where you are" },
      h("a", { href: "#/jobs" }, "Jobs"),
      ` / ${short(job.id)}`,
    ),
    h(
      "div",
      { class: "row head" },
      h("h1", null, name),
      h("span", { class: `badge ${job.status}` }, job.status),
      canAct && buttons(job),
    ),
    (job.status === "processing" || job.status === "queued") && going(job, name),
    job.error_code !== null && job.status !== "queued" && trouble(job),
    h(
      "div",
      { class: "pair" },
      h("section", { class: "card" }, h("h2", null, "Job"), facts(aboutJob(job))),
      h(
        "section",
        { class: "card" },
        h("h2", null, "Document"),
        document === null
          ? h("p", { class: "empty" }, `A ${job.kind} job has no document of its own.`)
          : [
              facts(aboutDocument(document)),
              h("p", null, h("a", { href: `#/documents/${document.id}` }, "Its chunks, and a search in it")),
            ],
      ),
    ),
    job.errors.length > 0 && history(job),
    job.rejected?.length > 0 && rejected(job),
  ];
}

function buttons(job) {
  const can = {
    retry: ["failed", "cancelled"].includes(job.status),
    cancel: ["queued", "processing"].includes(job.status),
    prioritise: job.status === "queued",
  };
  const names = { retry: "Retry", cancel: "Cancel", prioritise: "Set priority" };
  return h(
    "div",
    { class: "actions" },
    Object.keys(can)
      .filter((action) => can[action])
      .map((action) =>
        h(
          "button",
          { "data-do": action, "data-key": action, class: action === "retry" ? "main" : null },
          names[action],
        ),
      ),
  );
}

const stages = ["fetching", "parsing", "embedding", "analysing", "completing"];

function going(job, name) {
  if (job.status === "queued")
    return h(
      "p",
      { class: "notice plain" },
      h("strong", null, "Waits for"),
      h("span", null, job.waits_for ?? "a free slot"),
    );
  return h(
    "section",
    { class: "card going-on" },
    h(
      "ol",
      { class: "stages" },
      stages
        .filter((stage) => stage !== "analysing" || job.stage === stage)
        .map((stage) =>
          h(
            "li",
            {
              class:
                stage === job.stage ? "now" : stages.indexOf(stage) < stages.indexOf(job.stage) ? "past" : "",
              "aria-current": stage === job.stage ? "step" : null,
            },
            stage,
          ),
        ),
    ),
    progressOf({ ...job, title: name }),
  );
}

function trouble(job) {
  return h(
    "section",
    { class: `card trouble ${job.status}` },
    h("h2", null, h("code", null, job.error_code)),
    job.error_detail && h("p", null, job.error_detail),
    job.advice && h("p", null, h("strong", null, "What to do: "), job.advice.operator),
    job.advice &&
      !job.error_detail?.startsWith(job.advice.user) &&
      h("p", { class: "quiet" }, h("strong", null, "What to tell the person: "), job.advice.user),
  );
}

function aboutJob(job) {
  const of = (done, total) => (total === null ? count(done) : `${count(done)} of ${count(total)}`);
  return [
    ["Id", h("code", null, job.id)],
    ["Kind", job.kind],
    ["Tenant", h("a", { href: `#/jobs?tenant=${encodeURIComponent(job.tenant_id)}` }, job.tenant_id)],
    ["Priority", String(job.priority)],
    ["Attempts", `${job.attempts} of ${job.max_attempts}`],
    ["Worker", job.worker_id],
    ["Submitted", `${moment(job.submitted_at)}, ${ago(job.submitted_at)}`],
    job.started_at && ["Started", `after ${between(job.submitted_at, job.started_at)}`],
    job.completed_at && [
      "Ended",
      `${moment(job.completed_at)}${job.started_at ? `, after ${between(job.started_at, job.completed_at)}` : ""}`,
    ],
    ["Segments", of(job.processed_segments, job.total_segments)],
    [
      "Chunks",
      `${of(job.processed_chunks, job.total_chunks)}${job.reused_chunks > 0 ? `, ${count(job.reused_chunks)} reused` : ""}`,
    ],
    ["Tokens", count(job.tokens)],
    ["Cost", money(job.cost_usd)],
  ];
}

export function aboutDocument(document) {
  return [
    ["Source", document.source_uri],
    ["Status", document.status],
    ["Collection", document.collection],
    ["Version", document.version],
    ["Type", document.media_type],
    ["Tags", document.tags?.join(", ")],
    ["Id", h("code", null, document.id)],
  ];
}

function history(job) {
  return h(
    "section",
    { class: "card" },
    h("h2", null, "What went wrong so far"),
    h(
      "ol",
      { class: "history" },
      job.errors
        .toReversed()
        .map((error, place) =>
          h(
            "li",
            { "data-key": `${error.at}-${place}` },
            h(
              "span",
              { class: "quiet" },
              `${moment(error.at)}${error.attempt == null ? "" : `, try ${error.attempt}`}`,
            ),
            h("code", null, error.code),
            h("span", null, error.detail ?? ""),
          ),
        ),
    ),
  );
}

function rejected(job) {
  const more = job.rejected_chunks - job.rejected.length;
  return h(
    "section",
    { class: "card" },
    h("h2", null, "Chunks that the provider refused"),
    h(
      "ol",
      { class: "history" },
      job.rejected.map((chunk) =>
        h(
          "li",
          { "data-key": chunk.chunk_index },
          h(
            "span",
            { class: "quiet" },
            `chunk ${chunk.chunk_index}${chunk.page_number === null ? "" : `, page ${chunk.page_number}`}`,
          ),
          h("code", null, chunk.code),
          h("span", null, chunk.detail),
        ),
      ),
    ),
    more > 0 && h("p", { class: "quiet" }, `and ${counted(more, "more chunk")}`),
  );
}
