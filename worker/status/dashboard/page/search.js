// What a query finds: in everything, or in one document.
import { Refused, send } from "./connection.js";
import { h, show } from "./elements.js";
import { counted, nameOf } from "./words.js";

const modes = [
  ["hybrid", "words and meaning"],
  ["vector", "meaning alone"],
  ["text", "words alone"],
];

export function openSearch(place, query) {
  const leaving = new AbortController();
  let canAct = null;
  return {
    title: "Search",
    update(overview) {
      if (canAct === overview.can_act) return;
      canAct = overview.can_act;
      place.replaceChildren(
        h("h1", null, "Search"),
        h("p", { class: "quiet" }, "What your users would find: the same search that applications call."),
        h(
          "section",
          { class: "card" },
          searchBox({
            canAct,
            filter: {},
            query: query.get("q") ?? "",
            inDocument: false,
            signal: leaving.signal,
          }),
        ),
      );
    },
    close: () => leaving.abort(),
  };
}

/** A form and what it found. Embedding a query may cost money, hence it needs the token as an action does. */
export function searchBox({ canAct, filter, query, inDocument, signal }) {
  if (!canAct)
    return h(
      "p",
      { class: "empty" },
      'Searching from here needs a token: start the worker with RAG_HTTP_TOKEN. On the command line: npm run rag -- search "…"',
    );
  const field = h("input", {
    type: "search",
    id: "query",
    required: true,
    maxlength: 4000,
    value: query,
    placeholder: "a question, or words",
    autocomplete: "off",
  });
  const mode = h(
    "select",
    { id: "mode" },
    modes.map(([value, says]) => h("option", { value }, says)),
  );
  const tenant = h("input", { id: "tenant", autocomplete: "off", placeholder: "all" });
  const found = h("div", { "aria-live": "polite" });
  const form = h(
    "form",
    { class: "search", role: "search" },
    h("label", { class: "wide" }, h("span", null, "Query"), field),
    h("label", null, h("span", null, "By"), mode),
    inDocument ? null : h("label", null, h("span", null, "Tenant"), tenant),
    h("button", { class: "main" }, "Search"),
  );
  const ask = async () => {
    const began = performance.now();
    show(found, h("p", { class: "quiet" }, "Searching…"));
    try {
      const { hits } = await send(
        "/search",
        {
          query: field.value,
          limit: 10,
          mode: mode.value,
          filter: { ...filter, ...(tenant.value.trim() !== "" && { tenant_id: tenant.value.trim() }) },
        },
        signal,
      );
      show(found, results(hits, performance.now() - began, inDocument));
    } catch (thrown) {
      if (signal.aborted) return;
      if (!(thrown instanceof Refused)) throw thrown;
      show(
        found,
        h("p", { class: "notice down" }, h("strong", null, "Search"), h("span", null, thrown.message)),
      );
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void ask();
  });
  if (query !== "") void ask();
  return h("div", null, form, found);
}

function results(hits, ms, inDocument) {
  if (hits.length === 0) return h("p", { class: "empty" }, "Nothing was found.");
  return [
    h(
      "p",
      { class: "quiet small" },
      `${counted(hits.length, "passage")}, best first, in ${Math.round(ms)} ms`,
    ),
    h(
      "ol",
      { class: "chunks" },
      hits.map((hit) =>
        h(
          "li",
          { "data-key": `${hit.document_id}-${hit.chunk_index}` },
          h(
            "p",
            { class: "where" },
            inDocument ? null : h("a", { href: `#/documents/${hit.document_id}` }, nameOf(hit)),
            h("strong", null, `#${hit.chunk_index}`),
            hit.page_number !== null && h("span", null, `page ${hit.page_number}`),
            hit.section && h("span", null, hit.section),
            hit.speaker && h("span", null, hit.speaker),
            h("span", { class: "score" }, `score ${hit.score.toFixed(3)}`),
          ),
          h("p", { class: "content" }, hit.content),
        ),
      ),
    ),
  ];
}
