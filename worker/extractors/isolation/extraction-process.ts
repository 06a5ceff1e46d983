// One child process as the worker sees it: give it a file, take what it reads, end it when it misbehaves.
// The child sees a private folder with a link to the one original, never the folder the original lies in.
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { linkSync, realpathSync, rmSync } from "node:fs";
import { copyFile, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Original } from "../../document/document.ts";
import { Failure } from "../../failure/failure.ts";
import type { Extracted, ExtractLimits } from "../extractor.ts";
import { CREDIT, type ToChild } from "./child-protocol.ts";
import { decodeFromChild, type FromChild } from "./decode-from-child.ts";
import { forkChild } from "./fork-child.ts";

export const FOLDER_PREFIX = "rag-extract-";
/** What leaks ends with the process, at the latest; mostly its memory tells sooner. A new one is two seconds of a core. */
const MAX_FILES = 10_000;
const SEEN_AT_A_GLANCE: ReadonlySet<string> = new Set(["extract.empty", "extract.unsupported"]);
/** Credit is returned in parcels: one message for each item would double the talk. */
const CREDIT_PARCEL = CREDIT / 4;

export type ExtractionProcess = {
  /** Reads one file; the caller must run it to its end or return. Throws Failure `extract.*`, or the signal's reason. */
  read(original: Original, signal: AbortSignal): AsyncGenerator<Extracted>;
  /** Resolves with the child's first word, or its end: it has loaded its code by then, or never will. */
  readonly started: Promise<void>;
  /** False once it has died, misbehaved or grown old. */
  readonly reusable: boolean;
  readonly pid: number | undefined;
  /** Ends the process and removes its folder. */
  end(): Promise<void>;
};

export async function startExtractionProcess(limits: ExtractLimits): Promise<ExtractionProcess> {
  const folder = await mkdtemp(join(await realpath(tmpdir()), `${FOLDER_PREFIX}${process.pid}-`));
  keepFolder(folder);
  const child = await startIn(folder, limits);
  let files = 0;
  let sound = true;
  const start = { done: false };
  const started = Promise.withResolvers<void>();
  child.on("message", () => {
    start.done = true;
    started.resolve();
  });
  const died = (): void => {
    sound = false;
    started.resolve();
  };
  child.once("exit", died);
  child.once("error", died);
  return {
    async *read(original, signal) {
      files += 1;
      sound = false;
      const path = join(folder, "original");
      setHeld(child, true);
      try {
        await place(original, path);
        const rssBytes = yield* converse(child, { original, path, limits, signal, start });
        sound = rssBytes < (limits.memoryMb * 1_048_576) / 2 && files < MAX_FILES && child.connected;
      } catch (thrown) {
        // Told before any parser met the file: the child is as good as before, and a new one costs half a second.
        sound =
          thrown instanceof Failure &&
          SEEN_AT_A_GLANCE.has(thrown.code) &&
          files < MAX_FILES &&
          child.connected;
        throw thrown;
      } finally {
        if (!sound) child.kill("SIGKILL");
        setHeld(child, false);
        rmSync(path, { force: true });
      }
    },
    started: started.promise,
    get reusable() {
      return sound && child.connected;
    },
    get pid() {
      return child.pid;
    },
    async end() {
      sound = false;
      if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
        const exited = once(child, "exit");
        child.ref();
        child.kill("SIGKILL");
        await exited;
      }
      await removeFolder(folder);
    },
  };
}

async function startIn(folder: string, limits: ExtractLimits): Promise<ChildProcess> {
  try {
    return forkChild(join(import.meta.dirname, "extraction-child.ts"), limits, folder);
  } catch (thrown) {
    await removeFolder(folder);
    throw thrown;
  }
}

/** Folders of children that live: a worker that exits without closing its pool takes them along. */
const folders = new Set<string>();

function keepFolder(folder: string): void {
  if (folders.size === 0) process.once("exit", removeAllFolders);
  folders.add(folder);
}

async function removeFolder(folder: string): Promise<void> {
  folders.delete(folder);
  if (folders.size === 0) process.off("exit", removeAllFolders);
  await rm(folder, { recursive: true, force: true });
}

function removeAllFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

