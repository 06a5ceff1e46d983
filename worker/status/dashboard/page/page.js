// Which page is shown, and the one stream that keeps it up to date.
import { hasToken, keepToken, listen } from "./connection.js";
import { openDocument } from "./document.js";
import { h, show } from "./elements.js";
import { openJob } from "./job.js";
import { openJobs } from "./jobs.js";
import { openOverview } from "./overview.js";
import { openSearch } from "./search.js";
import { signIn } from "./sign-in.js";

const main = document.querySelector("#main");
const standing = document.querySelector("#standing");
let view = null;
let overview = null;
let refused = null;
let stop = () => {};

const ID = "([0-9a-f-]{36})";
const pages = [
  [/^\/?$/, "overview", (place) => openOverview(place)],
  [/^\/jobs$/, "jobs", (place, query) => openJobs(place, query)],
  [new RegExp(`^/jobs/${ID}$`), "jobs", (place, _query, id) => openJob(place, id)],
  [new RegExp(`^/documents/${ID}$`), "jobs", (place, _query, id) => openDocument(place, id)],
  [/^\/search$/, "search", (place, query) => openSearch(place, query)],
];

function open() {
  view?.close?.();
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?", 2);
  const [match, name, make] = pages
    .map(([pattern, page, opener]) => [pattern.exec(path), page, opener])
    .find(([found]) => found !== null) ?? [null, "", null];
  const place = h("div", { class: "page" });
  main.replaceChildren(place);
  if (make === null) {
    view = { title: "Not found" };
    place.append(h("p", { class: "card empty" }, "There is no such page."));
  } else view = make(place, new URLSearchParams(query), match[1]);
  document.title = `${view.title} · RAG worker`;
  for (const link of document.querySelectorAll("nav [data-page]"))
    if (link.dataset.page === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  if (overview !== null) view.update?.(overview);
  scrollTo(0, 0);
}

function drawStanding() {
  const [kind, says] =
    refused !== null
      ? ["lost", "not connected"]
      : overview === null
        ? ["lost", "connecting"]
        : [overview.status, { ok: "all well", degraded: "look here", down: "down" }[overview.status]];
  show(
    standing,
    h("span", { class: `badge ${kind}`, title: refused?.message ?? "" }, says),
    hasToken() && h("button", { class: "bare", "data-do": "sign-out" }, "Sign out"),
  );
}

function start() {
  refused = null;
  stop();
  stop = listen(
    (fresh) => {
      const isFirst = view === null;
      overview = fresh;
      refused = null;
      drawStanding();
      if (isFirst) open();
      else view.update?.(fresh);
    },
    (why) => {
      refused = why;
      drawStanding();
      if (why.status === 401) askForToken(why.message);
      else if (view === null) main.replaceChildren(h("p", { class: "card empty" }, why.message));
    },
  );
}

function askForToken(says) {
  view?.close?.();
  view = null;
  overview = null;
  const wrong = hasToken();
  keepToken(null);
  drawStanding();
  main.replaceChildren(signIn(wrong ? "That is not the token of this worker." : says, start));
}

standing.addEventListener("click", (event) => {
  if (event.target.closest("[data-do=sign-out]") === null) return;
  keepToken(null);
  location.reload();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address is the page's own; a jump must not change it.
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", () => view !== null && open());
drawStanding();
start();
