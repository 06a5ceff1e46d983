// A llama-server program that does on purpose what a real one does when something is wrong: writes an executable
// that takes the real one's flags, serves its dialect and misbehaves as named.
import { chmod, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { asBase64, vectorOf } from "./embedding-server-vectors.ts";
import { ggufBytes } from "./gguf.ts";

export type LlamaProgramTrait =
  /** Gives a text another vector beside others, with more than one slot. */
  | "unlike-in-batch"
  /** The same with one slot too. */
  | "always-unlike"
  /** Never listens, and does not mind SIGTERM. */
  | "never-ready"
  /** Is killed while it starts. */
  | "killed-at-start"
  /** Does not know a flag. */
  | "refuses"
  /** Finds no memory for the model. */
  | "no-memory"
  /** Dies of any text that holds the word POISON. */
  | "dies-of-poison"
  /** Takes requests and never answers those that hold the word HANG. */
  | "hangs"
  /** Counts three tokens a word. */
  | "counts-more"
  | "wrong-dimension"
  | "well";

export const STAND_IN_DIMENSIONS = 8;
export const STAND_IN_CONTEXT = 64;

/** Writes the program into the folder. It leaves a line in `starts` there for each start: its pid and arguments. */
export async function writeLlamaProgram(folder: string, trait: LlamaProgramTrait): Promise<string> {
  const path = join(folder, `llama-${trait}`);
  const starts = join(folder, "starts");
  await writeFile(
    path,
    `#!/bin/sh\necho "$$ $*" >>'${starts}'\nexec '${process.execPath}' '${import.meta.filename}' ${trait} "$@"\n`,
  );
  await chmod(path, 0o755);
  return path;
}

/** A model file that says what the stand-in serves, and holds no weights; `own` replaces what it says. */
export async function writeStandInModel(
  folder: string,
  own: Parameters<typeof ggufBytes>[0] = {},
): Promise<string> {
  const path = join(folder, "stand-in.gguf");
  const says = {
    "general.architecture": "bert",
    "bert.embedding_length": STAND_IN_DIMENSIONS,
    "bert.context_length": STAND_IN_CONTEXT,
    "bert.pooling_type": 1,
    "bert.attention.causal": false,
    "tokenizer.ggml.model": "t5",
    ...own,
  };
  await writeFile(path, ggufBytes(says, []));
  return path;
}

type Body = { readonly input?: readonly string[]; readonly content?: string };

async function serve(trait: LlamaProgramTrait, args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: args.map((arg) => arg.replace(/^-(a|m|c|b|ub|np|t|tb)$/, "--$1")),
    options: Object.fromEntries(
      ["a", "m", "c", "b", "ub", "np", "t", "tb", "host", "port"].map((name) => [name, { type: "string" }]),
    ) as Record<string, { type: "string" }>,
    strict: false,
  });
  if (trait === "never-ready") {
    process.on("SIGTERM", () => {});
    setInterval(() => {}, 1000);
    return;
  }
  if (trait === "killed-at-start") process.kill(process.pid, "SIGKILL");
  if (trait === "refuses") return complain("error: invalid argument: --embeddings");
  if (trait === "no-memory") return complain("ggml_backend_cpu_buffer: failed to allocate buffer");
  const slots = Number(values.np);
  const context = Number(values.ub);
  const server = createServer((request, response) => {
    void answer(request, response).catch(() => response.destroy());
  });
  const host = String(values.host);
  server.once("error", () => complain(`couldn't bind HTTP server socket, hostname: ${host}`));
  if (host.endsWith(".sock")) server.listen(host);
  else server.listen(Number(values.port), host);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url === "/health") return reply(response, 200, { status: "ok" });
    if (request.url === "/v1/models") return reply(response, 200, { data: [{ id: values.a }] });
    const body = await readBody(request);
    if (request.url === "/tokenize") {
      const count = tokensOf(trait, body.content ?? "");
      return reply(response, 200, { tokens: Array.from({ length: count }, () => 1) });
    }
    const input = body.input ?? [];
    if (trait === "dies-of-poison" && input.some((text) => text.includes("POISON")))
      process.kill(process.pid, "SIGSEGV");
    if (trait === "hangs" && input.some((text) => text.includes("HANG"))) return;
    const longest = Math.max(...input.map((text) => tokensOf(trait, text)));
    if (longest > context) {
      const message = `input (${longest} tokens) is too large to process. increase the physical batch size (current batch size: ${context})`;
      return reply(response, 500, { error: { code: 500, message, type: "server_error" } });
    }
    const unlike = trait === "always-unlike" || (trait === "unlike-in-batch" && slots > 1);
    const dimensions = trait === "wrong-dimension" ? STAND_IN_DIMENSIONS / 2 : STAND_IN_DIMENSIONS;
    const data = input.map((text, index) => {
      const company = unlike && input.length > 1 ? `${input.length}` : "";
      return { index, embedding: asBase64(vectorOf(`${company}${text}`, dimensions)) };
    });
    const tokens = input.reduce((sum, text) => sum + tokensOf(trait, text), 0);
    reply(response, 200, { data, usage: { prompt_tokens: tokens } });
  }
}

function complain(words: string): void {
  process.stderr.write(`0.00.000.001 E ${words}\n\nto show complete usage, run with -h\n`);
  process.exit(1);
}

/** With two special tokens. */
function tokensOf(trait: LlamaProgramTrait, text: string): number {
  return text.split(/\s+/).length * (trait === "counts-more" ? 3 : 1) + 2;
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf8")) as Body; // SAFETY: our own clients wrote it.
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

if (process.argv[1] === import.meta.filename) {
  const [trait = "well", ...args] = process.argv.slice(2);
  await serve(trait as LlamaProgramTrait, args); // SAFETY: writeLlamaProgram wrote the word.
}
