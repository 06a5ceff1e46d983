// The list of jobs: filter, pages, selection, and what is done to one, to some or to all that fit.
import { actOn, pause, resume } from "./actions.js";
import { Refused, read } from "./connection.js";
import { h, show } from "./elements.js";
import { empty, table } from "./jobs-table.js";
import { ago, count } from "./words.js";

const statuses = ["queued", "processing", "complete", "failed", "cancelled"];
const REFRESH_MS = 5000;
const PAGE = 50;

/** The filter that the address names, as the server takes it. */
function filterOf(query) {
  const text = (query.get("text") ?? "").trim();
  const isId = /^[0-9a-f]{4,8}(-?[0-9a-f]{4}){0,3}(-?[0-9a-f]{0,12})?$/i.test(text) && /\d/.test(text);
  return {
    ...(query.get("status") && { status: query.get("status").split(",") }),
    ...(query.get("kind") && { kind: query.get("kind") }),
    ...(query.get("tenant") && { tenant_id: query.get("tenant") }),
    ...(query.get("code") && { error_code: query.get("code") }),
    ...(text !== "" && (isId ? { job_id_prefix: text.toLowerCase() } : { text: text.slice(0, 300) })),
  };
}

export function openJobs(place, query) {
  let filter = filterOf(query);
  const selected = new Set();
  const leaving = new AbortController();
  let jobs = [];
  let next = null;
  let lookedBackTo = null;
  let failure = null;
  let loaded = false;
  let canAct = false;
  let paused = [];
  let readAt = 0;
  let reading = false;
  let pages = 1;

  const list = h("div", { class: "list" });
  place.replaceChildren(h("h1", { class: "hidden" }, "Jobs"), filterForm(query), list);

  const ask = async (after) => {
    reading = true;
    const parameters = new URLSearchParams({ filter: JSON.stringify(filter), limit: String(PAGE) });
    if (after?.before) parameters.set("before", after.before);
    if (after?.before_id) parameters.set("before_id", after.before_id);
    try {
      const page = await read(`/jobs?${parameters}`, leaving.signal);
      jobs = after === null ? page.jobs : [...jobs, ...page.jobs];
      next = page.next;
      lookedBackTo = page.looked_back_to;
      failure = null;
      loaded = true;
      // What looks like the start of an id may be a year in a title.
      const { job_id_prefix: text, ...others } = filter;
      if (text !== undefined && jobs.length === 0) {
        filter = { ...others, text };
        return await ask(null);
      }
    } catch (thrown) {
      if (leaving.signal.aborted) return;
      if (!(thrown instanceof Refused)) throw thrown;
      failure = thrown.message;
    } finally {
      reading = false;
      readAt = Date.now();
    }
    for (const id of selected) if (!jobs.some((job) => job.id === id)) selected.delete(id);
    draw();
  };

  const draw = () =>
    show(
      list,
      canAct ? bulk(filter, selected, jobs, paused) : null,
      failure !== null &&
        h("p", { class: "notice down" }, h("strong", null, "Jobs"), h("span", null, failure)),
      !loaded && failure === null
        ? h("p", { class: "quiet" }, "Loading…")
        : jobs.length === 0 && failure === null
          ? empty(filter, lookedBackTo)
          : table(jobs, selected, canAct),
      next !== null &&
        loaded &&
        h(
          "p",
          { class: "row centre" },
          h("button", { "data-do": "more" }, lookedBackTo === null ? "Show older" : "Look further back"),
          lookedBackTo !== null && h("span", { class: "quiet" }, `Searched back to ${ago(lookedBackTo)}.`),
        ),
    );

  const act = async (action, chosen, options) => {
    if (await actOn(action, chosen, options)) {
      selected.clear();
      pages = 1;
      await ask(null);
    }
  };
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (button === null) return;
    const { do: what, id, scope, name } = button.dataset;
    if (what === "more") {
      pages += 1;
      void ask(next);
    } else if (what === "pause") void pause(scope, name);
    else if (what === "resume") void resume(scope, name);
    else if (id) void act(what, { job_ids: [id] }, { one: true });
    else if (selected.size > 0) void act(what, { job_ids: [...selected] });
    else void act(what, filter);
  });
  list.addEventListener("change", (event) => {
    const { all, pick } = event.target.dataset;
    if (all !== undefined)
      for (const job of jobs) event.target.checked ? selected.add(job.id) : selected.delete(job.id);
    else if (pick) event.target.checked ? selected.add(pick) : selected.delete(pick);
    for (const box of list.querySelectorAll("[data-pick]")) box.checked = selected.has(box.dataset.pick);
    draw();
  });

  void ask(null);
  return {
    title: "Jobs",
    update(overview) {
      canAct = overview.can_act;
      paused = overview.figures?.paused ?? [];
      if (loaded) draw();
      // What was scrolled to stays under the reader's eyes; only the first page moves by itself.
      if (!reading && pages === 1 && Date.now() - readAt > REFRESH_MS) void ask(null);
    },
    close: () => leaving.abort(),
  };
}

