// Where the program is: a path as it stands, or a bare name on PATH.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { Failure } from "../../failure/failure.ts";

/** The absolute path. Throws `embed.model-missing` with what was looked for when it is not there or may not run. */
export async function findProgram(name: string, searchPath: string): Promise<string> {
  const bare = !/[\\/]/.test(name);
  const endings = process.platform === "win32" && !name.endsWith(".exe") ? [".exe", ""] : [""];
  const folders = bare ? searchPath.split(delimiter).filter((folder) => folder !== "") : [""];
  for (const folder of folders)
    for (const ending of endings) {
      const path = resolve(join(folder, `${name}${ending}`));
      if (await runs(path)) return path;
    }
  throw new Failure("embed.model-missing", {
    says: bare
      ? `There is no program ${name} on PATH. Install llama.cpp, or set LLAMA_SERVER_BIN to its llama-server.`
      : `There is no program at ${resolve(name)}, or it may not be run. Correct LLAMA_SERVER_BIN.`,
  });
}

async function runs(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
