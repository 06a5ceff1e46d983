// Opens the worker's parts for one command and closes them again, whatever happened.
import type { Parts } from "../assemble.ts";
import { type Config, readConfig } from "../config/config.ts";
import { unknownSettings } from "../config/unknown-settings.ts";
import { type Log, openLog } from "../log/log.ts";
import { secretsOf } from "../log/redact.ts";
import type { CommandContext } from "./command.ts";
import { environmentOfRun } from "./environment.ts";

/** The settings of this run, with what options of the command line replace. Throws `config.invalid`. */
export function configOf(replaced: Partial<Config> = {}): Config {
  return Object.freeze({ ...readConfig(environmentOfRun()), ...replaced });
}

/** Warns of each name that looks like a setting and is none. */
export function warnOfUnknownSettings(log: Log): void {
  for (const { name, nearest } of unknownSettings(environmentOfRun()))
    log.warn(
      { setting: name, ...(nearest !== null && { nearest }) },
      nearest === null
        ? "no such setting, it changes nothing"
        : "no such setting, was the nearest one meant?",
    );
}

/** A log for a command that prints an answer: on stderr, and silent about its ordinary steps unless asked. */
export function quietLog(context: CommandContext, config: Config): Log {
  const asked = (environmentOfRun().LOG_LEVEL ?? "").trim() !== "";
  return openLog({
    level: asked ? config.logLevel : "warn",
    terminal: context.terminal.stderr.isTTY === true,
    secrets: secretsOf(config),
    destination: "stderr",
  });
}

/** Runs `work` with everything opened. Throws what opening throws: `config.*`, `database.*`. */
export async function withParts<Result>(
  context: CommandContext,
  work: (parts: Parts) => Promise<Result>,
  config: Config = configOf(),
): Promise<Result> {
  // Here and not above: it draws in the database drivers, which a wrong option should not wait for.
  const { openParts } = await import("../assemble.ts");
  const log = quietLog(context, config);
  warnOfUnknownSettings(log);
  const parts = await openParts(config, log);
  try {
    return await work(parts);
  } finally {
    await parts.close();
  }
}
