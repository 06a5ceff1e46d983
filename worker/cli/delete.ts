// rag delete: documents by id, source, tenant, user or collection, with everything that hangs on them, also while a
// worker has them in its hands. What Storage keeps for them goes first: a stop in between leaves rows that can be
// found and deleted, and never a file that nobody knows of.
import { z } from "zod";
import type { Config } from "../config/config.ts";
import type { SqlCall } from "../document/sql-call.ts";
import { Failure } from "../failure/failure.ts";
import { sleep } from "../timing/durations.ts";
import { bar, openBoard } from "./board.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { confirm } from "./confirm.ts";
import { configOf, withParts } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";
import type { Terminal } from "./terminal.ts";
import { usage } from "./usage.ts";
import { count, counted } from "./words.ts";

type Options = {
  readonly source?: string;
  readonly tenant?: string;
  readonly user?: string;
  readonly collection?: string;
  readonly keepOriginals?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  readonly json?: boolean;
};

type Filter = Readonly<Record<string, string | readonly string[]>>;

const WHOLE_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const PAGE = 100;
// A document that somebody writes to is tried again; a worker holds its row for milliseconds at a time.
const BUSY_WAIT_MS = 50;
const BUSY_TURNS = 400;

export const defineDelete: DefineCommand = (command, context) => {
  command
    .argument("[id...]", "documents by id; rag search and rag job show it")
    .option("--source <uri>", "those of this source_uri, such as storage://docs/handbook.pdf")
    .option("--tenant <id>", "this tenant's")
    .option("--user <id>", "this user's")
    .option("--collection <name>", "those of this collection")
    .option("--keep-originals", "leave what rag ingest put into RAG_STORAGE_BUCKET")
    .option("--dry-run", "only count them")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      "\nSeveral of these together mean documents that fit all of them. A job that is at work on one ends at its" +
        "\nnext write. Files under the document root and objects of other buckets are yours and stay.",
    )
    .action((ids: readonly string[], options: Options) => deleteDocuments(ids, options, context));
};

async function deleteDocuments(typed: readonly string[], options: Options, context: CommandContext) {
  const { terminal } = context;
  const filter = filterOf(typed, options);
  const config = configOf();
  await withParts(
    context,
    async ({ database: { call } }) => {
      const dry = await call("rag_delete_documents", { p_filter: filter, p_dry_run: true });
      const { would_delete: would } = z.object({ would_delete: z.number() }).parse(dry);
      const unknown = typed.length > would ? { unknown: typed.length - would } : {};
      if (options.dryRun) {
        if (options.json) terminal.record({ would_delete: would, ...unknown });
        else terminal.say(`${counted(would, "document")} would be deleted. Nothing was changed.`);
      } else {
        const question = `Delete ${counted(would, "document")} with all chunks, jobs and originals?`;
        const sure = would > 0 && (await confirm(question, options.yes === true, terminal));
        const tell = teller(would, options, terminal);
        const work = (signal: AbortSignal) => deleteAll({ call, filter, config, options, tell }, signal);
        const done = sure ? await untilStopped(work, tell.stopping).finally(tell.end) : nothing;
        if (sure) await eraseActivity(call, options);
        if (options.json) terminal.record({ ...done, ...unknown });
        else terminal.say(inWords(done));
        if (sure && done.deleted < would) context.end(exitCodes.someFailed);
      }
      if (typed.length <= would) return;
      terminal.error(`${counted(typed.length - would, "document")} not found.`);
      context.end(exitCodes.someFailed);
    },
    config,
  );
}

/** Throws `usage.invalid` for what names no document. */
function filterOf(typed: readonly string[], options: Options): Filter {
  const wrong = typed.find((id) => !WHOLE_ID.test(id));
  if (wrong !== undefined) throw usage(`"${wrong.slice(0, 60)}" is not a document's whole id.`);
  const filter: Filter = {
    ...(typed.length > 0 && { document_ids: [...new Set(typed.map((id) => id.toLowerCase()))] }),
    ...(options.source !== undefined && { source_uris: [options.source] }),
    ...(options.tenant !== undefined && { tenant_id: options.tenant }),
    ...(options.user !== undefined && { user_id: options.user }),
    ...(options.collection !== undefined && { collection: options.collection }),
  };
  if (Object.keys(filter).length === 0)
    throw usage("Say which documents: by id, or by --source, --tenant, --user or --collection.");
  return filter;
}

