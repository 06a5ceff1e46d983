// Keeps the index as the document root is. The system's own watches say where to look; a look through everything now
// and then is the truth. One replica at a time looks, for all of them share the root.
import { realpath, stat } from "node:fs/promises";
import { relative } from "node:path";
import type { Activity } from "../../activity/activity.ts";
import type { Config } from "../../config/config.ts";
import type { SqlCall } from "../../document/sql-call.ts";
import { adviseOperator } from "../../failure/describe.ts";
import { Failure } from "../../failure/failure.ts";
import { failureFromUnknown } from "../../failure/from-unknown.ts";
import { sleep } from "../../timing/durations.ts";
import type { Intake } from "./enqueue-file.ts";
import { type Found, findFiles } from "./find-files.ts";
import { openFolderWatches } from "./folder-watches.ts";
import { lookThrough } from "./look-through.ts";
import { inRoot, rootPlace } from "./looks-at.ts";
import type { ChunkSettings } from "./read-as.ts";
import { openSettling } from "./settling.ts";

export type WatchRootOptions = {
  readonly call: SqlCall;
  readonly activity: Activity;
  readonly config: Intake["config"] &
    ChunkSettings &
    Pick<
      Config,
      "watchIntervalSeconds" | "watchSettleSeconds" | "onMissingFile" | "watchTenant" | "watchCollection"
    >;
  readonly root: string;
  /** Who takes the turn; unique for each start. */
  readonly holder: string;
  /** Called after commits. */
  readonly wake: (jobId: string) => void;
};

export type RootWatch = { close(): Promise<void> };

const TURN = "document-root";
// As long as no look was begun for so long, another replica takes over. Renewed while a look lasts.
const TURN_SECONDS = 60;
const RENEW_MS = 20_000;
// Between a hint and the look, so that a folder that is being filled is looked at once.
const GATHER_MS = 300;
// More changed folders than this are no faster than everything.
const MOST_CHANGED = 200;
const AGAIN_MS = 30_000;
const LANES = 2;

export function watchRoot(options: WatchRootOptions): RootWatch {
  const closing = new AbortController();
  const ended = keepLooking(options, closing.signal);
  return {
    async close() {
      closing.abort(new Failure("worker.stopping"));
      await ended;
      // Another replica need not wait for our time to be over.
      await options.call("rag_take_turn", { ...turnOf(options.holder), p_seconds: 0 }).catch(() => {});
    },
  };
}

async function keepLooking(options: WatchRootOptions, closing: AbortSignal): Promise<void> {
  const { config, activity } = options;
  const changed = new Set<string>();
  let hint = new AbortController();
  const watches = openFolderWatches((folder) => {
    changed.add(folder);
    hint.abort();
  });
  const settling = openSettling(config.watchSettleSeconds * 1000);
  const intervalMs = config.watchIntervalSeconds * 1000;
  let wholeAt = Number.NEGATIVE_INFINITY;
  let told: string | null = null;
  let identity: string | null = null;
  let watched: ReadonlySet<string> = new Set();

  const look = async (): Promise<number> => {
    if ((await options.call("rag_take_turn", turnOf(options.holder))) !== true) return AGAIN_MS;
    const { root, is } = await rootNow(options.root);
    identity ??= is;
    if (identity !== is) throw rootGone();
    const isWhole = performance.now() - wholeAt >= intervalMs || changed.size > MOST_CHANGED;
    const folders = isWhole ? [root] : outermost([...changed]);
    changed.clear();
    const startedAt = performance.now();
    const walked = new Set<string>();
    const counts = await lookAt(options, root, folders, { settling, walked }, closing);
    if (isWhole) wholeAt = startedAt;
    // Of changed folders everything below was walked; of the others nothing is known to have changed.
    watched = isWhole ? walked : new Set([...watched, ...walked]);
    watches.follow(watched);
    const { growingIn, ...figures } = counts;
    activity.say("root.scanned", { ...figures, durationMs: Math.round(performance.now() - startedAt) });
    told = null;
    const wholeDueMs = wholeAt + intervalMs - performance.now();
    const dueMs = settling.dueMs();
    if (dueMs !== null && dueMs < wholeDueMs) {
      for (const folder of growingIn) changed.add(folder);
      return dueMs + GATHER_MS;
    }
    return Math.max(wholeDueMs, 0);
  };
  while (!closing.aborted) {
    let waitMs = AGAIN_MS;
    try {
      waitMs = await look();
    } catch (thrown) {
      if (closing.aborted) break;
      const failure = failureFromUnknown(thrown);
      if (failure.code !== told)
        activity.say("root.refused", { code: failure.code, advice: adviseOperator(failure) });
      told = failure.code;
      waitMs = Math.min(AGAIN_MS, intervalMs);
      wholeAt = Number.NEGATIVE_INFINITY;
    }
    hint = new AbortController();
    if (changed.size > 0 && told === null) waitMs = Math.min(waitMs, GATHER_MS * 4);
    await sleep(waitMs, AbortSignal.any([hint.signal, closing]));
    if (hint.signal.aborted) await sleep(GATHER_MS, closing);
  }
  watches.close();
}

