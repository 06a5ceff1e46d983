// Equations (OMML, ISO 29500-1 chapter 22.1) as a line of text, in the way of UnicodeMath: (a+b)/c, x^2, √(x), ∑_(i=1)^n.
// Written from events with a stack of open arguments; nothing is recursive.
import { attribute, type XmlAttributes } from "./xml.ts";

type Open = {
  readonly name: string;
  parts: string[];
  args: Map<string, string[]>;
  marks: Map<string, string>;
};

/** Elements that hold arguments; their text is put together when they close. */
const STRUCTURES = new Set(
  "f rad sSup sSub sSubSup sPre nary d func limLow limUpp acc bar groupChr m mr eqArr"
    .split(" ")
    .map((name) => `m:${name}`),
);
/** The arguments themselves. */
const ARGUMENTS = new Set("num den e deg sup sub fName lim".split(" ").map((name) => `m:${name}`));
/** What is drawn by a property: `m:chr` is the sign of a sum or an accent, the others are brackets. */
const MARKS = new Set(["m:chr", "m:begChr", "m:endChr", "m:sepChr"]);

/** Deeper structures lose their shape, not their text: each level is put together from what is below it. */
const MAX_DEPTH = 100;

export type MathWriter = {
  /** Inside of an equation. */
  readonly active: boolean;
  open(name: string, attributes: XmlAttributes): void;
  text(text: string): void;
  /** Gives the line when the outermost equation closes, else null. */
  close(name: string): string | null;
};

export function createMathWriter(): MathWriter {
  const stack: Open[] = [];
  let ignored = 0;
  const isKept = (name: string): boolean => name === "m:oMath" || STRUCTURES.has(name) || ARGUMENTS.has(name);
  const top = (): Open | undefined => stack.at(-1);
  const push = (name: string): void =>
    void stack.push({ name, parts: [], args: new Map(), marks: new Map() });
  return {
    get active() {
      return stack.length > 0;
    },
    open(name, attributes) {
      if (isKept(name) && (ignored > 0 || stack.length >= MAX_DEPTH)) ignored += 1;
      else if (isKept(name)) push(name);
      else if (MARKS.has(name))
        top()?.marks.set(name, attributes["m:val"] ?? attribute(attributes, "val") ?? "");
    },
    text: (text) => void top()?.parts.push(text),
    close(name) {
      const done = top();
      if (ignored > 0 && isKept(name)) {
        ignored -= 1;
        return null;
      }
      if (done?.name !== name) return null;
      stack.pop();
      const host = top();
      const text = (STRUCTURES.has(name) ? written(done) : "") + done.parts.join("");
      if (host === undefined) return text;
      if (ARGUMENTS.has(name) || name === "m:mr") {
        const list = host.args.get(name) ?? [];
        list.push(text);
        host.args.set(name, list);
        // An argument outside of a structure is damage, and still text.
        if (!STRUCTURES.has(host.name)) host.parts.push(text);
      } else host.parts.push(text);
      return null;
    },
  };
}

function written({ name, args, marks }: Open): string {
  const arg = (key: string): string => args.get(`m:${key}`)?.join("") ?? "";
  const list = args.get("m:e") ?? [];
  const script = (sign: string, text: string): string => (text === "" ? "" : `${sign}${grouped(text)}`);
  switch (name) {
    case "m:f":
      return `${grouped(arg("num"))}/${grouped(arg("den"))}`;
    case "m:rad":
      return arg("deg") === "" ? `√${grouped(arg("e"))}` : `√(${arg("deg")}&${arg("e")})`;
    case "m:nary":
      return `${marks.get("m:chr") ?? "∫"}${script("_", arg("sub"))}${script("^", arg("sup"))} ${arg("e")}`;
    case "m:d":
      return `${marks.get("m:begChr") ?? "("}${list.join(marks.get("m:sepChr") ?? "|")}${marks.get("m:endChr") ?? ")"}`;
    case "m:func":
      return `${arg("fName")} ${arg("e")}`;
    case "m:limLow":
      return `${arg("e")}${script("_", arg("lim"))}`;
    case "m:limUpp":
      return `${arg("e")}${script("^", arg("lim"))}`;
    case "m:mr":
      return list.join(" & ");
    case "m:m":
      return `[${(args.get("m:mr") ?? []).join("; ")}]`;
    case "m:eqArr":
      return list.join("; ");
    case "m:sPre":
      return `${script("_", arg("sub"))}${script("^", arg("sup"))}${arg("e")}`;
    default:
      return `${arg("e")}${script("_", arg("sub"))}${script("^", arg("sup"))}`;
  }
}

/** Whatever is more than one word or number needs brackets to stay together. */
function grouped(text: string): string {
  return /^[\p{L}\p{M}\p{N}.,]*$/u.test(text) || /^\([^()]*\)$/.test(text) ? text : `(${text})`;
}
