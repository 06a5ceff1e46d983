// The front page: what is going on, and whether it is well.

import { pause, resume } from "./actions.js";
import { h, show } from "./elements.js";
import { labels, progressOf } from "./parts.js";
import { latencyPlot, legend, quantile, throughputPlot } from "./plots.js";
import { sides } from "./system.js";
import { ago, count, counted, money, nameOf, percent, span, took, workerName } from "./words.js";

export function openOverview(place) {
  place.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (button === null) return;
    const { do: act, scope, name } = button.dataset;
    if (act === "pause") void pause("all");
    if (act === "resume") void resume(scope, name);
  });
  return {
    title: "Overview",
    update(overview) {
      const { figures } = overview;
      show(
        place,
        h("h1", { class: "hidden" }, "Overview"),
        notices(overview),
        figures === null
          ? h("p", { class: "card empty" }, "The database has not answered yet.")
          : [tiles(overview, figures), plots(overview, figures), work(figures), sides(overview, figures)],
      );
    },
  };
}

function notices({ checks, figures, can_act }) {
  const wrong = Object.entries(checks).filter(([, check]) => check.status !== "ok");
  const paused = figures?.paused ?? [];
  const nobody = figures !== null && figures.workers.length === 0;
  return h(
    "div",
    { class: "notices" },
    wrong.map(([name, check]) =>
      h(
        "p",
        { class: `notice ${check.status}`, "data-key": name },
        h("strong", null, labels[name] ?? name),
        h("span", null, check.says),
      ),
    ),
    paused.map((one) =>
      h(
        "p",
        { class: "notice paused", "data-key": `p-${one.scope}-${one.name}` },
        h("strong", null, "Paused"),
        h(
          "span",
          null,
          `${one.scope === "all" ? "All jobs" : `${one.scope} ${one.name}`}, since ${ago(one.paused_at)}${one.reason ? `: ${one.reason}` : ""}. Jobs at work go on.`,
        ),
        can_act &&
          h("button", { "data-do": "resume", "data-scope": one.scope, "data-name": one.name }, "Resume"),
      ),
    ),
    nobody &&
      h(
        "p",
        { class: "notice down", "data-key": "nobody" },
        h("strong", null, "Workers"),
        h("span", null, "No worker is running. Start one with: npm run worker:rag"),
      ),
  );
}

function tiles({ duration_limits_ms: limits, budget_usd }, figures) {
  const { waiting, day } = figures;
  const all = waiting.ready + waiting.delayed + waiting.behind + waiting.held;
  const sum = (name) => figures.hour.reduce((total, minute) => total + minute[name], 0);
  const durations = limits.map(() => 0).concat(0);
  for (const minute of figures.hour)
    for (const [place, jobs] of (minute.durations ?? []).entries()) durations[place] += jobs;
  const half = quantile(durations, 0.5, limits);
  const ended = day.complete + day.failed;
  const asides = [
    waiting.delayed > 0 && `${count(waiting.delayed)} delayed`,
    waiting.held + waiting.behind > 0 && `${count(waiting.held + waiting.behind)} held back`,
  ].filter(Boolean);
  return h(
    "section",
    { class: "tiles", "aria-label": "Key figures" },
    tile(
      "Waiting",
      `${count(all)}${figures.capped ? "+" : ""}`,
      figures.oldest_queued_seconds === null
        ? asides.join(", ") || "the queue is empty"
        : [`oldest ready ${span(figures.oldest_queued_seconds)}`, ...asides].join(", "),
      "#/jobs?status=queued",
    ),
    tile(
      "At work",
      count(figures.processing),
      counted(figures.workers.length, "worker"),
      "#/jobs?status=processing",
    ),
    tile(
      "Done in the last hour",
      count(sum("complete")),
      counted(sum("chunks"), "chunk"),
      "#/jobs?status=complete",
    ),
    tile(
      "Success",
      ended === 0 ? "–" : percent(day.complete / ended),
      ended === 0 ? "nothing ended in 24 h" : `${count(day.failed)} failed in 24 h`,
      "#/jobs?status=failed",
      day.failed > 0 && ended > 0 && day.failed / ended > 0.05 ? "bad" : "",
    ),
    tile(
      "Time a job takes",
      took(half),
      half === null ? "no job in the last hour" : `95 % below ${took(quantile(durations, 0.95, limits))}`,
    ),
    tile(
      "Spent today",
      money(figures.today.cost_usd),
      budget_usd === null ? `${count(figures.today.tokens)} tokens` : `of ${money(budget_usd)}`,
    ),
  );
}

function tile(name, value, aside, href = null, kind = "") {
  const content = [
    h("span", { class: "name" }, name),
    h("span", { class: `value ${kind}` }, value),
    h("span", { class: "aside" }, aside),
  ];
  return href === null
    ? h("div", { class: "tile", "data-key": name }, content)
    : h("a", { class: "tile", href, "data-key": name }, content);
}

function plots({ duration_limits_ms: limits }, { hour }) {
  return h(
    "div",
    { class: "pair" },
    h(
      "section",
      { class: "card" },
      h("h2", null, "Jobs a minute"),
      throughputPlot(hour),
      legend(["done", "done"], ["failed", "failed"]),
    ),
    h(
      "section",
      { class: "card" },
      h("h2", null, "Time a job takes"),
      latencyPlot(hour, limits),
      legend(["half", "half of the jobs"], ["most", "95 % of the jobs"]),
    ),
  );
}

function work({ workers, working, processing }) {
  const known = new Set(workers.map((worker) => worker.worker_id));
  const lost = working.filter((job) => !known.has(job.worker_id));
  return h(
    "section",
    { class: "card" },
    h("h2", null, "At work"),
    workers.length === 0 && lost.length === 0
      ? h("p", { class: "empty" }, "No worker is running.")
      : h(
          "div",
          { class: "workers" },
          workers.map((worker) =>
            oneWorker(
              worker.worker_id,
              `${counted(worker.jobs, "job")}, up ${span(worker.seconds)}`,
              working.filter((job) => job.worker_id === worker.worker_id),
            ),
          ),
          lost.length > 0 && oneWorker("gone", "silent; its jobs are taken over when their leases end", lost),
        ),
    processing > working.length &&
      h(
        "p",
        { class: "quiet" },
        `and ${count(processing - working.length)} more: `,
        h("a", { href: "#/jobs?status=processing" }, "all at work"),
      ),
  );
}

function oneWorker(id, says, jobs) {
  return h(
    "div",
    { class: "worker", "data-key": id },
    h("h3", { title: id }, workerName(id), h("span", { class: "quiet" }, says)),
    jobs.length === 0
      ? h("p", { class: "quiet" }, "Waits for work.")
      : h(
          "ul",
          { class: "jobs" },
          jobs.map((job) =>
            h(
              "li",
              { "data-key": job.id },
              h("a", { href: `#/jobs/${job.id}`, class: "title" }, nameOf(job)),
              h("span", { class: "quiet" }, job.tenant_id),
              h("span", { class: "stage" }, job.stage ?? "starting"),
              progressOf(job),
              h("span", { class: "quiet number" }, span(job.seconds)),
            ),
          ),
        ),
  );
}
