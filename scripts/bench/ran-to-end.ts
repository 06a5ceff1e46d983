// One command of ours, run to its end: what it said as JSON, and what it cost.
import { spawn } from "node:child_process";
import { once } from "node:events";

export type RanToEnd = {
  readonly records: readonly Record<string, unknown>[];
  readonly cpuSeconds: number;
};

/** Throws what it wrote to stderr when it did not end with 0. */
export async function ranToEnd(
  args: readonly string[],
  settings: Readonly<Record<string, string>>,
): Promise<RanToEnd> {
  const main = new URL("../../worker/main.ts", import.meta.url).pathname;
  const child = spawn(
    "/bin/sh",
    ["-c", '"$0" "$@"; code=$?; times; exit $code', process.execPath, main, ...args],
    {
      env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...settings },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`rag ${args[0]} ended with ${code}: ${err.slice(-2000)}`);
  const lines = out.split("\n").filter(Boolean);
  return {
    records: lines
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>),
    cpuSeconds: secondsOf(lines.at(-1) ?? ""),
  };
}

/** The shell's last line of `times`: user and system time of its children, as 0m1.23s. */
const secondsOf = (line: string): number =>
  [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
