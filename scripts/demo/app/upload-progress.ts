// <rag-progress src="/api/jobs/ID">: a job's progress as a custom element. It stands in React, Next.js ("use client"),
// Vue, Svelte and plain HTML alike: `<rag-progress src={`/api/jobs/${jobId}`} />` after importing this file once.
// It says "rag-complete" or "rag-failed" (detail: the last progress), which bubble.

type Progress = {
  readonly status: "queued" | "processing" | "complete" | "failed" | "cancelled";
  readonly stage: string | null;
  readonly processed_chunks: number;
  readonly total_chunks: number | null;
  readonly error_detail: string | null;
};

const ENDED = ["complete", "failed", "cancelled"];
const words: Readonly<Record<Progress["status"], string>> = {
  queued: "Waiting…",
  processing: "Reading…",
  complete: "Ready to search",
  failed: "Could not be read",
  cancelled: "Cancelled",
};

class RagProgress extends HTMLElement {
  static readonly observedAttributes = ["src"];
  #events: EventSource | null = null;
  readonly #bar = document.createElement("progress");
  readonly #says = document.createElement("output");

  connectedCallback(): void {
    this.#bar.setAttribute("aria-label", "Progress");
    this.replaceChildren(this.#bar, this.#says);
    this.#listen();
  }

  disconnectedCallback(): void {
    this.#events?.close();
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#listen();
  }

  #listen(): void {
    this.#events?.close();
    const address = this.getAttribute("src");
    if (address === null) return;
    // It connects again by itself when the network fails, and is then told where the job stands.
    this.#events = new EventSource(address);
    this.#events.onmessage = ({ data }) => this.#show(JSON.parse(data) as Progress);
  }

  #show(progress: Progress): void {
    const { status, processed_chunks, total_chunks } = progress;
    if (status === "complete") this.#bar.value = this.#bar.max;
    else if (status === "processing" && total_chunks !== null && total_chunks > 0) {
      this.#bar.max = total_chunks;
      this.#bar.value = processed_chunks;
    } else this.#bar.removeAttribute("value");
    // As text, never as HTML: the detail may quote what a stranger named his file.
    this.#says.textContent =
      status === "failed" ? `${words.failed}: ${progress.error_detail ?? ""}` : words[status];
    if (!ENDED.includes(status)) return;
    this.#events?.close();
    const type = status === "complete" ? "rag-complete" : "rag-failed";
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, detail: progress }));
  }
}

customElements.define("rag-progress", RagProgress);
