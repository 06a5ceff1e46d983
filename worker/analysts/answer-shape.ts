// What an answer must look like. The provider is told the shape and keeps to it; it is checked again here, for what
// comes is written by a model that has read a stranger's document.
// One shape for every question about a document: another one would be another prompt, and nothing of it cached.
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import type { DocumentAnalysis, GroupAnalysis } from "../document/analysis.ts";
import { sanitise } from "../document/sanitise.ts";
import type { Question } from "./analyst.ts";

const texts = z.array(z.string());
const entity = z.object({
  name: z.string(),
  type: z.enum(["person", "organisation", "place", "product", "event", "work", "other"]),
});
const conversation = z.object({
  decisions: texts,
  action_items: z.array(
    z.object({ task: z.string(), owner: z.string().nullable(), due: z.string().nullable() }),
  ),
  sentiment: z.array(
    z.object({
      speaker: z.string(),
      sentiment: z.enum(["positive", "neutral", "negative", "mixed"]),
      reason: z.string(),
    }),
  ),
});
const group = z.object({
  of: z.literal("group"),
  summary: z.string(),
  topics: texts,
  entities: z.array(entity),
  key_points: texts,
  questions: texts,
  conversation: conversation.nullable(),
  chunk_contexts: texts,
});
const whole = z.object({
  of: z.literal("document"),
  title: z.string(),
  summary: z.string(),
  language: z.string(),
  topics: texts,
});
const shape = z.object({ answer: z.union([group, whole]) });

/** As the provider takes it, without the SDK's own parser: a refusal is no JSON, and no error of ours. */
export const answerFormat = {
  type: "json_schema" as const,
  schema: zodOutputFormat(shape).schema,
};

// What a model can go wrong by: an answer that repeats itself. In characters, and items of a list.
const LONGEST = { title: 300, summary: 4000, line: 600, name: 160, context: 320 };
const MOST_ITEMS = 40;

/** null when it is not an answer to this question. */
export function readAnswer(text: string, question: Question): GroupAnalysis | DocumentAnalysis | null {
  const parsed = shape.safeParse(parseJson(text));
  if (!parsed.success || parsed.data.answer.of !== question.of) return null;
  const { answer } = parsed.data;
  if (answer.of === "document")
    return {
      title: tidy(answer.title, LONGEST.title),
      summary: tidy(answer.summary, LONGEST.summary),
      language: /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/.test(answer.language) ? answer.language : "und",
      topics: list(answer.topics, LONGEST.name),
    };
  // A line too few would give every later chunk its neighbour's.
  if (answer.chunk_contexts.length !== question.chunks) return null;
  return {
    summary: tidy(answer.summary, LONGEST.summary),
    topics: list(answer.topics, LONGEST.name),
    entities: answer.entities
      .map(({ name, type }) => ({ name: tidy(name, LONGEST.name), type }))
      .filter(({ name }) => name !== "")
      .slice(0, MOST_ITEMS),
    keyPoints: list(answer.key_points, LONGEST.line),
    questions: list(answer.questions, LONGEST.line),
    conversation: answer.conversation && readConversation(answer.conversation),
    chunkContexts: answer.chunk_contexts.map((line) => tidy(line, LONGEST.context)),
  };
}

function readConversation(said: z.infer<typeof conversation>): GroupAnalysis["conversation"] {
  const short = (text: string | null) => (text === null ? null : tidy(text, LONGEST.name));
  return {
    decisions: list(said.decisions, LONGEST.line),
    actionItems: said.action_items.slice(0, MOST_ITEMS).map(({ task, owner, due }) => ({
      task: tidy(task, LONGEST.line),
      owner: short(owner),
      due: short(due),
    })),
    sentiment: said.sentiment.slice(0, MOST_ITEMS).map((one) => ({
      ...one,
      speaker: tidy(one.speaker, LONGEST.name),
      reason: tidy(one.reason, LONGEST.line),
    })),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** One line, fit to be stored, cut at a whole character. */
function tidy(text: string, most: number): string {
  const line = sanitise(text).replace(/\s+/g, " ").trim();
  return line.length <= most ? line : `${line.slice(0, most - 1).toWellFormed()}…`;
}

const list = (items: readonly string[], most: number): readonly string[] =>
  [...new Set(items.map((item) => tidy(item, most)).filter((item) => item !== ""))].slice(0, MOST_ITEMS);