/** An idle child must not keep a finished worker alive. */
function setHeld(child: ChildProcess, held: boolean): void {
  if (held) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}

/** At once: each of these through the thread pool would cost a turn of a busy loop, while the child has no work. */
async function place(original: Original, path: string): Promise<void> {
  rmSync(path, { force: true });
  const real = realpathSync.native(original.path);
  try {
    linkSync(real, path);
  } catch {
    // On another disk, or one without links.
    await copyFile(real, path);
  }
}

type Conversation = {
  readonly original: Original;
  readonly path: string;
  readonly limits: ExtractLimits;
  readonly signal: AbortSignal;
  /** Whether the child got as far as its first word. */
  readonly start: { readonly done: boolean };
};

/** Gives the child's items as they come; returns its memory at the end. */
async function* converse(child: ChildProcess, talk: Conversation): AsyncGenerator<Extracted, number> {
  const { original, limits, signal } = talk;
  const inbox = openInbox(child, signal, talk.start);
  const send = (message: ToChild): void => void (child.connected && child.send(message, () => undefined));
  // Only the time in which we wait for the child counts: a slow consumer is not the file's fault.
  let remainingMs = limits.timeoutMs;
  let taken = 0;
  try {
    const { name, byteSize, declaredMediaType, password } = original;
    const { maxChars } = limits;
    const file = {
      path: talk.path,
      name,
      byteSize,
      declaredMediaType,
      maxChars,
      ...(password && { password }),
    };
    send({ type: "read", file, credit: CREDIT });
    for (;;) {
      const asked = performance.now();
      const message = await inbox.next(remainingMs);
      remainingMs -= performance.now() - asked;
      if (message.type === "ready") continue;
      if (message.type === "failed")
        throw new Failure(message.code, { says: message.says, facts: message.facts });
      for (const item of message.items) {
        signal.throwIfAborted();
        yield item;
        taken += 1;
        if (taken % CREDIT_PARCEL === 0) send({ type: "credit", count: CREDIT_PARCEL });
      }
      if (message.type === "done") return message.rssBytes;
    }
  } finally {
    inbox.close();
  }
}

type Inbox = {
  /** The next message. Throws `extract.timeout`, `extract.crashed`, `extract.not-started`, or the signal's reason. */
  next(timeoutMs: number): Promise<FromChild>;
  close(): void;
};

function openInbox(child: ChildProcess, signal: AbortSignal, start: Conversation["start"]): Inbox {
  const messages: FromChild[] = [];
  let ending: unknown = null;
  let wake = (): void => undefined;
  const end = (reason: unknown): void => {
    ending ??= reason;
    wake();
  };
  const onMessage = (message: unknown): void => {
    try {
      messages.push(decodeFromChild(message));
      wake();
    } catch (cause) {
      end(new Failure("extract.crashed", { cause, facts: { reason: "unexpected message" } }));
    }
  };
  const onExit = (code: number | null, by: string | null): void =>
    // Without a word from the child the file is not to blame: no file would be read.
    end(
      new Failure(start.done ? "extract.crashed" : "extract.not-started", {
        facts: { exitCode: code, signal: by },
      }),
    );
  const onError = (cause: unknown): void => end(new Failure("extract.not-started", { cause }));
  const onAbort = (): void => end(signal.reason);
  child.on("message", onMessage);
  child.on("exit", onExit);
  child.on("error", onError);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  else if (child.exitCode !== null || child.signalCode !== null) onExit(child.exitCode, child.signalCode);
  return {
    async next(timeoutMs) {
      if (messages.length === 0 && ending === null) {
        const timer = setTimeout(
          () => end(new Failure("extract.timeout", { facts: { timeoutMs } })),
          Math.max(0, timeoutMs),
        );
        const waiting = Promise.withResolvers<void>();
        wake = waiting.resolve;
        await waiting.promise;
        clearTimeout(timer);
      }
      // What was read before the end is still good, but an abort is obeyed at once.
      const message = signal.aborted ? undefined : messages.shift();
      if (message === undefined) throw ending;
      return message;
    },
    close() {
      child.off("message", onMessage);
      child.off("exit", onExit);
      child.off("error", onError);
      signal.removeEventListener("abort", onAbort);
    },
  };
}