const turnOf = (holder: string) => ({ p_name: TURN, p_holder: holder, p_seconds: TURN_SECONDS });

/** Where the root leads, and which folder of which disk that is. Throws `config.invalid` when it is not there. */
async function rootNow(path: string): Promise<{ readonly root: string; readonly is: string }> {
  try {
    const root = await realpath(path);
    const met = await stat(root, { bigint: true });
    return { root, is: `${met.dev} ${met.ino}` };
  } catch {
    throw rootGone();
  }
}

const rootGone = () =>
  new Failure("config.invalid", {
    says: "RAG_DOCUMENT_ROOT is no longer the folder it was at start (moved, or its volume is not mounted).",
  });

/** Without those that lie below another one. */
function outermost(folders: readonly string[]): readonly string[] {
  return folders.filter((one) => !folders.some((other) => other !== one && isBelow(other, one)));
}

const isBelow = (folder: string, path: string) => {
  const inside = relative(folder, path);
  return inside !== "" && !inside.startsWith("..");
};

type Seen = { readonly settling: ReturnType<typeof openSettling>; readonly walked: Set<string> };

async function lookAt(
  { call, activity: _, config, holder, wake }: WatchRootOptions,
  root: string,
  folders: readonly string[],
  { settling, walked }: Seen,
  closing: AbortSignal,
) {
  const counts = { files: 0, enqueued: 0, moved: 0, failed: 0, growing: 0 };
  const growingIn = new Set<string>();
  const renewing = setInterval(() => void call("rag_take_turn", turnOf(holder)).catch(() => {}), RENEW_MS);
  const files = findFiles(folders, root, { withoutLinks: true, onFolder: (folder) => walked.add(folder) });
  try {
    const looked = await lookThrough(
      {
        intake: {
          call,
          config: { ...config, documentRoot: root },
          labels: {
            tenant: config.watchTenant,
            collection: config.watchCollection,
            tags: null,
            title: null,
            priority: 0,
          },
        },
        place: rootPlace(root),
        root,
        folders: folders.map((folder) => inRoot(root, folder)),
        files: presentOnly(files),
        withoutLinks: true,
        onMissing: config.onMissingFile === "delete" ? "guarded" : "keep",
        isSettled: settling.isSettled,
        force: false,
        finished: false,
        lanes: LANES,
      },
      {
        found: () => {
          counts.files += 1;
        },
        unchanged: () => {},
        moved: () => {
          counts.moved += 1;
        },
        enqueued: ({ jobId }) => {
          counts.enqueued += 1;
          wake(jobId);
        },
        growing: (path) => {
          counts.growing += 1;
          growingIn.add(path.slice(0, path.lastIndexOf("/")));
        },
        skipped: () => {},
        failed: () => {
          counts.failed += 1;
        },
      },
      closing,
    );
    return { ...counts, ...looked, growingIn };
  } finally {
    clearInterval(renewing);
  }
}

/** A folder that went away since it was told of is no failure: what was in it is looked for among the gone. */
async function* presentOnly(files: AsyncIterable<Found>): AsyncIterable<Found> {
  for await (const found of files) if (found.kind !== "missing") yield found;
}
