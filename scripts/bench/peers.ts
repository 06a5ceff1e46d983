// Loads packages that the benches compare us with. They live in a project of their own (scripts/tools/peers), which
// is installed at the first use: nobody needs them to run the worker.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const tools = join(import.meta.dirname, "..", "tools");

/** Installs the peers where they are not. Throws when that fails. */
export function installPeers(): void {
  const { status } = spawnSync(process.execPath, [join(tools, "run.ts"), "peers", "--install"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) throw new Error("The peers could not be installed.");
}

/** A module of a peer, as the project of the peers resolves it. */
export async function loadPeer<Module>(name: string): Promise<Module> {
  const resolved = createRequire(join(tools, "peers", "package.json")).resolve(name);
  return (await import(pathToFileURL(resolved).href)) as Module; // SAFETY: the caller knows the version it pinned.
}