type Done = { readonly deleted: number; readonly chunks: number; readonly originals: number };
const inWords = ({ deleted, chunks, originals }: Done): string =>
  `${counted(deleted, "document")} deleted, with ${counted(chunks, "chunk")}` +
  `${originals === 0 ? "" : ` and ${counted(originals, "stored original")}`}.`;
const nothing: Done = { deleted: 0, chunks: 0, originals: 0 };

const listed = z.array(
  z.object({ document_id: z.string(), source_uri: z.string().nullable(), shared: z.boolean() }),
);
type Listed = z.infer<typeof listed>;
const step = z.object({ deleted: z.number(), chunks: z.number(), more: z.boolean() });

type Deletion = {
  readonly call: SqlCall;
  readonly filter: Filter;
  readonly config: Config;
  readonly options: Options;
  readonly tell: Teller;
};

/** A page at a time: first what Storage has of it, then its rows. Ends early, and says how far it came, when stopped. */
async function deleteAll(deletion: Deletion, signal: AbortSignal): Promise<Done> {
  const { call, filter, config, options, tell } = deletion;
  let done = nothing;
  for (let after: string | null = null; !signal.aborted; ) {
    const page: Listed = listed.parse(
      await call("rag_list_documents", { p_filter: filter, p_after: after, p_limit: PAGE }),
    );
    after = page.at(-1)?.document_id ?? null;
    if (after === null) break;
    const originals = options.keepOriginals ? 0 : await removeStored(page, config, signal);
    done = { ...done, originals: done.originals + originals };
    const ids = page.map((row) => row.document_id);
    for await (const { deleted, chunks } of deletePage(call, { document_ids: ids }, signal)) {
      done = { ...done, deleted: done.deleted + deleted, chunks: done.chunks + chunks };
      tell.show(done.deleted);
    }
  }
  return done;
}

/** Yields each step until the page is gone. Throws `database.conflict` when somebody holds a document for long. */
async function* deletePage(call: SqlCall, filter: Filter, signal: AbortSignal) {
  for (let idle = 0; idle < BUSY_TURNS && !signal.aborted; idle += 1) {
    const done = step.parse(await call("rag_delete_documents", { p_filter: filter, p_limit: PAGE }));
    yield done;
    if (!done.more) return;
    if (done.deleted + done.chunks > 0) idle = 0;
    else await sleep(BUSY_WAIT_MS);
  }
  if (signal.aborted) return;
  throw new Failure("database.conflict", {
    says: "Somebody keeps a document's rows locked. What was not deleted is still there: try again later.",
  });
}

/** What `rag ingest` put into our own bucket, where no document that stays is of it. */
async function removeStored(page: Listed, config: Config, signal: AbortSignal): Promise<number> {
  const { storageBucket, supabaseUrl: url, supabaseKey: key } = config;
  if (storageBucket === null || url === null || key === null) return 0;
  const ours = `storage://${encodeURIComponent(storageBucket)}/`;
  const uris = page.flatMap(({ source_uri, shared }) =>
    source_uri?.startsWith(ours) && !shared ? [source_uri] : [],
  );
  if (uris.length === 0) return 0;
  const { removeOriginals } = await import("../sources/remove-originals.ts");
  return await removeOriginals({ url, key }, uris, signal);
}

/** What people and applications logged for a user or a tenant, beside its documents. */
async function eraseActivity(call: SqlCall, { tenant, user }: Options): Promise<void> {
  if (tenant === undefined && user === undefined) return;
  const filter = {
    ...(tenant !== undefined && { tenant_id: tenant }),
    ...(user !== undefined && { user_id: user }),
  };
  const erased = z.object({ more: z.boolean() });
  for (const erase of ["rag_erase_activity", "rag_erase_dead_letters"] as const)
    while (erased.parse(await call(erase, { p_filter: filter })).more);
}

type Teller = ReturnType<typeof teller>;

function teller(would: number, options: Options, terminal: Terminal) {
  const board = options.json || terminal.stderr.isTTY !== true ? null : openBoard(terminal.stderr);
  return {
    show: (deleted: number) => board?.show([`${bar(deleted, would)} ${count(deleted)} of ${count(would)}`]),
    stopping: () => terminal.note("Stopping after this page. Run it again for the rest."),
    end: () => board?.wipe(),
  };
}
