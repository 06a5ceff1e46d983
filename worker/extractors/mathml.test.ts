import { expect, test } from "vitest";
import { readBytes } from "./testing/read-bytes.ts";

const read = async (html: string) => (await readBytes("a.html", `<!doctype html><body>${html}`)).text.trim();
const math = (inner: string, attributes = "") => read(`<p>Let <math ${attributes}>${inner}</math> hold.</p>`);

test.each([
  ["a fraction", "<mfrac><mi>a</mi><mn>2</mn></mfrac>", "$\\frac{a}{2}$"],
  ["a root of a sum", "<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt>", "$\\sqrt{x + 1}$"],
  ["a cube root", "<mroot><mi>x</mi><mn>3</mn></mroot>", "$\\sqrt[3]{x}$"],
  ["powers and indices", "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>", "$x_{i}^{2}$"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: TeX, and no template
  ["a power of a sum", "<msup><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></msup>", "${a + b}^{2}$"],
  [
    "a sum with limits",
    "<munderover><mo>∑</mo><mrow><mi>k</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><msub><mi>a</mi><mi>k</mi></msub>",
    "$\\sum\\limits_{k = 1}^{n}a_{k}$",
  ],
  ["Greek and signs", "<mi>α</mi><mo>≤</mo><mi>π</mi>", "$\\alpha \\leq \\pi$"],
  ["functions and unseen signs", "<mi>sin</mi><mo>&#x2061;</mo><mi>x</mi>", "$\\sin x$"],
  ["a vector", '<mover accent="true"><mi>v</mi><mo>→</mo></mover>', "$\\vec{v}$"],
  ["an alphabet", '<mi>𝐱</mi><mo>∈</mo><mi mathvariant="double-struck">R</mi>', "$x \\in \\mathbb{R}$"],
  [
    "a matrix",
    "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr></mtable>",
    "$\\begin{matrix} 1 & 0 \\\\ 0 & 1 \\end{matrix}$",
  ],
  ["words", "<mtext>for all </mtext><mi>x</mi>", "$\\text{for all }x$"],
])("%s becomes TeX", async (_, inner, tex) => {
  expect(await math(inner)).toBe(`Let ${tex} hold.`);
});

test("the author's own TeX wins over what is drawn", async () => {
  const annotated = await math(
    '<semantics><mrow><mi>x</mi></mrow><annotation encoding="application/x-tex">x \\in X</annotation></semantics>',
  );
  const labelled = await math("<mi>x</mi>", 'alttext="{\\displaystyle x^{2}}"');

  expect([annotated, labelled]).toEqual(["Let $x \\in X$ hold.", "Let $x^{2}$ hold."]);
});

test("a formula of Wikipedia, of KaTeX and of MathJax 2 and 3 is said once", async () => {
  const tex = '<annotation encoding="application/x-tex">e=mc^2</annotation>';
  const pages = [
    `<span class="mwe-math-element"><span class="mwe-math-mathml-inline" style="display: none;"><math><semantics><mi>e</mi>${tex}</semantics></math></span><img class="mwe-math-fallback-image-inline" alt="e=mc^2" aria-hidden="true"></span>`,
    `<span class="katex"><span class="katex-mathml"><math><semantics><mi>e</mi>${tex}</semantics></math></span><span class="katex-html" aria-hidden="true">e=mc2</span></span>`,
    '<span class="MathJax_Preview">e=mc2</span><span class="MathJax"><span>e=mc2</span></span><script type="math/tex">e=mc^2</script>',
    `<mjx-container><svg><text>e=mc2</text></svg><mjx-assistive-mml><math><semantics><mi>e</mi>${tex}</semantics></math></mjx-assistive-mml></mjx-container>`,
  ];

  for (const page of pages) expect(await read(`<p>So ${page} is known.</p>`)).toBe("So $e=mc^2$ is known.");
});

test("a formula of its own stands in two dollar signs, a drawn one is read from its alternative text", async () => {
  const display = await math("<mi>x</mi>", 'display="block"');
  const drawn = await read('<p>So <img class="latex" src="x.png" alt="a^2+b^2"> holds.</p>');

  expect([display, drawn]).toEqual(["Let $$x$$ hold.", "So $a^2+b^2$ holds."]);
});

test("a formula that is nested beyond reason keeps its letters", async () => {
  const text = await math(`${"<mrow>".repeat(5_000)}<mi>q</mi>${"</mrow>".repeat(5_000)}`);

  expect(text).toBe("Let $q$ hold.");
});
