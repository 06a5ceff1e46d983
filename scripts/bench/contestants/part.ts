// What a contestant's process is told and what it tells, and the child's side of it.
// A process gets ready (connected, code loaded) before the parent says go, so that starts cost nobody anything.
import { once } from "node:events";

export type WakeBusName = "postgres" | "redis" | "nats" | "silent";

export type PartSettings = {
  readonly url: string;
  /** `drain`: work until nothing is ready, then end. `serve`: work until told to stop. */
  readonly mode: "drain" | "serve";
  /** Jobs taken by one statement at most; 1 is every job by itself. */
  readonly fetch: number;
  /** How long a job lasts. */
  readonly jobMs: number;
  /** Tell the parent of every job that starts, by its key. */
  readonly tellStarts: boolean;
  /** Who wakes ours; peers have one way each. */
  readonly bus: WakeBusName;
};

export type Drained = {
  readonly jobs: number;
  /** When the statement was sent that brought the first job, and when the last settlement was answered. */
  readonly firstClaimAt: number;
  readonly lastSettleAt: number;
};

export type FromPart =
  | { readonly kind: "ready" }
  | { readonly kind: "started"; readonly key: string; readonly at: number }
  | { readonly kind: "empty"; readonly ms: number }
  | ({ readonly kind: "ended" } & Drained);

export type ToPart = { readonly kind: "go" } | { readonly kind: "stop" };

export type Part = {
  readonly settings: PartSettings;
  /** Says that all is connected; resolves when the parent says go. */
  ready(): Promise<void>;
  /** Resolves when the parent says stop, or is gone. */
  readonly stopped: Promise<void>;
  started(key: string, at: number): void;
  /** One look at an empty queue took so long. */
  empty(ms: number): void;
};

/** Runs `work` as this process's part and tells the parent what came out. */
export async function takePart(work: (part: Part) => Promise<Drained>): Promise<void> {
  const settings = JSON.parse(process.argv[2] ?? "{}") as PartSettings; // SAFETY: written by startPart.
  const tell = (message: FromPart) => process.send?.(message);
  const heard = (kind: ToPart["kind"]) =>
    new Promise<void>((resolve) => {
      process.on("message", (message: ToPart) => {
        if (message.kind === kind) resolve();
      });
    });
  const go = heard("go");
  const stopped = Promise.race([heard("stop"), once(process, "disconnect").then(() => {})]);
  const drained = await work({
    settings,
    stopped,
    async ready() {
      tell({ kind: "ready" });
      await go;
    },
    started: (key, at) => tell({ kind: "started", key, at }),
    empty: (ms) => tell({ kind: "empty", ms }),
  });
  tell({ kind: "ended", ...drained });
  process.disconnect?.();
}

/** Notes the first claim that brought a job, and the last settlement answered. */
export class DrainClock {
  #first = Number.POSITIVE_INFINITY;
  #last = 0;
  #jobs = 0;

  claimed(sentAt: number, jobs: number): void {
    if (jobs > 0) this.#first = Math.min(this.#first, sentAt);
  }

  settled(answeredAt: number): void {
    this.#last = Math.max(this.#last, answeredAt);
  }

  ran(jobs: number): void {
    this.#jobs += jobs;
  }

  drained(): Drained {
    return { jobs: this.#jobs, firstClaimAt: this.#first, lastSettleAt: this.#last };
  }
}
