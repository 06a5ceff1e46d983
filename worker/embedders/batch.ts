// Sends the texts of all jobs in requests that a provider accepts, at the pace that it allows. Texts of many
// documents share a request: one document at a time would leave most of it empty. One bad text costs only itself:
// see isolate.ts.
import { Failure } from "../failure/failure.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { EmbedCall, type RequestEnd } from "./embed-call.ts";
import type { Embedder } from "./embedder.ts";
import { isolate } from "./isolate.ts";
import { openPacer, type Pacer, type PacingLimit } from "./pacing/pacer.ts";
import { Packer, type WantedText } from "./packer.ts";
import { SalvagedVectors } from "./salvaged-vectors.ts";
import { type Answers, type SentText, sendTexts } from "./send-texts.ts";

export type BatcherOptions = {
  /** Texts that are worth a request at once; the provider's own limit may be lower. */
  readonly batch: number;
  /** Texts in one request when more of them wait; `batch` where not said. */
  readonly most?: number;
  /** Requests in flight, over all calls. */
  readonly concurrency: number;
  /** Who says when a request may leave; one that knows of this process alone where not given. */
  readonly pacer?: Pacer;
  /** Texts that wait were held for so many milliseconds, by what. */
  readonly held?: (by: PacingLimit, ms: number) => void;
};

export type Batcher = {
  /**
   * Vectors for any number of texts, in their order; equal texts are sent once, also when another call has sent
   * them already. Throws the first Failure, with the fact `input` (index in `texts`) where one text is at fault, or
   * the signal's reason as soon as it fires. Calls with one signal are one job's, and jobs take turns. A request
   * that no call waits for any more is ended. Throws a failure of kind `waiting` when the provider wants to be left
   * alone for longer than a job should be held.
   */
  embed(texts: readonly string[], signal: AbortSignal): Promise<Embedded>;
  /** The same, but a text at fault fails alone: its vector is null, and `rejected` says why. */
  embedEach(
    texts: readonly string[],
    signal: AbortSignal,
    /** Told of each request that carries some of them. */
    hear?: (request: RequestEnd) => void,
  ): Promise<EmbeddedEach>;
  /** Refuses new calls and waits for those that run. Does not close the embedder. Safe to call twice. */
  close(): Promise<void>;
};

/** `tokens`: this call's share of what its requests cost. */
export type Embedded = { readonly vectors: readonly Float32Array[]; readonly tokens: number };
export type EmbeddedEach = {
  readonly vectors: readonly (Float32Array | null)[];
  /** By index in the texts; `embed.input-rejected`. */
  readonly rejected: ReadonlyMap<number, Failure>;
  readonly tokens: number;
};

