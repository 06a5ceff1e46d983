// The activity log's way into the database, for the worker and for applications: log() returns at once, rows go out
// in batches beside whoever logs. A full queue drops and counts; a database that fails is asked again, and what it
// does not take waits in a file. Nothing here ever throws at whoever logs.
import type { SqlCall } from "../document/sql-call.ts";
import { failureFromUnknown } from "../failure/from-unknown.ts";
import { backoffMs } from "../timing/backoff.ts";
import { sleep } from "../timing/durations.ts";
import { type HeldEntry, type LogEntry, type LogRow, sizeOf, toRow } from "./log-entry.ts";
import { openSpill, type Spill } from "./spill.ts";

export type ActivityLogOptions = {
  /** Calls `rag_append_activity`. */
  readonly call: SqlCall;
  /** Folder for what the database does not take; null: it is dropped and counted. */
  readonly spillFolder: string | null;
  /** Entries that may wait; default 10,000. */
  readonly queueLimit?: number;
  /** Entries in one call; default 100. */
  readonly batch?: number;
  /** The longest an entry waits for company, in milliseconds; default 1,000. */
  readonly patienceMs?: number;
  /** Calls at once; default 2. */
  readonly writers?: number;
  /** Most bytes of all spill files; default 100 MB. */
  readonly spillBytes?: number;
};

export type ActivityLogFigures = {
  readonly queue_length: number;
  readonly queue_full: boolean;
  /** Entries that were lost: the queue was full, the file was, or no database would ever take them. */
  readonly dropped: number;
  readonly stored: number;
  readonly spilled: number;
};

export type ActivityLog = {
  /** Never waits and never throws. False when the queue is full and the entry was dropped. */
  log(entry: LogEntry): boolean;
  /** Waits for room instead of dropping. */
  logAsync(entry: LogEntry): Promise<void>;
  figures(): ActivityLogFigures;
  /** Resolves when everything logged so far is stored, spilled or counted as dropped. */
  flush(): Promise<void>;
  /** As flush, then refuses more. Safe to call twice. */
  close(): Promise<void>;
};

const DEFAULTS = { queueLimit: 10_000, batch: 100, patienceMs: 1_000, writers: 2, spillBytes: 100_000_000 };
// Beside the number of entries: what they hold on to, for an application may log long answers. In UTF-16 units.
const MOST_HELD = 32_000_000;
// A call stays near a megabyte, which every gateway takes.
const MOST_SENT = 1_000_000;
const ATTEMPTS = 3;
const BACKOFF = { firstMs: 200, mostMs: 2_000 };
// A database that failed is asked again with one batch; the others go into the file at once.
const RETRY_AFTER_MS = 5_000;

/** Opens the log. The spill folder is looked at in the background: what is there is stored first. */
export function openActivityLog(options: ActivityLogOptions): ActivityLog {
  return new TableWriter({ ...DEFAULTS, ...options });
}

type Settled = Required<ActivityLogOptions>;

class TableWriter implements ActivityLog {
  readonly #options: Settled;
  readonly #spill: Promise<Spill | null>;
  #queue: HeldEntry[] = [];
  #held = 0;
  #writing = 0;
  #timer: NodeJS.Timeout | null = null;
  #flushing = 0;
  #closed = false;
  #downUntil = 0;
  #replaying = false;
  #counts = { dropped: 0, stored: 0, spilled: 0 };
  #changed: (() => void)[] = [];

  constructor(options: Settled) {
    this.#options = options;
    this.#spill =
      options.spillFolder === null
        ? Promise.resolve(null)
        : openSpill(options.spillFolder, options.spillBytes);
    void this.#spill.then((spill) => (spill?.waiting ? this.#replay(spill) : undefined));
  }

