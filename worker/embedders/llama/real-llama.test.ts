// The real llama-server with a real model: started, counted with, killed, and gone in the end.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { readConfig } from "../../config/config.ts";
import { describeWith, serviceUrl } from "../../tests/services.ts";
import { ggufBytes } from "../../tests/stand-ins/gguf.ts";
import { openTokenizer } from "../../tokenizers/open-tokenizer.ts";
import { cosine, failureOf } from "../contract.ts";
import type { Embedder } from "../embedder.ts";
import { openLlamaServer } from "../llama-server.ts";
import { openEmbedder } from "../open-embedder.ts";
import { countTokens } from "./count-tokens.ts";
import type { ServerNews } from "./server-on-demand.ts";
import { lives } from "./testing/llama-world.ts";

const run = promisify(execFile);
const never = new AbortController().signal;
const PATIENCE = { timeout: 40_000, interval: 50 };
const opened: Embedder[] = [];
let folder: string;
let news: ServerNews[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-real-llama-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(async () => {
  for (const embedder of opened.splice(0)) await embedder.close();
  news = [];
});

const settings = () => ({
  LLAMA_SERVER_BIN: serviceUrl("llama-binary"),
  LLAMA_SERVER_MODEL: serviceUrl("llama-model"),
});

async function open(own: Readonly<Record<string, string>> = {}): Promise<Embedder> {
  const embedder = await openEmbedder(readConfig({ ...settings(), ...own }), {
    tokenizer: async (name) => openTokenizer(name),
    cacheDir: folder,
    tellOfServer: (told) => news.push(told),
  });
  opened.push(embedder);
  return embedder;
}

/** A program around the real one, which does something of its own before. */
async function around(name: string, lines: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${lines}\n`);
  await chmod(path, 0o755);
  return path;
}

const pidOf = async (embedder: Embedder) => (await embedder.server?.())?.pid ?? 0;

describeWith(["llama-binary", "llama-model"], "a real llama-server of ours", () => {
  test("is a process with memory while it is needed, and none in the end", async () => {
    const embedder = await open();
    await embedder.embed(["text"], never);
    const server = await embedder.server?.();

    await embedder.close();

    expect(server).toMatchObject({ state: "ready", slots: 4, starts: 1, deaths: 0 });
    expect(server?.rssBytes).toBeGreaterThan(20_000_000);
    expect(await lives(server?.pid ?? 0)).toBe(false);
    expect(await embedder.server?.()).toMatchObject({ state: "stopped", pid: null, rssBytes: null });
  });

  test("keeps fewer threads than there are cores, and the model's limit as context and batch", async () => {
    const embedder = await open({
      LLAMA_SERVER_BIN: await around(
        "told",
        `echo "$@" >'${folder}/args'; exec '${serviceUrl("llama-binary")}' "$@"`,
      ),
    });

    await embedder.embed(["text"], never);

    const args = await readFile(join(folder, "args"), "utf8");
    const { availableParallelism } = await import("node:os");
    expect(args).toContain(`-t ${Math.max(1, Math.min(4, availableParallelism() - 1))} `);
    expect(args).toContain("-c 2048 -b 512 -ub 512 -np 4");
    expect(embedder.limits.maxTokensPerInput).toBe(510);
  });

  test("sees no secret of ours, and still finds its libraries", async () => {
    process.env.OPENAI_API_KEY = "sk-canary-of-this-test";
    process.env.LLAMA_API_KEY = "another-canary";
    const embedder = await open({
      LLAMA_SERVER_BIN: await around(
        "env",
        `env >'${folder}/env'; exec '${serviceUrl("llama-binary")}' "$@"`,
      ),
      RAG_EMBEDDING_PROVIDER: "llama-server",
    });

    await embedder.embed(["text"], never);
    delete process.env.OPENAI_API_KEY;
    delete process.env.LLAMA_API_KEY;

    const seen = await readFile(join(folder, "env"), "utf8");
    expect(seen).toContain("PATH=");
    expect(seen).not.toContain("canary");
  });

  test("counts as we do with the vocabulary of its file, and Korean never higher", async () => {
    const embedder = await open();
    const texts = [
      "Hello, unaffable world! It's naïve CAFÉ.",
      "Überprüfung der Größe — 東京 and déjà vu",
      "def f(x): return x ** 2  # 3.14",
      "ab".repeat(150),
      "русский текст, ёлка",
    ];
    await embedder.embed(["text"], never);
    const place = await run("ps", ["-o", "args=", "-p", String(await pidOf(embedder))]);
    const host = /--host (\S+)/.exec(place.stdout)?.[1] ?? "";
    const { fetchAt } = await import("./fetch-at.ts");
    const fetch = fetchAt({ host, port: 0, socketPath: host, folder: null });

    const counted = await Promise.all(texts.map((text) => countTokens(text, fetch, never)));
    const korean = await countTokens("한국어 텍스트", fetch, never);

    expect(counted).toEqual(texts.map((text) => embedder.tokenizer.count(text) + 2));
    // BERT takes syllables apart, llama.cpp does not.
    expect(korean).toBeLessThan(embedder.tokenizer.count("한국어 텍스트") + 2);
  });

  test("gives the vectors that a server of others gives", { timeout: 60_000 }, async () => {
    const texts = ["The invoice is due thirty days after the goods have arrived.", "Déjà vu in Tokyo"];
    const ours = await open();
    const { vectors } = await ours.embed(texts, never);
    const url = process.env.RAG_TEST_LLAMA_URL;
    if (url === undefined) return;

    const theirs = await openLlamaServer({ url, tokenizer: async () => ours.tokenizer }, never);
    const other = await theirs.embed(texts, never);
    await theirs.close();

    expect(theirs.model).toBe(ours.model);
    for (const at of texts.keys()) expect(cosine(vectors[at], other.vectors[at])).toBeGreaterThan(0.9999);
  });

  test("that is killed in the middle of a batch costs nothing but time", { timeout: 180_000 }, async () => {
    const embedder = await open();
    const texts = Array.from({ length: 24 }, (_, at) => `${at} ${"a sentence of some length ".repeat(20)}`);
    await embedder.embed(["text"], never);
    const pid = await pidOf(embedder);

    const call = embedder.embed(texts, never);
    await vi.waitFor(
      async () => expect(await cpuTicks(pid)).toBeGreaterThan(await ticksAtRest(pid)),
      PATIENCE,
    );
    process.kill(pid, "SIGKILL");
    const { vectors } = await call;

    expect(vectors).toHaveLength(texts.length);
    expect(await embedder.server?.()).toMatchObject({ state: "ready", starts: 2, deaths: 1 });
    expect(news.map(({ happened }) => happened)).toEqual(["started", "died", "started"]);
  });

  test("of two workers on one machine does not know of the other", async () => {
    const [one, other] = await Promise.all([open(), open()]);
    await Promise.all([one.embed(["text"], never), other.embed(["text"], never)]);
    const pid = await pidOf(other);

    await one.close();
    const { vectors } = await other.embed(["text"], never);

    expect(vectors).toHaveLength(1);
    expect(await pidOf(other)).toBe(pid);
  });

  test("is gone after the worker that started it was killed", async () => {
    const code = `
      import { openEmbedder } from ${JSON.stringify(join(import.meta.dirname, "../open-embedder.ts"))};
      import { readConfig } from ${JSON.stringify(join(import.meta.dirname, "../../config/config.ts"))};
      import { openTokenizer } from ${JSON.stringify(join(import.meta.dirname, "../../tokenizers/open-tokenizer.ts"))};
      const embedder = await openEmbedder(readConfig(process.env), { tokenizer: async (name) => openTokenizer(name), cacheDir: "none" });
      await embedder.embed(["text"], new AbortController().signal);
      console.log((await embedder.server()).pid);
      setInterval(() => {}, 1000);`;
    const worker = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], {
      env: { PATH: process.env.PATH, ...settings() },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(worker.stdout, "data");
    const pid = Number(String(said));
    const before = await lives(pid);

    worker.kill("SIGKILL");

    expect(before).toBe(true);
    await vi.waitFor(async () => expect(await lives(pid)).toBe(false), PATIENCE);
    await vi.waitFor(
      async () => expect((await run("ps", ["-A", "-o", "args="])).stdout).not.toContain(`/${pid}`),
      PATIENCE,
    );
  });

  test.each([
    ["no program", { LLAMA_SERVER_BIN: "/nowhere/llama-server" }, "/nowhere/llama-server"],
    ["no program on PATH", { LLAMA_SERVER_BIN: "llama-server-of-nobody" }, "llama-server-of-nobody"],
    ["no model", { LLAMA_SERVER_MODEL: "/nowhere/model.gguf" }, "/nowhere/model.gguf"],
    ["an address that is not of this machine", { LLAMA_SERVER_HOST: "0.0.0.0" }, "loopback"],
    ["another model by name", { RAG_EMBEDDING_MODEL: "bge-small-en" }, "RAG_EMBEDDING_MODEL"],
    ["another dimension", { RAG_EMBEDDING_DIMENSIONS: "768" }, "384"],
  ])("with %s is a wrong configuration before anything is started", async (_what, own, named) => {
    const failure = await failureOf(open(own as Readonly<Record<string, string>>));

    expect(failure.kind).toBe("misconfigured");
    expect(failure.message).toContain(named);
  });

  test("with a flag that it does not know is a wrong configuration in its words", async () => {
    const bin = await around("flag", `exec '${serviceUrl("llama-binary")}' --flag-of-tomorrow "$@"`);
    const embedder = await open({ LLAMA_SERVER_BIN: bin });

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
    expect(failure.message).toContain("--flag-of-tomorrow");
    expect(failure.message).toContain(bin);
  });

  test("with a model of an architecture that it does not know is a wrong configuration in its words", async () => {
    const path = join(folder, "unknown.gguf");
    const own = { embedding_length: 8, context_length: 64, pooling_type: 1 };
    const says = Object.fromEntries(Object.entries(own).map(([key, value]) => [`of-tomorrow.${key}`, value]));
    await writeFile(path, ggufBytes({ "general.architecture": "of-tomorrow", ...says }, []));
    const embedder = await open({ LLAMA_SERVER_MODEL: path });

    const failure = await failureOf(embedder.embed(["text"], never));

    expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
    expect(failure.message).toContain(path);
    expect(failure.message).toMatch(/of-tomorrow|failed to load/);
  });

  test("with a model that is cut short is a wrong configuration before anything is started", async () => {
    const path = join(folder, "cut.gguf");
    await writeFile(path, await readFile(serviceUrl("llama-model")));
    await truncate(path, 40_000_000);

    const failure = await failureOf(open({ LLAMA_SERVER_MODEL: path }));

    expect(failure).toMatchObject({ code: "embed.model-missing", kind: "misconfigured" });
    expect(failure.message).toContain(`${path} cannot be used: it is cut short`);
  });
});

const restTicks = new Map<number, number>();

/** Ticks of CPU time that the process had when it was first asked for. */
async function ticksAtRest(pid: number): Promise<number> {
  const known = restTicks.get(pid) ?? (await cpuTicks(pid));
  restTicks.set(pid, known);
  return known + 5;
}

async function cpuTicks(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
