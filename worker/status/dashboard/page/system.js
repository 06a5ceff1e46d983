// The lower half of the front page: what failed, what it costs, and what runs.
import { h } from "./elements.js";
import { facts, labels } from "./parts.js";
import { costPlot } from "./plots.js";
import { bytes, count, counted, money, nameOf, percent, span, took } from "./words.js";

export function sides(overview, figures) {
  return h(
    "div",
    { class: "pair" },
    h(
      "div",
      { class: "stack" },
      h("section", { class: "card" }, h("h2", null, "Latest failures"), failures(figures)),
      h("section", { class: "card" }, h("h2", null, "Cost"), costs(overview)),
    ),
    h(
      "section",
      { class: "card" },
      h(
        "div",
        { class: "row" },
        h("h2", null, "System"),
        overview.can_act &&
          !figures.paused.some((one) => one.scope === "all") &&
          h("button", { "data-do": "pause" }, "Pause the queue"),
      ),
      facts(system(overview, figures)),
      h(
        "details",
        null,
        h("summary", null, "Every check"),
        h(
          "ul",
          { class: "checks" },
          Object.entries(overview.checks).map(([name, check]) =>
            h(
              "li",
              { "data-key": name },
              h("span", { class: `badge ${check.status}` }, check.status),
              h("span", null, h("strong", null, labels[name] ?? name), " ", check.says),
            ),
          ),
        ),
      ),
    ),
  );
}

function failures({ failures: failed }) {
  if (failed.length === 0) return h("p", { class: "empty" }, "No failed jobs.");
  return [
    h(
      "ul",
      { class: "failures" },
      failed.map((job) =>
        h(
          "li",
          { "data-key": job.id },
          h("a", { href: `#/jobs/${job.id}`, class: "title" }, nameOf(job)),
          h("span", { class: "quiet small" }, `${job.tenant_id}, ${span(job.seconds)} ago`),
          h(
            "span",
            { class: "why" },
            h("code", null, job.error_code ?? "unknown"),
            " ",
            job.advice?.operator ?? "",
          ),
        ),
      ),
    ),
    h("p", null, h("a", { href: "#/jobs?status=failed" }, "All that failed")),
  ];
}

const limits = {
  none: "nothing holds it back",
  circuit: "waits: the provider is away",
  "asked-to-wait": "waits: the provider asked to",
};

function system(overview, figures) {
  const { worker, pacing, embedding_server: server } = overview;
  return [
    ["Provider", `${overview.provider}, ${overview.model}`],
    pacing && [
      "Requests",
      `${pacing.in_flight} under way, ${pacing.allowed} allowed; ${limits[pacing.limited_by] ?? pacing.limited_by}${pacing.wait_seconds > 0 ? `, next in ${took(pacing.wait_seconds * 1000)}` : ""}`,
    ],
    pacing?.requests_per_minute != null && [
      "Provider's limit",
      `${count(pacing.requests_per_minute)} requests a minute${pacing.tokens_per_minute == null ? "" : `, ${count(pacing.tokens_per_minute)} tokens`}${pacing.replicas > 1 ? `; this replica has ${percent(pacing.share)}` : ""}`,
    ],
    server && [
      "llama-server",
      `${server.state}${server.rss_bytes === null ? "" : `, ${bytes(server.rss_bytes)} of memory`}${server.slots === null ? "" : `, ${counted(server.slots, "slot")}`}; ${counted(server.starts, "start")}, ${counted(server.deaths, "death")}`,
    ],
    [
      "Memory",
      h(
        "span",
        { class: "progress" },
        h("progress", {
          max: Math.round(worker.memory_bytes),
          value: worker.rss_bytes,
          "aria-label": "Memory of this worker",
        }),
        h("span", { class: "quiet number" }, `${bytes(worker.rss_bytes)} of ${bytes(worker.memory_bytes)}`),
      ),
    ],
    [
      "This worker",
      `${worker.condition}, ${worker.jobs} of ${counted(worker.slots, "slot")} busy, up ${span(worker.uptime_seconds)}`,
    ],
    ["Database", overview.database],
    figures.model && ["Stored vectors", `${figures.model.model}, ${figures.model.dimensions} dimensions`],
    ["Version", overview.version],
  ];
}

function costs({ costs }) {
  if (costs === null || costs.days.every((day) => day.cost_usd === 0))
    return h("p", { class: "empty" }, "Nothing was paid in the last 14 days.");
  return [
    costPlot(costs),
    h(
      "table",
      { class: "plain" },
      h("caption", { class: "hidden" }, "Cost of the last 14 days by tenant"),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          h("th", null, "Tenant"),
          h("th", { class: "number" }, "Tokens"),
          h("th", { class: "number" }, "14 days"),
        ),
      ),
      h(
        "tbody",
        null,
        costs.tenants
          .slice(0, 6)
          .map((tenant) =>
            h(
              "tr",
              { "data-key": tenant.tenant_id },
              h(
                "td",
                null,
                h("a", { href: `#/jobs?tenant=${encodeURIComponent(tenant.tenant_id)}` }, tenant.tenant_id),
              ),
              h("td", { class: "number" }, count(tenant.tokens)),
              h("td", { class: "number" }, money(tenant.cost_usd)),
            ),
          ),
      ),
    ),
  ];
}
