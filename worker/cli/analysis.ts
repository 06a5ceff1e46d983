// rag analysis DOCUMENT: what Claude says of a document, and of each group of its segments.
import { z } from "zod";
import type { SqlCall } from "../document/sql-call.ts";
import { costInWords } from "../log/terminal-lines.ts";
import { type CommandContext, type DefineCommand, documentId, exitCodes } from "./command.ts";
import { withParts } from "./open.ts";
import { clip, type Terminal, table } from "./terminal.ts";
import { count, counted } from "./words.ts";

const entities = z.array(z.object({ name: z.string(), type: z.string() }));
const described = z.looseObject({
  title: z.string().nullable(),
  summary: z.string().nullable(),
  language: z.string().nullable(),
  topics: z.array(z.string()),
  entities,
  groups: z.number(),
  failed_groups: z.number(),
  error_code: z.string().nullable(),
  tokens: z.coerce.number(),
  cost_usd: z.coerce.number(),
});
const groupsOf = z.array(
  z.looseObject({
    segment_from: z.number(),
    segment_to: z.number(),
    page_number: z.number().nullable(),
    summary: z.string().nullable(),
    key_points: z.array(z.string()),
    conversation: z
      .object({
        decisions: z.array(z.string()),
        action_items: z.array(z.object({ task: z.string(), owner: z.string().nullable() })),
        sentiment: z.array(z.object({ speaker: z.string(), sentiment: z.string() })),
      })
      .nullable(),
    error_code: z.string().nullable(),
  }),
);
type Group = z.infer<typeof groupsOf>[number];

const PAGE = 100;
const LONGEST = 2000;

export const defineAnalysis: DefineCommand = (command, context) => {
  command
    .argument("<document>", "the document's whole id; rag job ID shows it", documentId)
    .option("--groups", "also each group of its segments (always there with --json)")
    .action((id: string, options: { readonly json?: boolean; readonly groups?: boolean }) =>
      analysis(id, options, context),
    );
};

async function analysis(
  id: string,
  options: { readonly json?: boolean; readonly groups?: boolean },
  context: CommandContext,
): Promise<void> {
  const { terminal } = context;
  await withParts(context, async ({ database: { call } }) => {
    const answer = await call("rag_read_analysis", { p_document_id: id });
    if (answer === null) {
      const says = `Nothing was analysed of ${id}. Is RAG_ENABLE_CLAUDE_ANALYSIS on, and the document ingested since?`;
      terminal.error(says);
      if (options.json) terminal.record({ error: { code: "analysis.none", message: says } });
      context.end(exitCodes.someFailed);
      return;
    }
    if (options.json) terminal.record(answer);
    else printWhole(described.parse(answer), terminal);
    if (options.json || options.groups)
      for await (const group of readGroups(id, call)) {
        if (options.json) terminal.record(group);
        else printGroup(group, terminal);
      }
    context.end(exitCodes.done);
  });
}

async function* readGroups(id: string, call: SqlCall): AsyncIterable<Group> {
  for (let after: number | null = null; ; ) {
    const given: Record<string, unknown> = { p_document_id: id, p_after: after, p_limit: PAGE };
    const page = groupsOf.parse(await call("rag_read_segment_analyses", given));
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.segment_from;
  }
}

function printWhole(whole: z.infer<typeof described>, terminal: Terminal): void {
  const failed =
    whole.failed_groups === 0 ? "" : `, ${count(whole.failed_groups)} of them without an analysis`;
  const cost = costInWords(whole.cost_usd);
  const rows = [
    ["Title", clip(whole.title ?? "–", LONGEST)],
    ["Language", whole.language ?? "–"],
    ["Summary", clip(whole.summary ?? whole.error_code ?? "–", LONGEST)],
    ["Topics", clip(whole.topics.join(", "), LONGEST)],
    ["Entities", clip(whole.entities.map(({ name, type }) => `${name} (${type})`).join(", "), LONGEST)],
    ["Groups", `${counted(whole.groups, "group")} of segments${failed}`],
    ["Cost", `${count(whole.tokens)} tokens${cost === null ? "" : `, ${cost}`}`],
  ];
  for (const line of table(rows)) terminal.say(line);
}

function printGroup(group: Group, terminal: Terminal): void {
  const page = group.page_number === null ? "" : `, page ${group.page_number}`;
  terminal.say(`\nSegments ${group.segment_from} to ${group.segment_to}${page}`);
  terminal.say(`  ${clip(group.summary ?? group.error_code ?? "–", LONGEST)}`);
  for (const point of group.key_points) terminal.say(`  - ${clip(point, LONGEST)}`);
  if (group.conversation === null) return;
  const { decisions, action_items, sentiment } = group.conversation;
  for (const decision of decisions) terminal.say(`  decided: ${clip(decision, LONGEST)}`);
  for (const { task, owner } of action_items)
    terminal.say(`  to do: ${clip(task, LONGEST)}${owner === null ? "" : ` (${clip(owner, 60)})`}`);
  if (sentiment.length > 0)
    terminal.say(`  mood: ${sentiment.map((one) => `${clip(one.speaker, 60)} ${one.sentiment}`).join(", ")}`);
}
