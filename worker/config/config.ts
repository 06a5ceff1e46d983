// Reads the table of settings once, from the environment, then .env.local, then .env. Nothing else reads them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { Failure } from "../failure/failure.ts";
import type { Setting } from "./setting.ts";
import { type Settings, settings } from "./settings.ts";

export type Config = {
  readonly [Key in keyof Settings]: Settings[Key] extends Setting<infer Value> ? Value : never;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The frozen configuration. Throws one `config.invalid` Failure that names every bad setting, not only
 * the first; values are never repeated, for they may be secrets.
 */
export function readConfig(environment: Environment): Config {
  const wrong: string[] = [];
  const entries = Object.entries(settings).map(([key, setting]) => {
    const name = setting.names.find((candidate) => present(environment[candidate]));
    if (name === undefined) return [key, setting.fallback];
    const parsed = setting.parse.safeParse(environment[name]);
    if (!parsed.success) wrong.push(`${name} must be ${setting.accepts}`);
    return [key, parsed.success ? parsed.data : setting.fallback];
  });
  const config = Object.fromEntries(entries) as Config; // SAFETY: built from the same table as the type.
  if (config.chunkOverlapTokens >= config.chunkTokens)
    wrong.push(
      `RAG_CHUNK_OVERLAP_TOKENS (${config.chunkOverlapTokens}) must be less than RAG_CHUNK_TOKENS (${config.chunkTokens})`,
    );
  if (wrong.length > 0) throw new Failure("config.invalid", { says: `Wrong settings: ${wrong.join("; ")}.` });
  return Object.freeze(config);
}

/** The process environment over .env.local over .env of the given folder. */
export function environmentOf(folder: string, own: Environment): Environment {
  return { ...readEnvFile(join(folder, ".env")), ...readEnvFile(join(folder, ".env.local")), ...own };
}

function readEnvFile(path: string): Environment {
  try {
    return parseEnv(readFileSync(path, "utf8"));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new Failure("config.invalid", { says: `Cannot read ${path}.`, cause: thrown });
  }
}

// An empty value in a deployment file means "not set", as in shells and on every platform we deploy to.
const present = (value: string | undefined): value is string => value !== undefined && value.trim() !== "";