  log(entry: LogEntry): boolean {
    if (this.#isFull() || this.#closed) {
      this.#counts.dropped += 1;
      return false;
    }
    this.#queue.push({ entry, at: Date.now() });
    this.#held += sizeOf(entry);
    if (this.#queue.length >= this.#options.batch) this.#pump();
    else this.#timer ??= setTimeout(() => this.#ring(), this.#options.patienceMs).unref();
    return true;
  }

  async logAsync(entry: LogEntry): Promise<void> {
    while (this.#isFull() && !this.#closed) await this.#change();
    this.log(entry);
  }

  figures(): ActivityLogFigures {
    return { queue_length: this.#queue.length, queue_full: this.#isFull(), ...this.#counts };
  }

  async flush(): Promise<void> {
    this.#flushing += 1;
    this.#pump();
    while (this.#queue.length > 0 || this.#writing > 0) await this.#change();
    this.#flushing -= 1;
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Nobody waits for a database that is away: what cannot be stored at once goes into the file.
    await this.flush();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #isFull(): boolean {
    return this.#queue.length >= this.#options.queueLimit || this.#held >= MOST_HELD;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #ring(): void {
    this.#timer = null;
    this.#pump(true);
  }

  /** `due`: the oldest entry has waited long enough, however few there are. */
  #pump(due = false): void {
    let isDue = due || this.#flushing > 0;
    while (this.#writing < this.#options.writers) {
      const enough = this.#queue.length >= this.#options.batch;
      if (!enough && !(isDue && this.#queue.length > 0)) break;
      if (!enough) isDue = this.#flushing > 0;
      const batch = this.#take();
      this.#writing += 1;
      void this.#write(batch.map(toRow)).finally(() => {
        this.#writing -= 1;
        for (const resolve of this.#changed.splice(0)) resolve();
        this.#pump();
      });
    }
    if (this.#queue.length > 0 && this.#writing < this.#options.writers)
      this.#timer ??= setTimeout(() => this.#ring(), this.#options.patienceMs).unref();
  }

  /** The next call's entries: as many as a call may carry, and at least one. */
  #take(): readonly HeldEntry[] {
    let count = 0;
    let size = 0;
    for (const { entry } of this.#queue.slice(0, this.#options.batch)) {
      if (count > 0 && size + sizeOf(entry) > MOST_SENT) break;
      size += sizeOf(entry);
      count += 1;
    }
    this.#held -= size;
    return this.#queue.splice(0, count);
  }

  async #write(rows: readonly LogRow[]): Promise<void> {
    const spill = await this.#spill;
    if (performance.now() < this.#downUntil) return await this.#keep(rows, spill);
    try {
      await this.#store(rows);
    } catch {
      this.#downUntil = performance.now() + RETRY_AFTER_MS;
      return await this.#keep(rows, spill);
    }
    if (spill?.waiting) void this.#replay(spill);
  }

  /** Throws when the database cannot be had; rows that it will never take are counted and dropped, alone. */
  async #store(rows: readonly LogRow[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#options.call("rag_append_activity", { p_rows: rows.map(withAge) });
        this.#counts.stored += rows.length;
        return;
      } catch (thrown) {
        const failure = failureFromUnknown(thrown);
        if (failure.code === "database.rejected") return await this.#storeHalves(rows);
        if (attempt >= ATTEMPTS || this.#closed || failure.kind !== "transient") throw failure;
        await sleep(backoffMs(attempt, BACKOFF));
      }
    }
  }

  async #storeHalves(rows: readonly LogRow[]): Promise<void> {
    if (rows.length === 1) {
      this.#counts.dropped += 1;
      return;
    }
    const half = rows.length >> 1;
    await this.#store(rows.slice(0, half));
    await this.#store(rows.slice(half));
  }

  async #keep(rows: readonly LogRow[], spill: Spill | null): Promise<void> {
    if (spill !== null && (await spill.keep(rows))) this.#counts.spilled += rows.length;
    else this.#counts.dropped += rows.length;
  }

  /** One at a time. What it does not get stored stays in the files for the next time. */
  async #replay(spill: Spill): Promise<void> {
    if (this.#replaying || this.#closed) return;
    this.#replaying = true;
    try {
      await spill.replay((rows) => this.#store(rows));
    } catch {
      this.#downUntil = performance.now() + RETRY_AFTER_MS;
    } finally {
      this.#replaying = false;
    }
  }
}

const withAge = ({ at, ...row }: LogRow) => ({ ...row, age_ms: Math.max(0, Date.now() - at) });