function filterForm(query) {
  const value = (name) => query.get(name) ?? "";
  const field = (name, label, attributes = {}) =>
    h(
      "label",
      null,
      h("span", null, label),
      h("input", { name, value: value(name), autocomplete: "off", spellcheck: "false", ...attributes }),
    );
  const chosen = value("status");
  const form = h(
    "form",
    { class: "filter", role: "search", "aria-label": "Filter of the jobs" },
    h(
      "div",
      { class: "chips", role: "group", "aria-label": "Status" },
      ["", ...statuses].map((status) =>
        h(
          "button",
          {
            type: "submit",
            name: "status",
            value: status,
            "aria-pressed": status === chosen ? "true" : "false",
          },
          status === "" ? "all" : status,
        ),
      ),
    ),
    h(
      "div",
      { class: "fields" },
      field("text", "Title, address, error or job id", { type: "search", class: "wide" }),
      field("tenant", "Tenant"),
      field("code", "Error code", { placeholder: "extract.corrupt" }),
      h(
        "label",
        null,
        h("span", null, "Kind"),
        h(
          "select",
          { name: "kind" },
          [["", "any"], ["document"], ["relationships"], ["reembed"], ["sync"]].map(([kind, says = kind]) =>
            h("option", { value: kind, selected: kind === value("kind") }, says),
          ),
        ),
      ),
      h("button", { type: "submit", name: "status", value: chosen, class: "main" }, "Find"),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const asked = new URLSearchParams();
    for (const [name, text] of new FormData(form, event.submitter))
      if (String(text).trim() !== "") asked.set(name, String(text).trim());
    const rest = asked.toString();
    location.hash = rest === "" ? "#/jobs" : `#/jobs?${rest}`;
  });
  return form;
}

function bulk(filter, selected, jobs, paused) {
  const chosen = jobs.filter((job) => selected.has(job.id));
  const some = chosen.length > 0;
  const named = Object.keys(filter).length > 0;
  const has = (...wanted) =>
    some
      ? chosen.some((job) => wanted.includes(job.status))
      : named && (filter.status ?? statuses).some((status) => wanted.includes(status)) && jobs.length > 0;
  const button = (action, label, shown) =>
    shown && h("button", { "data-do": action, "data-key": action }, label);
  const what = some ? `${count(chosen.length)} selected` : "all that fit";
  const buttons = [
    button("retry", `Retry ${what}`, has("failed", "cancelled")),
    button("cancel", `Cancel ${what}`, has("queued", "processing")),
    button("prioritise", `Prioritise ${what}`, has("queued")),
    ...pauses(filter, paused),
  ].filter(Boolean);
  return h(
    "div",
    { class: "bulk", role: "group", "aria-label": "Actions", "data-key": "bulk" },
    buttons.length > 0
      ? buttons
      : h("span", { class: "quiet" }, "Select jobs, or filter them, to act on many at once."),
  );
}

/** What the filter names that can be paused, one button each: a tenant, a kind. */
function pauses({ tenant_id: tenant, kind }, paused) {
  const named = Object.entries({ tenant, kind }).filter(([, name]) => name !== undefined);
  return named.map(([scope, name]) => {
    const isPaused = paused.some((one) => one.scope === scope && one.name === name);
    const what = isPaused ? "resume" : "pause";
    return h(
      "button",
      { "data-do": what, "data-scope": scope, "data-name": name, "data-key": `pause ${scope}` },
      `${isPaused ? "Resume" : "Pause"} ${scope} ${name}`,
    );
  });
}
