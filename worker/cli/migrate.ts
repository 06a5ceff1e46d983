// rag migrate: brings the schema up to date, or says what it would run.
import { openParts } from "../assemble.ts";
import type { Config } from "../config/config.ts";
import { migrate as applyMigrations, type Migrated, pendingMigrations } from "../database/migrate.ts";
import { openPostgresSession } from "../database/postgres-session.ts";
import type { SqlSession } from "../database/sql-session.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { configOf, quietLog } from "./open.ts";
import { usage } from "./usage.ts";
import { counted } from "./words.ts";

type Options = { readonly json?: boolean; readonly dryRun?: boolean };

export const defineMigrate: DefineCommand = (command, context) => {
  command
    .option("--dry-run", "say what would run, and change nothing")
    .addHelpText(
      "after",
      "\nNeeds DATABASE_URL; a Supabase project without it is migrated with: npx supabase db push." +
        "\nThe embedded database migrates itself whenever it is opened.",
    )
    .action((options: Options) => migrate(options, context));
};

async function migrate(options: Options, context: CommandContext): Promise<void> {
  const config = configOf();
  if (config.databaseUrl === null && config.supabaseUrl !== null && config.supabaseKey !== null)
    throw usage(
      "The schema cannot be changed over the Supabase API. Set DATABASE_URL, or run: npx supabase db push",
    );
  if (config.databaseUrl === null) await migrateEmbedded(config, options, context);
  else await migratePostgres(config.databaseUrl, options, context);
  context.end(exitCodes.done);
}

async function migratePostgres(url: string, options: Options, context: CommandContext): Promise<void> {
  const session = await openPostgresSession({ url });
  try {
    if (options.dryRun === true) await sayPending(session, options, context);
    else sayMigrated(await applyMigrations(session), options, context);
  } finally {
    await session.close();
  }
}

async function sayPending(
  session: SqlSession,
  options: Options,
  { terminal }: CommandContext,
): Promise<void> {
  const pending = (await pendingMigrations(session)).map(({ file }) => file);
  if (options.json) return terminal.record({ pending });
  for (const file of pending) terminal.say(file);
  terminal.say(
    pending.length === 0 ? "Nothing to do." : `${counted(pending.length, "migration")} would run.`,
  );
}

function sayMigrated(migrated: Migrated, options: Options, { terminal }: CommandContext): void {
  if (options.json) {
    terminal.record(migrated);
    return;
  }
  for (const file of migrated.applied) terminal.say(file);
  terminal.say(
    migrated.applied.length === 0
      ? `Nothing to do: all ${migrated.already.length} migrations have run before.`
      : `${counted(migrated.applied.length, "migration")} applied.`,
  );
}

/** Opening is migrating. */
async function migrateEmbedded(config: Config, options: Options, context: CommandContext): Promise<void> {
  if (options.dryRun === true)
    throw usage("The embedded database migrates itself when it is opened: there is no dry run for it.");
  const parts = await openParts(config, quietLog(context, config));
  const describes = parts.database.describes;
  await parts.close();
  if (options.json) context.terminal.record({ applied: [], already: [], embedded: true });
  else
    context.terminal.say(
      `Up to date (${describes}): the embedded database migrates itself when it is opened.`,
    );
}
