// One document: what readers see of it, chunk by chunk, and what a query finds in it.
import { Refused, read } from "./connection.js";
import { h, show } from "./elements.js";
import { aboutDocument } from "./job.js";
import { facts } from "./parts.js";
import { searchBox } from "./search.js";
import { ago, count, counted, nameOf, short } from "./words.js";

const PAGE = 50;
const REFRESH_MS = 3000;

export function openDocument(place, id) {
  const leaving = new AbortController();
  const parts = {
    head: h("div", { class: "list" }),
    search: h("section", { class: "card" }),
    chunks: h("section", { class: "card" }),
  };
  let chunks = [];
  let more = false;
  let canAct = null;
  let jobs = [];
  let pages = 1;
  let readAt = 0;
  let reading = false;

  const look = async () => {
    reading = true;
    try {
      const [document, page] = await Promise.all([
        read(`/documents/${id}`, leaving.signal),
        read(`/documents/${id}/chunks?limit=${PAGE}`, leaving.signal),
      ]);
      jobs = document.jobs;
      chunks = page.chunks;
      more = page.chunks.length === PAGE;
      if (!place.contains(parts.head)) place.replaceChildren(parts.head, parts.search, parts.chunks);
      show(parts.head, head(document));
      drawChunks(document);
    } catch (thrown) {
      if (leaving.signal.aborted) return;
      if (!(thrown instanceof Refused)) throw thrown;
      place.replaceChildren(h("p", { class: "card empty" }, thrown.message));
    } finally {
      reading = false;
      readAt = Date.now();
    }
  };
  const drawChunks = (document) =>
    show(
      parts.chunks,
      h("h2", null, "Chunks"),
      chunks.length === 0
        ? h(
            "p",
            { class: "empty" },
            document?.live ? "It has no text." : "Nothing of it can be found yet: no job has completed.",
          )
        : h("ol", { class: "chunks" }, chunks.map(chunkItem)),
      more && h("p", { class: "row centre" }, h("button", { "data-do": "more" }, "Show more")),
    );
  parts.chunks.addEventListener("click", async (event) => {
    if (event.target.closest("button[data-do=more]") === null) return;
    pages += 1;
    const last = chunks.at(-1).chunk_index;
    const page = await read(`/documents/${id}/chunks?after=${last}&limit=${PAGE}`, leaving.signal);
    chunks = [...chunks, ...page.chunks];
    more = page.chunks.length === PAGE;
    drawChunks(null);
  });
  show(place, h("p", { class: "quiet" }, "Loading…"));
  void look();
  return {
    title: "Document",
    update(overview) {
      // Until its last job has ended; further pages stay under the reader's eyes.
      const isAtWork = jobs.some(({ status }) => status === "queued" || status === "processing");
      if (isAtWork && !reading && pages === 1 && Date.now() - readAt > REFRESH_MS) void look();
      if (canAct === overview.can_act) return;
      canAct = overview.can_act;
      parts.search.replaceChildren(
        h("h2", null, "Search in this document"),
        searchBox({
          canAct,
          filter: { document_ids: [id] },
          query: "",
          inDocument: true,
          signal: leaving.signal,
        }),
      );
    },
    close: () => leaving.abort(),
  };
}

function head(document) {
  const { live } = document;
  return [
    h(
      "nav",
      { class: "crumbs", "aria-label": "Where you are" },
      h("a", { href: "#/jobs" }, "Jobs"),
      ` / document ${short(document.id)}`,
    ),
    h(
      "div",
      { class: "row head" },
      h("h1", null, nameOf(document)),
      h("span", { class: `badge ${document.status}` }, document.status),
    ),
    h(
      "div",
      { class: "pair" },
      h(
        "section",
        { class: "card" },
        h("h2", null, "Document"),
        facts([
          ...aboutDocument(document),
          ["Tenant", document.tenant_id],
          live && [
            "Cut into",
            `${counted(live.chunks, "chunk")} of at most ${count(live.chunk_size)} tokens (${live.strategy})`,
          ],
          live && ["Embedded by", `${live.model}, ${live.dimensions} dimensions`],
        ]),
      ),
      h("section", { class: "card" }, h("h2", null, "Jobs"), jobList(document.jobs)),
    ),
    document.analysis && about(document.analysis),
    document.related.length > 0 && relatedCard(document.related),
  ];
}

/** What Claude says of it. */
function about(analysis) {
  return h(
    "section",
    { class: "card" },
    h("h2", null, "What it is about"),
    analysis.title && h("p", null, h("strong", null, analysis.title)),
    analysis.summary && h("p", null, analysis.summary),
    facts([
      analysis.topics.length > 0 && ["Topics", analysis.topics.join(", ")],
      analysis.entities.length > 0 && ["Names", analysis.entities.map(({ name }) => name).join(", ")],
      analysis.language && ["Language", analysis.language],
      analysis.error_code && ["Not whole", analysis.error_code],
      analysis.failed_groups > 0 && [
        "Without an answer",
        `${analysis.failed_groups} of ${analysis.groups} parts`,
      ],
    ]),
  );
}

const kinds = {
  semantic_similarity: "is like",
  topical_relevance: "shares topics with",
  cross_reference: { out: "names", in: "is named by" },
  sequential_dependency: { out: "comes after", in: "comes before" },
  conceptual_hierarchy: { out: "is part of", in: "contains" },
};

function relatedCard(related) {
  const how = ({ relationship_type: type, direction }) => kinds[type]?.[direction] ?? kinds[type] ?? type;
  return h(
    "section",
    { class: "card" },
    h("h2", null, "Related documents"),
    h(
      "ul",
      { class: "job-list" },
      related.map((one) =>
        h(
          "li",
          { "data-key": `${one.relationship_type} ${one.direction} ${one.document_id ?? one.reference}` },
          h("span", { class: "quiet" }, how(one)),
          one.document_id === null
            ? h("span", null, `${one.reference} (not here yet)`)
            : h("a", { href: `#/documents/${one.document_id}` }, nameOf(one)),
          h("span", { class: "quiet" }, one.document_id === null ? "" : one.strength.toFixed(2)),
        ),
      ),
    ),
  );
}

function jobList(jobs) {
  if (jobs.length === 0) return h("p", { class: "empty" }, "It never had one.");
  return h(
    "ul",
    { class: "job-list" },
    jobs.map((job) =>
      h(
        "li",
        { "data-key": job.id },
        h("span", { class: `badge ${job.status}` }, job.status),
        h("a", { href: `#/jobs/${job.id}` }, `${job.kind} ${short(job.id)}`),
        h(
          "span",
          { class: "quiet" },
          `${ago(job.submitted_at)}${job.error_code ? `, ${job.error_code}` : ""}`,
        ),
      ),
    ),
  );
}

function chunkItem(chunk) {
  return h(
    "li",
    { "data-key": chunk.chunk_index, id: `chunk-${chunk.chunk_index}` },
    h(
      "p",
      { class: "where" },
      h("strong", null, `#${chunk.chunk_index}`),
      chunk.page_number !== null && h("span", null, `page ${chunk.page_number}`),
      chunk.section && h("span", null, chunk.section),
      chunk.speaker && h("span", null, chunk.speaker),
      h("span", null, counted(chunk.token_count, "token")),
      h("span", null, `characters ${count(chunk.char_start)}–${count(chunk.char_end)}`),
    ),
    h("p", { class: "content" }, chunk.content),
  );
}
