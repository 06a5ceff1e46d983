// npm run check:audit: known holes in what is installed in production, asked of the registry. A registry that cannot
// be asked, or does not answer audits, is no hole: that is said, and nothing fails.
import { spawnSync } from "node:child_process";
import { pathToFileURL } from "node:url";
import { z } from "zod";

const LIMIT_MS = 60_000;

const answered = z.object({
  metadata: z.object({ vulnerabilities: z.object({ total: z.int() }) }),
  vulnerabilities: z.record(z.string(), z.object({ severity: z.string(), range: z.string() })),
});

export type Audit = { readonly exitCode: 0 | 1; readonly says: string };

/** `output`: what `npm audit --json` printed. */
export function judgeAudit(output: string): Audit {
  const read = answered.safeParse(parsed(output));
  if (!read.success)
    return { exitCode: 0, says: "The registry could not be asked for known holes: nothing was audited." };
  const { metadata, vulnerabilities } = read.data;
  if (metadata.vulnerabilities.total === 0)
    return { exitCode: 0, says: "No known hole in what is installed." };
  const lines = Object.entries(vulnerabilities).map(
    ([name, { severity, range }]) => `${severity}  ${name} ${range}`,
  );
  return { exitCode: 1, says: `Known holes; npm audit --omit=dev tells more:\n${lines.join("\n")}` };
}

function parsed(output: string): unknown {
  try {
    return JSON.parse(output);
  } catch {
    return null;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { stdout } = spawnSync(
    "npm",
    ["audit", "--omit=dev", "--json", "--fetch-timeout=20000", "--fetch-retries=0"],
    { encoding: "utf8", timeout: LIMIT_MS, shell: process.platform === "win32" },
  );
  const { exitCode, says } = judgeAudit(stdout ?? "");
  process.stdout.write(`${says}\n`);
  process.exitCode = exitCode;
}
