import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { jobStatuses } from "./job-row.ts";
import { run } from "./run.ts";
import { openTerminal } from "./terminal.ts";

async function completion(...args: string[]): Promise<{ readonly code: number; readonly out: string }> {
  let out = "";
  const stream = {
    write(text: string) {
      out += text;
    },
  };
  const code = await run(
    ["completion", ...args],
    openTerminal({ stdout: stream, stderr: stream, stdin: process.stdin }),
  );
  return { code, out };
}

/** What bash would offer for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const { out } = await completion("bash");
  const typed = words.map((word) => `'${word}'`).join(" ");
  const ask = `COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _rag; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return execFileSync("bash", ["-c", `${out}\n${ask}`], { encoding: "utf8" })
    .trim()
    .split("\n");
}

test("bash completes commands, and the options of the command that was typed", async () => {
  expect((await offered("rag", "jo")).sort()).toEqual(["job", "jobs"]);
  expect(await offered("rag", "ingest", "--wa")).toEqual(["--wait"]);
  expect(await offered("rag", "retry", "--dry")).toEqual(["--dry-run"]);
});

test("bash completes what arguments and options take from a closed list", async () => {
  expect(await offered("rag", "model", "")).toEqual(["show", "switch", "cancel", "finish"]);
  expect(await offered("rag", "alert", "t")).toEqual(["test"]);
  expect(await offered("rag", "completion", "f")).toEqual(["fish"]);
  expect(await offered("rag", "jobs", "--status", "")).toEqual(jobStatuses);
  expect(await offered("rag", "pause", "--kind", "re")).toEqual(["reembed", "relationships"]);
  expect(await offered("rag", "worker", "--kinds", "d")).toEqual(["document"]);
  expect(await offered("rag", "model", "--y")).toEqual(["--yes"]);
});

test.each(["zsh", "fish"])("%s gets every command with its options and what they do", async (shell) => {
  const { code, out } = await completion(shell);

  expect(code).toBe(0);
  for (const word of ["ingest", "wait", "doctor", "reset-stuck"]) expect(out).toContain(word);
  expect(out).toContain("check everything, and say what to do");
  for (const words of ["show switch cancel finish", "bash zsh fish", jobStatuses.join(" ")])
    expect(out).toContain(words);
});

test("a shell that is none is refused with the names of those there are", async () => {
  expect(await completion("tcsh")).toEqual({ code: 2, out: expect.stringContaining("bash, zsh, fish") });
});
