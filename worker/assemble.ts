// Builds every part from the configuration. With start-worker.ts, which joins them, the only file that knows all rooms.
import { resolve } from "node:path";
import { type Activity, openActivity } from "./activity/activity.ts";
import { openActivityLog } from "./activity/activity-log.ts";
import { openChunker } from "./chunkers/open-chunker.ts";
import type { Config } from "./config/config.ts";
import { openDatabase } from "./database/open-database.ts";
import { chunkLimits, copyLimits, extraction, origins } from "./derived-options.ts";
import type { ServerNews } from "./embedders/llama/server-on-demand.ts";
import { openEmbedder } from "./embedders/open-embedder.ts";
import { openExtractors } from "./extractors/isolation/extract-isolated.ts";
import { adviseOperator } from "./failure/describe.ts";
import type { Log } from "./log/log.ts";
import type { RunningWorker, WorkerOptions } from "./queue/worker-state.ts";
import { openRealtime } from "./realtime/open-realtime.ts";
import { openSources } from "./sources/open-source.ts";
import { type Serving, startWorker } from "./start-worker.ts";
import { orAborted, within } from "./timing/durations.ts";
import { openTokenizer } from "./tokenizers/open-tokenizer.ts";

export type Parts = Serving & {
  readonly log: Log;
  /** Checks what must be right, then claims. Throws a Failure (`misconfigured`) when it cannot work at all. */
  startWorker(options?: WorkerOptions): Promise<RunningWorker>;
  close(): Promise<void>;
};

// A part has this long to close.
const CLOSE_MS = 2000;

export async function openParts(config: Config, log: Log): Promise<Parts> {
  const activity = openActivity();
  const database = await openDatabase(config);
  const closers: (() => Promise<void>)[] = [];
  const once = <Value>(open: () => Value, close: (value: Value) => Promise<void>): (() => Value) => {
    let value: { readonly opened: Value } | null = null;
    return () => {
      if (value === null) {
        const opened = open();
        value = { opened };
        closers.push(() => close(opened));
      }
      return value.opened;
    };
  };

  const embedder = once(
    () =>
      openEmbedder(config, {
        tokenizer: async (name) => openTokenizer(name),
        cacheDir: resolve(config.embeddedDir, "models"),
        tellOfServer: (news) => sayOfServer(news, activity),
      }),
    async (opening) => {
      await (await opening.catch(() => null))?.close();
    },
  );
  const extractors = once(
    () => openExtractors(extraction(config)),
    (opened) => opened.close(),
  );
  const sources = once(
    () => openSources({ ...copyLimits(config), ...origins(config), call: database.call }),
    async () => {},
  );
  const activityLog = once(
    () => openActivityLog({ call: database.call, spillFolder: resolve(config.embeddedDir, "activity") }),
    (opened) => opened.close(),
  );
  const realtime = once(
    () => openRealtime(config, activity),
    (opened) => opened.close(),
  );
  const chunker = async () => {
    const opened = await embedder();
    const limits = chunkLimits(config, opened.limits.maxTokensPerInput);
    return { ...openChunker(config.chunkStrategy, limits, opened.tokenizer), limits };
  };

  const parts: Parts = {
    config,
    activity,
    activityLog,
    log,
    database,
    embedder,
    chunker,
    extractors,
    sources,
    realtime,
    startWorker: ({ signal = new AbortController().signal, ...options } = {}) =>
      orAborted(startWorker(parts, { signal, ...options }), signal),
    async close() {
      // One that is still opening (a model that loads) must not keep the process from ending.
      for (const close of closers.splice(0).reverse()) await within(CLOSE_MS, close());
      await database.close();
    },
  };
  return parts;
}

function sayOfServer(news: ServerNews, activity: Activity): void {
  const { happened } = news;
  if (happened === "started")
    activity.say("llama.started", { pid: news.pid, slots: news.slots, durationMs: news.ms });
  else if (happened === "stopped") activity.say("llama.stopped", { pid: news.pid, why: news.why });
  else if (happened === "died")
    activity.say("llama.died", { pid: news.pid, exitCode: news.end.code, signal: news.end.signal });
  else activity.say("llama.not-started", { code: news.failure.code, advice: adviseOperator(news.failure) });
}
