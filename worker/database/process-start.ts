// When a process started, as the system counts it: together with the pid it names one process for good.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isAlive } from "../timing/is-alive.ts";

/**
 * A word without spaces; `gone` when there is no such process, or only its remains that no parent has
 * collected; `unknown` when this system does not tell.
 */
export function startTimeOf(pid: number): string {
  if (!isAlive(pid)) return "gone";
  if (process.platform === "linux") return fromProc(pid);
  if (process.platform === "darwin" || process.platform === "freebsd") return fromPs(pid);
  return "unknown";
}

/** proc(5): after the command in parentheses come the state (field 3) and, at field 22, the start in ticks. */
function fromProc(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    return state === "Z" || state === "X" ? "gone" : (fields[19] ?? "unknown");
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "ENOENT" ? "gone" : "unknown";
  }
}

function fromPs(pid: number): string {
  try {
    const started = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      env: { LC_ALL: "C" },
    });
    return started.replaceAll(/\W+/g, "_") || "gone";
  } catch {
    return "unknown";
  }
}