/** Opens the batching step that all jobs of a process share. */
export function openBatcher(embedder: Embedder, options: BatcherOptions): Batcher {
  const pacer = options.pacer ?? openPacer({ provider: embedder.provider, concurrency: options.concurrency });
  const sizes = { batch: options.batch, most: options.most ?? options.batch };
  const packer = new Packer(sizes, embedder.limits, () => pump());
  const salvaged = new SalvagedVectors();
  const running = new Set<Promise<unknown>>();
  let timer: NodeJS.Timeout | null = null;
  const hold = openHold(options.held ?? (() => {}));
  let underWay = 0;
  let closed = false;

  function pump(): void {
    for (;;) {
      const waitMs = pacer.waitMs();
      if (waitMs > 0) {
        const isPaced = Number.isFinite(waitMs);
        if (isPaced) wakeIn(waitMs);
        giveBack();
        if (isPaced && packer.isWaiting()) hold.begin(pacer.state().limited);
        else hold.end();
        return;
      }
      hold.end();
      const request = packer.take(pacer.lanes(), underWay);
      if (request.length === 0) return;
      const leave = pacer.enter();
      underWay += 1;
      const free = once(() => {
        leave();
        underWay -= 1;
        pump();
      });
      track(send(request, free).finally(free));
    }
  }

  function wakeIn(waitMs: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(pump, Math.ceil(waitMs));
  }

  /** A provider that wants to be left alone for long holds no jobs: they wait in the queue. */
  function giveBack(): void {
    const blocked = pacer.blocked();
    if (blocked !== null) for (const call of packer.waiting()) call.fail(blocked);
  }

  /** One request for the texts of one or more calls. Never throws: each call learns its own end. */
  async function send(request: readonly WantedText[], free: () => void): Promise<void> {
    const abort = new AbortController();
    // The request goes on while anybody waits for it.
    const unwanted = () => {
      if (request.some((wanted) => wanted.state === "under way" && wanted.wanters.size > 0)) return;
      for (const wanted of request) packer.settle(wanted);
      abort.abort(new Failure("worker.stopping"));
    };
    for (const wanted of request) wanted.unwanted = unwanted;
    const startedAt = performance.now();
    // Called as soon as the provider has answered: the next request leaves before anybody works on this one's vectors.
    const answered = () => {
      packer.learn(performance.now() - startedAt);
      free();
    };
    const way = { embedder, pacer, signal: abort.signal, deliver, refuse, told: tellWanters };
    try {
      await sendTexts(way, request, answered)
        .then((answers) => deliver(request, answers))
        .catch((thrown: unknown) =>
          isolate(way, request, failureFromUnknown(thrown), performance.now() - startedAt),
        );
    } catch (thrown) {
      const failure = failureFromUnknown(thrown);
      // Refused for a moment only: its jobs are held, and what is left of the request goes again.
      if (failure.code !== "embed.rate-limited" || pacer.blocked() !== null) failAll(request, failure);
    }
    packer.putBack(request);
    if (packer.isWaiting()) pump();
  }

  function deliver(request: readonly WantedText[], { vectors, tokens }: Answers): void {
    const perText = tokens / request.length;
    for (const [at, wanted] of request.entries()) {
      const vector = vectors[at];
      if (vector === undefined || wanted.state !== "under way") continue;
      if (wanted.wanters.size === 0) salvaged.keep(new Map([[wanted.text, vector]]));
      // One of those who wait pays for all.
      const [payer] = wanted.wanters;
      packer.settle(wanted);
      for (const call of wanted.wanters) call.receive(wanted.text, vector, call === payer ? perText : 0);
    }
  }

  function refuse(wanted: WantedText, failure: Failure): void {
    packer.settle(wanted);
    for (const call of [...wanted.wanters]) call.refuse(wanted.text, failure);
  }

  function failAll(request: readonly WantedText[], failure: Failure): void {
    for (const wanted of request) {
      if (wanted.state !== "under way") continue;
      packer.settle(wanted);
      for (const call of [...wanted.wanters]) call.fail(failure);
    }
  }

  function track(work: Promise<unknown>): void {
    const over: Promise<unknown> = work.then(
      () => running.delete(over),
      () => running.delete(over),
    );
    running.add(over);
  }

  async function call(
    texts: readonly string[],
    signal: AbortSignal,
    strict: boolean,
    hear?: (request: RequestEnd) => void,
  ) {
    signal.throwIfAborted();
    if (closed) throw new Failure("worker.stopping");
    const one = new EmbedCall(texts, salvaged.take(texts), signal, strict, hear);
    packer.add(one);
    pump();
    const ended = one.ended.catch((thrown: unknown) => {
      packer.forget(one);
      salvaged.keep(one.vectors);
      throw thrown;
    });
    track(ended);
    return await ended;
  }

  return {
    async embed(texts, signal) {
      const { vectors, tokens } = await call(texts, signal, true);
      return { vectors: vectors.filter((vector) => vector !== null), tokens };
    },
    embedEach: (texts, signal, hear) => call(texts, signal, false, hear),
    async close() {
      closed = true;
      while (running.size > 0) await Promise.all(running);
      if (timer !== null) clearTimeout(timer);
      await pacer.close();
    },
  };
}

/** Each call that the request carried texts of hears of it, once. */
function tellWanters(texts: readonly SentText[], end: Omit<RequestEnd, "texts">): void {
  const carried = new Map<EmbedCall, number>();
  for (const { wanters } of texts)
    for (const call of wanters ?? []) carried.set(call, (carried.get(call) ?? 0) + 1);
  for (const [call, count] of carried) call.hear({ ...end, texts: count });
}

/** The time in which texts wait because the pacer says so. */
function openHold(told: (by: PacingLimit, ms: number) => void) {
  let held: { readonly by: PacingLimit; readonly since: number } | null = null;
  return {
    begin(by: PacingLimit): void {
      held ??= { by, since: performance.now() };
    },
    end(): void {
      if (held === null) return;
      told(held.by, performance.now() - held.since);
      held = null;
    },
  };
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
