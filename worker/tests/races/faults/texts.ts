// Documents of a run: paragraphs that each become one chunk under `raceSettings`, no two alike, made from the
// document's number and version alone.
import { paragraphs } from "../worker-process.ts";

export const POISON = "POISON";

export type Content = {
  /** Names the text: equal keys, equal text. */
  readonly key: string;
  readonly form: "file" | "transcript";
  readonly paragraphs: readonly string[];
};

export function contentOf(
  document: number,
  version: number,
  chunks: number,
  form: Content["form"],
  poisoned: boolean,
): Content {
  const key = `d${document}v${version}`;
  const texts = paragraphs(chunks, key).split("\n\n");
  if (poisoned) texts.push(`This one is ${POISON} to the provider.`);
  return { key, form, paragraphs: texts };
}

/** The fields of rag_enqueue that carry the content. */
export function fieldsOf(content: Content): Readonly<Record<string, unknown>> {
  if (content.form === "file") return { content: content.paragraphs.join("\n\n"), title: content.key };
  return {
    title: content.key,
    segments: content.paragraphs.map((text, at) => ({ seq: at + 1, speaker: "A", content: text })),
  };
}
