// rag job ID: everything the database knows of one job, and why it waits.
import { z } from "zod";
import { costInWords } from "../log/terminal-lines.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { resolveJobIds } from "./job-row.ts";
import { withParts } from "./open.ts";
import { clip, type Terminal, table, widthOf } from "./terminal.ts";
import { ago, count, nameOf } from "./words.ts";

const described = z.looseObject({
  id: z.string(),
  kind: z.string(),
  status: z.string(),
  stage: z.string().nullable(),
  tenant_id: z.string(),
  priority: z.number(),
  attempts: z.number(),
  max_attempts: z.number(),
  worker_id: z.string().nullable(),
  total_segments: z.number().nullable(),
  processed_segments: z.number(),
  total_chunks: z.number().nullable(),
  processed_chunks: z.number(),
  reused_chunks: z.number(),
  rejected_chunks: z.number(),
  rejected: z
    .array(
      z.object({
        chunk_index: z.number(),
        code: z.string(),
        detail: z.string(),
        page_number: z.number().nullable(),
        section: z.string().nullable(),
      }),
    )
    .nullable(),
  tokens: z.coerce.number(),
  cost_usd: z.coerce.number(),
  analysis: z
    .object({ groups: z.number(), failed: z.record(z.string(), z.number()), waiting: z.number() })
    .nullable(),
  error_code: z.string().nullable(),
  error_detail: z.string().nullable(),
  errors: z.array(
    z.object({
      at: z.coerce.date(),
      code: z.string(),
      detail: z.string().nullable(),
      attempt: z.number().nullable(),
      worker_id: z.string().nullable(),
    }),
  ),
  submitted_at: z.coerce.date(),
  started_at: z.coerce.date().nullable(),
  updated_at: z.coerce.date(),
  completed_at: z.coerce.date().nullable(),
  waits_for: z.string().nullable(),
  document: z
    .looseObject({
      id: z.string(),
      title: z.string().nullable(),
      source_uri: z.string().nullable(),
      status: z.string(),
      collection: z.string(),
      version: z.string().nullable(),
    })
    .nullable(),
});
type Described = z.infer<typeof described>;

export const defineJob: DefineCommand = (command, context) => {
  command
    .argument("<id>", "the job's id, or its first digits as rag jobs and the logs show them")
    .action((id: string, options: { readonly json?: boolean }) => job(id, options.json === true, context));
};

async function job(typed: string, json: boolean, context: CommandContext): Promise<void> {
  const { terminal } = context;
  const answer = await withParts(context, async ({ database }) => {
    const { ids } = await resolveJobIds(database.call, [typed]);
    if (ids[0] === undefined) return null;
    const given = { p_job_id: ids[0] };
    const [found, analysis] = await Promise.all([
      database.call("rag_describe_job", given),
      database.call("rag_describe_analysis", given),
    ]);
    return found === null ? null : { ...(found as object), analysis };
  });
  if (answer === null) {
    const says = `No job has the id ${clip(typed, 40)}. rag jobs lists them.`;
    terminal.error(says);
    if (json) terminal.record({ error: { code: "job.unknown", message: says } });
    context.end(exitCodes.someFailed);
    return;
  }
  if (json) terminal.record(answer);
  else printJob(described.parse(answer), terminal);
  context.end(exitCodes.done);
}

function printJob(job: Described, terminal: Terminal): void {
  const rows = [
    ["Job", job.id],
    ["Status", job.stage === null ? job.status : `${job.status}, ${job.stage}`],
    job.waits_for === null ? null : ["Waits for", clip(job.waits_for, 400)],
    ["Document", documentOf(job)],
    job.document?.source_uri == null
      ? null
      : ["", clip(job.document.source_uri, widthOf(terminal.stdout) - 12)],
    ["Tenant", `${job.tenant_id}, priority ${job.priority}`],
    [
      "Progress",
      `${ofTotal(job.processed_segments, job.total_segments)} segments, ${ofTotal(job.processed_chunks, job.total_chunks)} chunks (${count(job.reused_chunks)} reused${job.rejected_chunks > 0 ? `, ${count(job.rejected_chunks)} refused by the provider` : ""})`,
    ],
    ...analysisOf(job),
    ["Cost", `${count(job.tokens)} tokens${job.cost_usd > 0 ? `, ${costInWords(job.cost_usd)}` : ""}`],
    [
      "Attempts",
      `${job.attempts} of ${job.max_attempts}${job.worker_id === null ? "" : `, worker ${job.worker_id}`}`,
    ],
    ...timesOf(job),
    job.error_code === null ? null : ["Error", `${job.error_code}: ${clip(job.error_detail ?? "", 400)}`],
  ].filter((row) => row !== null);
  for (const line of table(rows)) terminal.say(line);
  printRejected(job, terminal);
  if (job.errors.length > 0) terminal.say("\nWhat went wrong so far, the newest last:");
  for (const error of job.errors)
    terminal.say(
      `  ${error.at.toISOString()}  try ${error.attempt ?? "?"}  ${error.code}: ${clip(error.detail ?? "", 200)}${error.worker_id === null ? "" : `  (${clip(error.worker_id, 60)})`}`,
    );
}

function analysisOf({ analysis }: Described): string[][] {
  if (analysis === null) return [];
  const failed = Object.entries(analysis.failed).map(([code, groups]) => `, ${count(groups)} ${code}`);
  const waiting = analysis.waiting === 0 ? "" : `, ${count(analysis.waiting)} questions in a batch`;
  return [["Analysis", `${count(analysis.groups)} groups of segments${failed.join("")}${waiting}`]];
}

function printRejected({ rejected, rejected_chunks }: Described, terminal: Terminal): void {
  if (rejected === null || rejected.length === 0) return;
  terminal.say("\nChunks that the embedding provider refused, and that have no vector:");
  for (const chunk of rejected) {
    const page = chunk.page_number === null ? "" : `, page ${chunk.page_number}`;
    const section = chunk.section === null ? "" : `, ${clip(chunk.section, 60)}`;
    terminal.say(`  chunk ${chunk.chunk_index}${page}${section}: ${clip(chunk.detail, 300)}`);
  }
  const more = rejected_chunks - rejected.length;
  if (more > 0) terminal.say(`  … and ${count(more)} more`);
}

function documentOf({ document, kind }: Described): string {
  if (document === null) return kind;
  const version = document.version === null ? "" : `  version ${document.version}`;
  return `${clip(nameOf(document.title, document.source_uri), 60)}${version}  (${document.status}, collection ${document.collection}, ${document.id})`;
}

function timesOf(job: Described): (string[] | null)[] {
  const since = (from: Date, to: Date) => ago((to.getTime() - from.getTime()) / 1000);
  const now = new Date();
  return [
    ["Submitted", `${job.submitted_at.toISOString()}, ${since(job.submitted_at, now)} ago`],
    job.started_at === null
      ? null
      : ["Started", `${job.started_at.toISOString()}, after ${since(job.submitted_at, job.started_at)}`],
    job.completed_at === null
      ? ["Updated", `${since(job.updated_at, now)} ago`]
      : [
          "Ended",
          `${job.completed_at.toISOString()}, after ${since(job.started_at ?? job.submitted_at, job.completed_at)}`,
        ],
  ];
}

const ofTotal = (done: number, total: number | null) =>
  total === null ? count(done) : `${count(done)}/${count(total)}`;
