// Paragraphs of DrawingML (`a:p`), as slides, diagrams and shapes hold them.

import { type NumberStyle, numberLabel } from "../number-labels.ts";
import { tidyText } from "../tidy-text.ts";
import { createMathWriter } from "./math.ts";
import type { XmlAttributes, XmlEvents } from "./xml.ts";

export type TextParagraph = {
  readonly text: string;
  /** 0 to 8. */
  readonly level: number;
  /** `-` for a bullet, `3.` for a number, empty where the paragraph says it has none, null where it says nothing. */
  readonly label: string | null;
};

export function createTextBodyReader(emit: (paragraph: TextParagraph) => void): XmlEvents {
  const math = createMathWriter();
  const counters: (number | undefined)[] = [];
  let text: string[] | null = null;
  let level = 0;
  let label: string | null = null;
  let numbered: XmlAttributes | null = null;
  let inText = 0;
  let inFallback = 0;

  const finish = (): void => {
    const written = tidyText((text ?? []).join(""));
    text = null;
    const own = numbered === null ? label : nextNumber(counters, level, numbered);
    counters.length = Math.min(counters.length, numbered === null ? level : level + 1);
    if (written !== "") emit({ text: written, level, label: own });
  };
  const open = (name: string, attributes: XmlAttributes): void => {
    if (name === "a:p") {
      text = [];
      level = 0;
      label = null;
      numbered = null;
    } else if (name === "a:pPr") level = levelOf(attributes.lvl);
    else if (name === "a:buNone") label = "";
    else if (name === "a:buChar" || name === "a:buBlip") label = "-";
    else if (name === "a:buAutoNum") numbered = attributes;
    else if (name === "a:br") text?.push("\n");
    else if (name === "a:tab") text?.push("\t");
  };
  return {
    open(name, attributes) {
      if (name === "mc:Fallback" || inFallback > 0) inFallback += 1;
      else if (name === "a:t" || name === "m:t") inText += 1;
      else if (math.active || name === "m:oMath") math.open(name, attributes);
      else open(name, attributes);
    },
    text(data) {
      if (inText === 0 || inFallback > 0) return;
      if (math.active) math.text(data);
      else text?.push(data);
    },
    close(name) {
      if (inFallback > 0) inFallback -= 1;
      else if (name === "a:t" || name === "m:t") inText = Math.max(0, inText - 1);
      else if (math.active) text?.push(math.close(name) ?? "");
      else if (name === "a:p") finish();
      else if (name === "a:txBody" || name === "p:txBody") counters.length = 0;
    },
  };
}

function levelOf(value: string | undefined): number {
  const level = Number(value ?? 0);
  return Number.isInteger(level) && level >= 0 && level <= 8 ? level : 0;
}

/** `type` is a style and its signs, such as arabicPeriod or romanUcParenR (ISO 29500-1, 20.1.10.61). */
function nextNumber(
  counters: (number | undefined)[],
  level: number,
  { type = "", startAt }: XmlAttributes,
): string {
  const start = Math.max(1, Math.min(32_767, Number(startAt ?? 1) || 1));
  const value = (counters[level] ?? start - 1) + 1;
  counters[level] = value;
  const styles: readonly (readonly [RegExp, NumberStyle])[] = [
    [/^alpha/, "letter"],
    [/^roman/, "roman"],
    [/^ea|^circle/, type.startsWith("circle") ? "circle" : "han"],
  ];
  const style = styles.find(([form]) => form.test(type))?.[1] ?? "decimal";
  const label = numberLabel(value, style);
  const cased = /Uc/.test(type) ? label.toUpperCase() : label;
  if (type.endsWith("ParenBoth")) return `(${cased})`;
  if (type.endsWith("ParenR")) return `${cased})`;
  return type.endsWith("Plain") || style === "circle" ? cased : `${cased}.`;
}
