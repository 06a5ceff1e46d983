// A folder with a stand-in program and its model, and embedders over them that are closed with it.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type LlamaProgramTrait,
  writeLlamaProgram,
  writeStandInModel,
} from "../../../tests/stand-ins/llama-program.ts";
import type { Embedder } from "../../embedder.ts";
import { type LocalLlamaOptions, openLocalLlama } from "../local-llama.ts";
import { readModelFile } from "../model-file.ts";
import type { ServerNews } from "../server-on-demand.ts";
import type { ServerSetup } from "../server-setup.ts";

export type LlamaWorld = {
  readonly folder: string;
  /** What the servers' owners told, in order. */
  readonly news: ServerNews[];
  open(trait: LlamaProgramTrait, own?: Own): Promise<Embedder>;
  /** Process ids and arguments of each start of the program. */
  starts(): Promise<readonly { readonly pid: number; readonly args: string }[]>;
  close(): Promise<void>;
};

type Own = {
  readonly setup?: Partial<ServerSetup>;
  readonly options?: Partial<Omit<LocalLlamaOptions, "setup">>;
};

export const words = { name: "words", count: (text: string) => text.split(/\s+/).length };

export async function openLlamaWorld(): Promise<LlamaWorld> {
  const folder = await mkdtemp(join(tmpdir(), "rag-llama-world-"));
  const news: ServerNews[] = [];
  const opened: Embedder[] = [];
  return {
    folder,
    news,
    async open(trait, own = {}) {
      const model = await readModelFile(await writeStandInModel(folder));
      const embedder = openLocalLlama({
        setup: {
          program: await writeLlamaProgram(folder, trait),
          model,
          where: { host: null, port: null },
          context: model.context,
          threads: 1,
          startupMs: 50_000,
          graceSeconds: 2,
          environment: { PATH: process.env.PATH ?? "" },
          freeMemory: async () => null,
          ...own.setup,
        },
        tokenizer: words,
        counts: true,
        idleMs: 60_000,
        tell: (told) => news.push(told),
        ...own.options,
      });
      opened.push(embedder);
      return embedder;
    },
    async starts() {
      const lines = (await readFile(join(folder, "starts"), "utf8").catch(() => "")).trim().split("\n");
      return lines
        .filter((line) => line !== "")
        .map((line) => ({ pid: Number.parseInt(line, 10), args: line.slice(line.indexOf(" ") + 1) }));
    },
    async close() {
      for (const embedder of opened) await embedder.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A process that is no zombie that nobody has buried yet. */
export async function lives(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return !/\) Z /.test(state);
}
