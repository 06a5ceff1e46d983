// MathML to TeX, from the parser's events and without a tree: what is below an element is TeX when it closes.
// TeX is how formulas are written where people search and models were trained; a formula's bare glyphs in document
// order ("x = − b ± b 2 − 4 a c 2 a") are no formula any more. The author's own TeX wins where it came along.
// After the MathML 3 presentation elements (w3.org/TR/MathML3, chapter 3).
import { ACCENTS, FUNCTIONS, LARGE, symbol, VARIANTS } from "./mathml/symbols.ts";

/** Deeper formulas are damage: their text is kept as it comes. */
const MAX_DEPTH = 200;

type Open = {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly parts: string[];
};

export type MathReader = {
  open(name: string, attributes: Readonly<Record<string, string>>): void;
  text(text: string): void;
  close(): void;
  /** The formula in dollar signs; empty where it says nothing. */
  end(): string;
};

/** For one `math` element, with its attributes: it is told what is below. */
export function createMathReader(attributes: Readonly<Record<string, string>>): MathReader {
  const root: Open = { name: "math", attributes, parts: [] };
  const open: Open[] = [root];
  let written: string | null = null;
  let deeper = 0;

  return {
    open(name, own) {
      if (open.length >= MAX_DEPTH) deeper += 1;
      else open.push({ name, attributes: own, parts: [] });
    },
    text(text) {
      if (text.trim() !== "") open.at(-1)?.parts.push(plainLetters(text));
    },
    close() {
      if (deeper > 0) deeper -= 1;
      else {
        const element = open.pop();
        if (element === undefined || element.name === "annotation-xml") return;
        // TeX of the author's; other annotations (Content MathML, Maple) are no text.
        if (element.name !== "annotation") open.at(-1)?.parts.push(convert(element));
        else if (/tex/i.test(element.attributes.encoding ?? "")) written ??= element.parts.join("");
      }
    },
    end: () => dress(bare(written ?? authored(attributes) ?? root.parts.join("")), attributes),
  };
}

/** TeX in dollar signs: two for a formula that stands alone. */
export function dress(tex: string, attributes: Readonly<Record<string, string>>): string {
  if (tex === "") return "";
  return attributes.display === "block" ? `$$${tex}$$` : `$${tex}$`;
}

/** Wikipedia and LaTeXML leave the TeX in an attribute; elsewhere that attribute is a sentence for screen readers. */
function authored(attributes: Readonly<Record<string, string>>): string | null {
  const said = attributes.alttext;
  return said !== undefined && /[\\^_{}]/.test(said) ? said : null;
}

/** Without the wrapping that only says how large to set it. */
function bare(tex: string): string {
  const tidy = tex.replace(/\s+/g, " ").trim();
  return /^\{\\(?:displaystyle|textstyle) (.*)\}$/.exec(tidy)?.[1]?.trim() ?? tidy;
}

function convert({ name, attributes, parts }: Open): string {
  const [a = "", b = "", c = ""] = parts;
  switch (name) {
    case "mi":
      return identifier(parts.join(""), attributes);
    case "mn":
      return styled(parts.join(""), attributes.mathvariant);
    case "mo":
      return operator(parts.join("").trim());
    case "mtext":
    case "ms":
      return parts.join("").trim() === "" ? " " : `\\text{${parts.join("").replace(/\s+/g, " ")}}`;
    case "mspace":
      return " ";
    case "mphantom":
    case "none":
    case "mprescripts":
      return "";
    case "mfrac":
      return Number.parseFloat(attributes.linethickness ?? "1") === 0
        ? `\\binom{${a}}{${b}}`
        : `\\frac{${a}}{${b}}`;
    case "msqrt":
      return `\\sqrt{${parts.join("").trim()}}`;
    case "mroot":
      return `\\sqrt[${b}]{${a}}`;
    case "msub":
      return `${base(a)}_{${b}}`;
    case "msup":
      return `${base(a)}^{${b}}`;
    case "msubsup":
      return `${base(a)}_{${b}}^{${c}}`;
    case "munder":
      return LARGE.has(a.trim()) ? `${limits(a)}_{${b}}` : under(a, b);
    case "mover":
      return LARGE.has(a.trim()) ? `${limits(a)}^{${b}}` : over(a, b, attributes.accent === "true");
    case "munderover":
      return LARGE.has(a.trim()) ? `${limits(a)}_{${b}}^{${c}}` : over(under(a, b), c, false);
    case "mfenced":
      return fenced(parts, attributes);
    case "mtable":
      return `\\begin{matrix} ${parts.join(" \\\\ ")} \\end{matrix}`;
    case "mtr":
    case "mlabeledtr":
      return parts.join(" & ");
    default:
      return parts.join("");
  }
}

function identifier(text: string, attributes: Readonly<Record<string, string>>): string {
  const name = text.trim();
  if (FUNCTIONS.has(name)) return `\\${name} `;
  if ([...name].length > 1 && attributes.mathvariant === undefined) return `\\mathrm{${name}}`;
  return styled(symbol(name), attributes.mathvariant);
}

function styled(tex: string, variant: string | undefined): string {
  const command = variant === undefined ? undefined : VARIANTS[variant];
  return command === undefined ? tex : `\\${command}{${tex.trim()}}`;
}

/** Signs between two things get room on both sides; parentheses, primes and commas do not. */
function operator(text: string): string {
  const tex = symbol(text).trim();
  if (tex === "") return "";
  if (/^[([{|)\]}!'.\u2032]$/.test(tex)) return tex.replace(/[{}]/, "\\$&");
  return tex === "," || tex === ";" ? `${tex} ` : ` ${tex} `;
}

/** The alphabets of mathematics (bold, script, double-struck) as the letters they are. */
function plainLetters(text: string): string {
  return text.replace(/[\u{1d400}-\u{1d7ff}]/gu, (letter) => letter.normalize("NFKC"));
}

const limits = (tex: string): string => `${tex.trim()}\\limits`;
const under = (a: string, b: string): string => `\\underset{${b.trim()}}{${a.trim()}}`;

function over(a: string, b: string, accent: boolean): string {
  const command = accent ? ACCENTS[b.trim()] : undefined;
  return command === undefined ? `\\overset{${b.trim()}}{${a.trim()}}` : `\\${command}{${a.trim()}}`;
}

/** One character or command stands for itself; anything longer has to be held together. */
function base(tex: string): string {
  const tidy = tex.trim();
  return [...tidy].length === 1 || /^\\[a-zA-Z]+(\{[^{}]*\})?$/.test(tidy) ? tidy : `{${tidy}}`;
}

function fenced(parts: readonly string[], attributes: Readonly<Record<string, string>>): string {
  const marks = [...(attributes.separators ?? ",").replace(/\s/g, "")];
  const inner = parts.map((part, at) =>
    at === 0 ? part : `${marks[Math.min(at, marks.length) - 1] ?? ""} ${part}`,
  );
  return `${attributes.open ?? "("}${inner.join("")}${attributes.close ?? ")"}`;
}
