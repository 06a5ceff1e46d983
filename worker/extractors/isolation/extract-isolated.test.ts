import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../../failure/failure.ts";
import type { ExtractLimits } from "../extractor.ts";
import { makePdf } from "../testing/make-pdf.ts";
import { failureOf, writeOriginal } from "../testing/read-bytes.ts";
import { CREDIT } from "./child-protocol.ts";
import { type Extractors, openExtractors } from "./extract-isolated.ts";
import { startExtractionProcess } from "./extraction-process.ts";
import { forkChild } from "./fork-child.ts";

const LIMITS: ExtractLimits = { timeoutMs: 60_000, memoryMb: 128, maxChars: 50_000_000 };
const TIME = 60_000;
const cleanups: (() => Promise<unknown> | unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function open(
  limits: Partial<ExtractLimits> = {},
  pool: { readonly concurrency: number; readonly growMs?: number } = { concurrency: 1 },
): Extractors {
  const extractors = openExtractors({ limits: { ...LIMITS, ...limits }, ...pool });
  cleanups.push(() => extractors.close());
  return extractors;
}

async function original(name: string, bytes: string | Uint8Array) {
  const file = await writeOriginal(name, bytes);
  cleanups.push(() => file.dispose());
  return file;
}

async function textOf(extractors: Extractors, name: string, bytes: string | Uint8Array): Promise<string> {
  let text = "";
  for await (const item of extractors.extract(await original(name, bytes), new AbortController().signal))
    if (item.kind === "segment") text += item.segment.content;
  return text;
}

function fork(script: string, folder: string): ChildProcess {
  const child = forkChild(join(import.meta.dirname, script), LIMITS, folder);
  cleanups.push(() => child.kill("SIGKILL"));
  return child;
}

async function folderFor(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "rag-test-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Nobody else can tidy up after a worker that was killed, before an hour has passed. */
async function removeFoldersOf(pid: number | undefined): Promise<void> {
  for (const name of await readdir(tmpdir()))
    if (name.startsWith(`rag-extract-${pid}-`)) await rm(join(tmpdir(), name), { recursive: true });
}

const childFolders = async (): Promise<number> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith(`rag-extract-${process.pid}-`)).length;

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const LONG_TEXT = "some words to read\n".repeat(100_000);

test("files of all sorts are read one after the other by the same child", { timeout: TIME }, async () => {
  const extractors = open();

  const pdf = await textOf(extractors, "a.pdf", makePdf({ pages: [[{ text: "From a PDF", y: 700 }]] }));
  const markdown = await textOf(extractors, "a.md", "# From\n\nMarkdown");
  const long = await textOf(extractors, "a.txt", LONG_TEXT);

  expect([pdf, markdown, long === LONG_TEXT]).toEqual(["From a PDF\n", "From\n\nMarkdown\n", true]);
});

test("a failure crosses with its code and facts, and the next file is read", { timeout: TIME }, async () => {
  const extractors = open();

  const code = await failureOf(textOf(extractors, "a.pdf", Buffer.from([0xff, 0xd8, 0xff, 0xe0])));
  const next = await textOf(extractors, "a.txt", "fine");

  expect([code, next]).toEqual(["extract.unsupported", "fine"]);
});

test("a sentence that says more than the catalogue's crosses too", { timeout: TIME }, async () => {
  const old = Buffer.concat([
    Buffer.from("d0cf11e0a1b11ae1", "hex"),
    Buffer.alloc(600),
    Buffer.from("WordDocument", "utf16le"),
  ]);

  const reading = textOf(open(), "a.doc", old);

  await expect(reading).rejects.toThrow("Save it as .docx");
});

test(
  "a child has no environment, no network, no threads or programs, and sees no file but its own",
  {
    timeout: TIME,
  },
  async () => {
    const folder = await folderFor();
    const outside = join(await folderFor(), "secret");
    await writeFile(outside, "secret");
    let visits = 0;
    const server = createServer((socket) => {
      visits += 1;
      socket.destroy();
    }).listen(0, "127.0.0.1");
    cleanups.push(() => server.close());
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? String(address?.port) : "";

    const probe = forkChild(join(import.meta.dirname, "../testing/probe-child.ts"), LIMITS, folder, [
      port,
      outside,
    ]);
    cleanups.push(() => probe.kill("SIGKILL"));
    // Its first word is that it has started.
    await once(probe, "message");
    const [answer] = (await once(probe, "message")) as [{ results: string[]; environment: string[] }];

    expect(answer.results.filter((result) => !result.endsWith(": refused"))).toEqual([]);
    expect(answer.results.length).toBeGreaterThan(15);
    expect(answer.environment.filter((name) => !name.startsWith("NODE_CHANNEL"))).toEqual([]);
    expect(visits).toBe(0);
  },
);

test("a password reaches the child with its file", { timeout: TIME }, async () => {
  const locked = await original(
    "a.pdf",
    makePdf({ pages: [[{ text: "Opened", y: 700 }]], password: "user" }),
  );
  const extractors = open();
  let text = "";

  for await (const item of extractors.extract({ ...locked, password: "user" }, new AbortController().signal))
    if (item.kind === "segment") text += item.segment.content;

  expect(text).toBe("Opened\n");
});

test("a child sends no more than it was given credit for", { timeout: TIME }, async () => {
  const folder = await folderFor();
  const path = join(folder, "original");
  await writeFile(path, LONG_TEXT);
  const child = fork("extraction-child.ts", folder);
  let items = 0;
  child.on("message", (message: { type: string; items?: unknown[] }) => {
    items += message.items?.length ?? 0;
  });

  const file = {
    path,
    name: "a.txt",
    byteSize: LONG_TEXT.length,
    declaredMediaType: null,
    maxChars: 50_000_000,
  };
  child.send({ type: "read", file, credit: CREDIT });
  await vi.waitFor(() => expect(items).toBe(CREDIT), { timeout: 20_000 });
  child.send({ type: "credit", count: 1 });
  await vi.waitFor(() => expect(items).toBe(CREDIT + 1), { timeout: 20_000 });

  // The whole file makes over 200 items.
  expect(items).toBe(CREDIT + 1);
});

test(
  "a file that takes too long ends with extract.timeout, and the next one is read",
  { timeout: TIME },
  async () => {
    const slow = open({ timeoutMs: 1 });

    const code = await failureOf(textOf(slow, "a.txt", LONG_TEXT));

    expect(code).toBe("extract.timeout");
  },
);

test("time in which nobody asks for the next item does not count", { timeout: TIME }, async () => {
  const limitMs = 4_000;
  const extractors = open({ timeoutMs: limitMs });
  await extractors.warm();
  const stream = extractors.extract(await original("a.txt", LONG_TEXT), new AbortController().signal);
  let items = 0;

  for await (const _ of stream) {
    items += 1;
    const since = performance.now();
    if (items === 1)
      await vi.waitFor(() => expect(performance.now() - since).toBeGreaterThan(limitMs), {
        timeout: 2 * limitMs,
      });
  }

  expect(items).toBeGreaterThan(200);
});

test("short files that come together are read by one child", { timeout: TIME }, async () => {
  const before = await childFolders();
  const extractors = open({ memoryMb: 1024 }, { concurrency: 4, growMs: TIME });

  const texts = await Promise.all(
    ["one", "two", "three", "four"].map((text) => textOf(extractors, "a.txt", text)),
  );

  expect(texts).toEqual(["one", "two", "three", "four"]);
  expect(await childFolders()).toBe(before + 1);
});

test("a file that waits behind a long one gets a child of its own", { timeout: TIME }, async () => {
  const extractors = open({}, { concurrency: 2, growMs: 1 });
  const held = extractors.extract(await original("a.txt", LONG_TEXT), new AbortController().signal);
  await held[Symbol.asyncIterator]().next();

  expect(await textOf(extractors, "b.txt", "short")).toBe("short");
});

test("a file that waits for a child stops waiting when it is told to", { timeout: TIME }, async () => {
  const extractors = open({}, { concurrency: 2, growMs: TIME });
  const held = extractors.extract(await original("a.txt", LONG_TEXT), new AbortController().signal);
  await held[Symbol.asyncIterator]().next();
  const abort = new AbortController();
  const second = extractors.extract(await original("b.txt", "short"), abort.signal);
  const waiting = second[Symbol.asyncIterator]().next();
  setImmediate(() => abort.abort(new Failure("worker.stopping")));

  await expect(waiting).rejects.toMatchObject({ code: "worker.stopping" });
});

test(
  "a child that cannot start is the installation's trouble, not the file's",
  async () => {
    const failure = await failureOf(textOf(open({ memoryMb: 3 }), "innocent.txt", "A text like any other."));

    expect(failure).toBe("extract.not-started");
  },
  TIME,
);

test(
  "a file that eats the memory ends with extract.crashed, and the next one is read",
  { timeout: TIME },
  async () => {
    const extractors = open({ memoryMb: 48 });
    const huge = `[${'{"text":"x","start":1,"end":2,"words":[[],[],[],[]]},'.repeat(600_000)}{"text":"x","start":1}]`;

    const code = await failureOf(textOf(extractors, "a.json", huge));
    const next = await textOf(extractors, "a.txt", "fine");

    expect([code, next]).toEqual(["extract.crashed", "fine"]);
  },
);

test("an abandoned iteration ends its child and frees its place", { timeout: TIME }, async () => {
  const extractors = open();

  for await (const _ of extractors.extract(await original("a.txt", LONG_TEXT), new AbortController().signal))
    break;

  expect(await textOf(extractors, "a.txt", "next")).toBe("next");
});

test("a fired signal ends the reading with its own reason", { timeout: TIME }, async () => {
  const extractors = open();
  const stop = new AbortController();
  const reason = new Failure("job.lease-lost");

  const reading = (async () => {
    for await (const _ of extractors.extract(await original("a.txt", LONG_TEXT), stop.signal))
      stop.abort(reason);
  })();

  expect(await failureOf(reading)).toBe("job.lease-lost");
});

test(
  "a file that waits for a free child leaves the line when its signal fires",
  { timeout: TIME },
  async () => {
    const extractors = open();
    const first = extractors.extract(await original("a.txt", LONG_TEXT), new AbortController().signal);
    const running = first[Symbol.asyncIterator]();
    await running.next();
    const stop = new AbortController();
    const second = extractors
      .extract(await original("b.txt", "b"), stop.signal)
      [Symbol.asyncIterator]()
      .next();

    stop.abort(new Failure("worker.stopping"));

    expect(await failureOf(second)).toBe("worker.stopping");
    await running.return?.();
  },
);

test(
  "closing ends what still reads and leaves neither child nor folder behind",
  { timeout: TIME },
  async () => {
    const extractors = open();
    const reading = extractors
      .extract(await original("a.txt", LONG_TEXT), new AbortController().signal)
      [Symbol.asyncIterator]();
    await reading.next();

    await extractors.close();

    const ended = (async () => {
      while ((await reading.next()).done !== true);
    })();
    expect(await failureOf(ended)).toBe("worker.stopping");
    const folders = await readdir(tmpdir());
    expect(folders.filter((name) => name.startsWith(`rag-extract-${process.pid}-`))).toEqual([]);
  },
);

test("a child has started when it has loaded its code, or has died before", { timeout: TIME }, async () => {
  const [living, dying] = await Promise.all([startExtractionProcess(LIMITS), startExtractionProcess(LIMITS)]);
  cleanups.push(living.end, dying.end);

  process.kill(dying.pid ?? 0, "SIGKILL");

  await Promise.all([living.started, dying.started]);
  expect([living.reusable, dying.reusable]).toEqual([true, false]);
});

test("a child that cannot be started leaves no folder behind", { timeout: TIME }, async () => {
  const extractors = open();
  const execPath = process.execPath;
  process.execPath = "\0";
  cleanups.push(() => {
    process.execPath = execPath;
  });

  const code = await failureOf(textOf(extractors, "a.txt", "text"));

  expect(code).toMatch(/^not a Failure/);
  const left = await readdir(tmpdir());
  expect(left.filter((name) => name.startsWith(`rag-extract-${process.pid}-`))).toEqual([]);
});

test(
  "a worker that exits without closing takes its children and folders along",
  { timeout: TIME },
  async () => {
    const worker = spawn(process.execPath, [join(import.meta.dirname, "../testing/exit-without-closing.ts")]);
    cleanups.push(() => worker.kill("SIGKILL"));

    const [code] = (await once(worker, "exit")) as [number];

    expect(code).toBe(0);
    const left = await readdir(tmpdir());
    expect(left.filter((name) => name.startsWith(`rag-extract-${worker.pid}-`))).toEqual([]);
  },
);

test("children die with a worker that is killed", { timeout: TIME }, async () => {
  const worker = spawn(process.execPath, [join(import.meta.dirname, "../testing/abandon-child.ts")], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  cleanups.push(() => worker.kill("SIGKILL"));
  const [line] = (await once(worker.stdout, "data")) as [Buffer];
  const child = Number(line.toString());
  expect(isRunning(child)).toBe(true);

  worker.kill("SIGKILL");
  cleanups.push(() => removeFoldersOf(worker.pid));

  await vi.waitFor(() => expect(isRunning(child)).toBe(false), { timeout: 20_000, interval: 100 });
});
