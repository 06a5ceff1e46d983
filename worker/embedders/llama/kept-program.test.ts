// A program that we start must not outlive us, whatever ends us.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { access, chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type KeptProgram, startKept } from "./kept-program.ts";

let folder: string;
const programs: KeptProgram[] = [];
const children: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rag-kept-"));
});
afterEach(async () => {
  for (const program of programs.splice(0)) {
    program.kill();
    await program.ended;
  }
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true });
});

async function script(text: string): Promise<string> {
  const path = join(folder, `script-${Math.random()}`);
  await writeFile(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

async function start(text: string, graceSeconds = 5, own: string | null = null): Promise<KeptProgram> {
  const program = startKept({
    path: await script(text),
    args: [folder],
    environment: { PATH: process.env.PATH ?? "", WORD: "from us" },
    folder: own,
    graceSeconds,
  });
  programs.push(program);
  return program;
}

const lives = (pid: number | null) => {
  try {
    process.kill(pid ?? 0, 0);
    return pid !== null;
  } catch {
    return false;
  }
};
const read = (name: string) => readFile(join(folder, name), "utf8").catch(() => "");
const untilWritten = (name: string) => vi.waitFor(async () => expect(await read(name)).not.toBe(""));
const untilGone = (pid: number | null) =>
  vi.waitFor(() => expect(lives(pid)).toBe(false), { timeout: 20_000 });

describe.skipIf(process.platform === "win32")("a kept program", () => {
  test("is known by its pid, and its exit code and last words are told", async () => {
    const program = await start("echo some words >&2; exit 7");

    const end = await program.ended;

    expect(end).toEqual({ code: 7, signal: null });
    expect(program.lastWords()).toBe("some words\n");
  });

  test("gets the environment it is given and nothing of ours", async () => {
    process.env.RAG_TEST_SECRET = "sk-secret";
    const program = await start('env >"$1/seen"');
    await program.ended;
    delete process.env.RAG_TEST_SECRET;

    const seen = await read("seen");

    expect(seen).toContain("WORD=from us");
    expect(seen).not.toContain("sk-secret");
  });

  test("is asked to end first, and its folder goes with it", async () => {
    const own = await mkdtemp(join(tmpdir(), "rag-own-"));
    const program = await start(
      `trap 'echo asked >"$1/asked"; exit 0' TERM; echo >"$1/up"; while :; do sleep 0.1; done`,
      20,
      own,
    );
    await untilWritten("up");
    const pid = await program.pid;

    await program.stop();

    expect((await read("asked")).trim()).toBe("asked");
    expect(lives(pid)).toBe(false);
    await expect(access(own)).rejects.toThrow();
  });

  test("is killed when it does not end in time", async () => {
    const program = await start(`trap '' TERM; echo >"$1/up"; while :; do sleep 0.1; done`, 1);
    await untilWritten("up");
    const pid = await program.pid;

    await program.stop();

    await untilGone(pid);
  });

  test("takes along what it has started itself", async () => {
    const program = await start(`sleep 1000 & echo $! >"$1/child"; wait`);
    await untilWritten("child");
    const child = Number(await read("child"));

    await program.stop();

    await untilGone(child);
  });

  test("ends also when its keeper is killed before we let go", async () => {
    const program = await start(`echo $PPID >"$1/keeper"; exec sleep 1000`);
    await untilWritten("keeper");
    const pid = await program.pid;

    process.kill(Number(await read("keeper")), "SIGKILL");
    await program.ended;

    await untilGone(pid);
  });

  test("that cannot be run at all is told as ended", async () => {
    const program = startKept({
      path: join(folder, "nothing"),
      args: [],
      environment: {},
      folder: null,
      graceSeconds: 1,
    });

    expect((await program.ended).code).toBe(127);
  });

  test.each([
    "SIGKILL",
    "SIGTERM",
  ] as const)("is gone, and its folder too, after we ended by %s", async (how) => {
    const own = await mkdtemp(join(tmpdir(), "rag-own-"));
    const path = await script(`echo $$ >"$1/pid"; exec sleep 1000`);
    const setup = { path, args: [folder], environment: {}, folder: own, graceSeconds: 5 };
    const code = `
      import { startKept } from ${JSON.stringify(join(import.meta.dirname, "kept-program.ts"))};
      startKept(${JSON.stringify(setup)});
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ["--input-type=module-typescript", "-e", code], {
      stdio: "inherit",
    });
    children.push(parent);
    await vi.waitFor(async () => expect(await read("pid")).not.toBe(""), { timeout: 20_000 });
    const pid = Number(await read("pid"));

    parent.kill(how);
    await once(parent, "exit");

    await untilGone(pid);
    await vi.waitFor(() => expect(access(own)).rejects.toThrow(), { timeout: 20_000 });
  });
});
